// PostgreSQL databases in a backup: dumped, read back, compared, put back, exported, killed; with files and SQLite beside them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect } from 'vitest';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import type { BackupRecord, BackupStore } from '../../../src/model/ports.ts';
import { countFor } from '../../support/level.ts';
import { programs, startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { bundleWorker } from './bundled-worker.ts';
import { run, scratch, sqlite, type Scratch } from './installation.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});

interface World extends Scratch {
  readonly url: string;
  readonly postgres: BackupStore;
  readonly make: () => Promise<BackupRecord>;
}

async function world(sql: string): Promise<World> {
  const one = scratch();
  const url = await server.database();
  await server.query(url, sql);
  one.write('VERSION', '0.1.0\n');
  sqlite(join(one.root, 'data/app.db'), "CREATE TABLE notes (v); INSERT INTO notes VALUES ('a')").close();
  const postgres = one.withConfig({
    databases: { app: { kind: 'sqlite', file: join(one.root, 'data/app.db') }, main: { kind: 'postgres', url, attempts: 1, backoffMs: 1 } },
  });
  return { ...one, url, postgres, make: () => one.create(postgres) };
}

const users = "CREATE TABLE users (id serial PRIMARY KEY, name text); INSERT INTO users (name) VALUES ('Ada'), ('Grace')";
const namesOf = async (url: string) => (await server.query(url, 'SELECT name FROM users ORDER BY id')).map(({ name }) => name);

test('a database is a source of its own, and its dump is one that pg_restore and plain tar read', async () => {
  const { dir, root, url, postgres, make, config } = await world(users);
  const estimate = await postgres.estimate([]);
  expect(estimate.sources).toEqual(['.', 'VERSION', 'database:app', 'database:main']);
  expect(estimate.bytes).toBeGreaterThan(1_000_000);
  const backup = await make();
  const manifest = await readManifest(backup);
  expect(manifest.entries.find(({ type }) => type === 'postgres')).toMatchObject({
    path: '.rungs-databases/main.dump',
    name: 'main',
    mode: 0o600,
    logical: { tables: { users: { rows: 2 } } },
  });
  expect(manifest.totals.files).toBe(3);
  expect(readFileSync(backup.manifest, 'utf8')).not.toContain(url);
  // As somebody without Rungs would.
  expect(run('tar', ['--zstd', '-xf', backup.path, '-C', dir, '.rungs-databases']).code).toBe(0);
  const again = await server.database();
  expect(run(join(programs() ?? '', 'pg_restore'), ['-e', '-d', again, join(dir, '.rungs-databases/main.dump')])).toEqual({
    code: 0,
    output: '',
  });
  expect(await namesOf(again)).toEqual(['Ada', 'Grace']);
  await postgres.exportTo(backup, join(dir, 'export.tar.zst'));
  expect(existsSync(join(dir, 'export.tar.zst'))).toBe(true);
  expect(existsSync(join(root, '.rungs-databases'))).toBe(false);
  expect(readdirSync(config.backup.dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
});

test('files and both kinds of databases come back together; what differs is told for each', async () => {
  const { root, url, postgres, make, aside, write } = await world(users);
  const backup = await make();
  expect(await postgres.compare(backup)).toEqual({ differences: [], compared: 5 });
  await server.query(url, "UPDATE users SET name = 'x' WHERE id = 1; CREATE TABLE more (a int); INSERT INTO users (name) VALUES ('new')");
  write('VERSION', '0.2.0!\n');
  sqlite(join(root, 'data/app.db'), 'DELETE FROM notes').close();
  const { differences } = await postgres.compare(backup);
  expect(differences.map(({ path, kind, why }) => ({ path, kind, why }))).toEqual(
    expect.arrayContaining([
      { path: 'database:main', kind: 'differs', why: 'schema, rows of more, users, sequence public.users_id_seq' },
      { path: 'VERSION', kind: 'differs', why: 'size' },
      { path: 'data/app.db', kind: 'differs', why: 'rows of notes' },
    ]),
  );
  const report = await postgres.restore(backup, { differences, asideDir: aside });
  expect(report.restored.toSorted()).toEqual(['VERSION', 'data/app.db', 'database:main']);
  expect(await postgres.compare(backup)).toEqual({ differences: [], compared: 5 });
  expect(await namesOf(url)).toEqual(['Ada', 'Grace']);
  expect(readdirSync(aside).filter((name) => name.startsWith('.rungs'))).toEqual([]);
});

test('one database is put back by its name, and nothing else', async () => {
  const { root, url, postgres, make, aside, write } = await world(users);
  const backup = await make();
  await server.query(url, 'DROP TABLE users');
  write('VERSION', 'other');
  const report = await postgres.restore(backup, { paths: ['database:main'], asideDir: aside });
  expect(report).toEqual({ restored: ['database:main'], removed: [], unchanged: 0 });
  expect(await namesOf(url)).toEqual(['Ada', 'Grace']);
  expect(readFileSync(join(root, 'VERSION'), 'utf8')).toBe('other');
  await expect(postgres.restore(backup, { paths: ['database:mian'], asideDir: aside })).rejects.toMatchObject({
    failures: [{ code: 'RESTORE_PATH_UNKNOWN' }],
  });
});

test('a sequence that a failed step advanced is set back without putting anybody out', async () => {
  const { url, postgres, make, aside } = await world(users);
  const backup = await make();
  await server.query(url, "SELECT nextval('users_id_seq')");
  const [before] = await server.query(server.url('postgres'), 'SELECT oid FROM pg_database WHERE datname = $1', [
    new URL(url).pathname.slice(1),
  ]);
  expect((await postgres.compare(backup)).differences).toMatchObject([{ path: 'database:main', why: 'sequence public.users_id_seq' }]);
  await postgres.restore(backup, { asideDir: aside });
  expect((await postgres.compare(backup)).differences).toEqual([]);
  expect(
    await server.query(server.url('postgres'), 'SELECT oid FROM pg_database WHERE datname = $1', [new URL(url).pathname.slice(1)]),
  ).toEqual([before]);
});

test('a database that is gone is a difference, and a server that is gone is a failure', async () => {
  const { url, postgres, make, aside, withConfig } = await world(users);
  const backup = await make();
  await server.query(server.url('postgres'), `DROP DATABASE ${new URL(url).pathname.slice(1)}`);
  expect((await postgres.compare(backup)).differences).toEqual([{ path: 'database:main', kind: 'missing', why: 'missing' }]);
  await postgres.restore(backup, { asideDir: aside });
  expect(await namesOf(url)).toEqual(['Ada', 'Grace']);
  const lost = withConfig({ databases: { main: { kind: 'postgres', url: 'postgres://127.0.0.1:1/x', attempts: 1, backoffMs: 1 } } });
  expect((await lost.estimate([])).sources).toContain('database:main');
  await expect(lost.compare(backup)).rejects.toMatchObject({ failures: [{ code: 'POSTGRES_UNREACHABLE' }] });
  await expect(lost.create({ id: 'B2', runId: null, version: null, extraPaths: [] })).rejects.toMatchObject({
    failures: [{ code: 'POSTGRES_UNREACHABLE' }],
  });
});

test('rows that programs write during the backup are in it or not, and never half', async () => {
  const { url, postgres, make } = await world('CREATE TABLE a (i serial); CREATE TABLE b (i int)');
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await server.query(url, 'WITH one AS (INSERT INTO a DEFAULT VALUES RETURNING i) INSERT INTO b SELECT i FROM one');
  })();
  const backup = await make();
  isOver = true;
  await writing;
  const entry = (await readManifest(backup)).entries.find(({ type }) => type === 'postgres');
  const tables = entry?.type === 'postgres' ? entry.logical.tables : {};
  expect(tables['a']?.rows).toBe(tables['b']?.rows);
  expect(tables['a']?.digest).toBe(tables['b']?.digest);
  // The proof is that what is restored is what the manifest says, sequence included.
  await postgres.restore(backup, { paths: ['database:main'], asideDir: join(backup.path, '../../aside') });
  expect((await postgres.compare(backup)).differences).toEqual([]);
});

test('a failing pg_dump stops the backup, and leaves nothing of it', async () => {
  const { dir, config, make } = await world(users);
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const name of ['pg_dump', 'pg_restore']) {
    writeFileSync(
      join(bin, name),
      `#!/bin/sh\n[ "$1" = --version ] && exec ${programs()}/${name} --version\necho "pg_dump: error: no room" >&2\nexit 1\n`,
    );
    chmodSync(join(bin, name), 0o755);
  }
  process.env.RUNGS_PG_BIN = bin;
  try {
    await expect(make()).rejects.toMatchObject({
      failures: [{ code: 'POSTGRES_DUMP_FAILED', message: expect.stringContaining('no room') }],
    });
  } finally {
    delete process.env.RUNGS_PG_BIN;
  }
  expect(readdirSync(config.backup.dir)).toEqual([]);
});

test('a dump that pg_restore cannot read is found by verifying, though its SHA-256 is right', async () => {
  const { dir, postgres, make } = await world(users);
  const backup = await make();
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const name of ['pg_dump', 'pg_restore']) {
    writeFileSync(
      join(bin, name),
      `#!/bin/sh\n[ "$1" = --version ] && exec ${programs()}/${name} --version\ncat > ${dir}/seen; echo "pg_restore: error: no" >&2\nexit 1\n`,
    );
    chmodSync(join(bin, name), 0o755);
  }
  process.env.RUNGS_PG_BIN = bin;
  try {
    await expect(postgres.verify(backup)).rejects.toMatchObject({
      failures: [{ code: 'BACKUP_CORRUPT', message: expect.stringContaining('"main"') }],
    });
  } finally {
    delete process.env.RUNGS_PG_BIN;
  }
  // It was given the whole dump.
  const entry = (await readManifest(backup)).entries.find(({ type }) => type === 'postgres');
  expect(statSync(join(dir, 'seen')).size).toBe(entry?.type === 'postgres' ? entry.size : -1);
  await postgres.verify(backup);
});

test('a backup and a restore that are killed at any moment end right when they are repeated', { timeout: 300_000 }, async () => {
  const { dir, url, postgres, make, aside, config, write } = await world(
    `${users}; CREATE TABLE big AS SELECT i, repeat(md5(i::text), 10) AS v FROM generate_series(1, 3000) i`,
  );
  const program = await bundleWorker(dir);
  const killAfter = async (ms: number, action: string): Promise<boolean> => {
    const child = spawn(process.execPath, [program, dir, action], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, RUNGS_TEST_POSTGRES: url },
    });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    await Promise.race([sleep(ms), exit]);
    child.kill('SIGKILL');
    await exit;
    return child.signalCode === 'SIGKILL';
  };
  const timeOf = async (action: string): Promise<number> => {
    const started = performance.now();
    await killAfter(120_000, action);
    return performance.now() - started;
  };
  const rounds = countFor({ quick: 3, ci: 15 });
  const whole = await timeOf('create');
  await postgres.remove(await make());
  for (let round = 0; round < rounds; round += 1) {
    await killAfter((whole * (round + 1)) / (rounds + 1), 'create');
    const backup = await make();
    expect((await postgres.compare(backup)).differences).toEqual([]);
    expect(readdirSync(config.backup.dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
    if (round < rounds - 1) await postgres.remove(backup);
  }
  const backup = await make();
  const wreck = async (): Promise<void> => {
    await server.query(url, 'DELETE FROM big WHERE i % 2 = 0; DROP TABLE IF EXISTS users');
    write('VERSION', 'wrecked');
  };
  await wreck();
  const restoring = await timeOf('restore');
  let killed = 0;
  for (let round = 0; round < rounds; round += 1) {
    await wreck();
    if (await killAfter((restoring * (round + 0.5)) / rounds, 'restore')) killed += 1;
    await postgres.restore(backup, { asideDir: aside });
    expect((await postgres.compare(backup)).differences).toEqual([]);
    expect(await namesOf(url)).toEqual(['Ada', 'Grace']);
    expect(await server.query(server.url('postgres'), "SELECT datname FROM pg_database WHERE datname LIKE '%\\_rungs\\_%'")).toEqual([]);
  }
  expect(killed).toBeGreaterThan(0);
});

const pgKinds: readonly { readonly kind: string; readonly sql: string; readonly wreck: string }[] = [
  {
    kind: 'of tables, views, functions, triggers, sequences, enums and domains',
    sql: `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN posint AS int CHECK (VALUE > 0);
          CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL UNIQUE, m mood DEFAULT 'ok', n posint, j jsonb, a int[], b bytea, t timestamptz);
          INSERT INTO users (name, n, j, a, b, t) VALUES ('Ada', 1, '{"a": [1, null]}', '{1,2}', '\\x00ff', '2026-01-02 03:04:05+00'), ('Gr''ace', NULL, 'null', '{}', '', 'infinity');
          CREATE TABLE log (what text, at int REFERENCES users ON DELETE CASCADE);
          CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP, NEW.id); RETURN NEW; END $$;
          CREATE TRIGGER noted AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION note();
          CREATE VIEW named AS SELECT name FROM users; CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM users;
          CREATE INDEX ON users (lower(name)) WHERE n IS NOT NULL; COMMENT ON TABLE users IS 'people'`,
    wreck: "INSERT INTO users (name) VALUES ('new'); DROP VIEW named; ALTER TYPE mood ADD VALUE 'glad'; DELETE FROM users WHERE id = 1",
  },
  {
    kind: 'of schemas, partitions, identity columns, large text and rules of access',
    sql: `CREATE SCHEMA app; CREATE TABLE app.events (id bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL, body text) PARTITION BY RANGE (day);
          CREATE TABLE app.e26 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
          INSERT INTO app.events (day, body) SELECT date '2026-01-01' + i % 300, repeat(md5(i::text), 40) FROM generate_series(1, 2000) i;
          ALTER TABLE app.events ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.events USING (id > 0); REVOKE ALL ON SCHEMA public FROM PUBLIC`,
    wreck:
      'DELETE FROM app.e26 WHERE id % 2 = 0; DROP POLICY p ON app.events; CREATE SCHEMA more; ALTER TABLE app.events ADD COLUMN extra int',
  },
];

test.for(pgKinds)('a database $kind is by pg_dump what it was', async ({ sql, wreck }) => {
  const { url, postgres, make, aside } = await world(sql);
  const dumped = (): string => {
    const { code, output } = run(join(programs() ?? '', 'pg_dump'), [url]);
    expect(code, output).toBe(0);
    // Newer ones begin and end with a random key.
    return output.replaceAll(/^\\(un)?restrict .*$/gm, '');
  };
  const before = dumped();
  const backup = await make();
  expect(dumped()).toBe(before);
  await server.query(url, wreck);
  expect(dumped()).not.toBe(before);
  await postgres.restore(backup, { asideDir: aside });
  expect(dumped()).toBe(before);
});
