// A restore of a real database: beside the live one, proven, in its place; with programs connected, killed in the middle, and around a journal that stays.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { beforeAll, describe, expect, onTestFinished } from 'vitest';
import { connectPostgres } from '../../../src/databases/postgres/connect.ts';
import { differencesOf, digestPostgres } from '../../../src/databases/postgres/digest.ts';
import { dumpPostgres } from '../../../src/databases/postgres/dump.ts';
import { restorePostgres } from '../../../src/databases/postgres/restore.ts';
import { restoreInPlace } from '../../../src/databases/postgres/in-place.ts';
import { findTools } from '../../../src/databases/postgres/tools.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import type { LogicalDigest } from '../../../src/model/manifest.ts';
import { countFor } from '../../support/level.ts';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { richDatabase } from './rich-database.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
  await server.query(server.url('postgres'), 'CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE reader LOGIN');
});

const targetOf = (url: string) => ({ url, attempts: 1, backoffMs: 1 });
const nameOf = (url: string): string => new URL(url).pathname.slice(1);
const names = async (): Promise<readonly string[]> =>
  (await server.query(server.url('postgres'), "SELECT datname AS n FROM pg_database WHERE datname LIKE '%\\_rungs\\_%'")).map(({ n }) =>
    String(n),
  );

async function digestOf(url: string): Promise<LogicalDigest> {
  const client = await connectPostgres(targetOf(url), { name: 'main' });
  try {
    return await digestPostgres(client);
  } finally {
    await client.end();
  }
}

interface Dumped {
  readonly url: string;
  readonly file: string;
  readonly expected: LogicalDigest;
  readonly restore: () => Promise<void>;
}

/** A database that was dumped and then wrecked. */
async function dumped(sql: string, wreck: string, owner?: string): Promise<Dumped> {
  const dir = mkdtempSync(join(tmpdir(), 'rungs-dump-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const url = await server.database(owner === undefined ? {} : { owner });
  await server.query(url, sql);
  const file = join(dir, 'dump');
  const { logical: expected } = await dumpPostgres(targetOf(url), file, { name: 'main' });
  expect(differencesOf(expected, await digestOf(url))).toEqual([]);
  if (wreck !== '') await server.query(url, wreck);
  return { url, file, expected, restore: () => restorePostgres(targetOf(url), file, { name: 'main', id: 'B1', expected }) };
}

const wreckRich = `
  DROP SCHEMA "Other schema" CASCADE; ALTER TABLE users ADD COLUMN email text; UPDATE users SET name = name || '!'; CREATE SCHEMA new_one; CREATE TABLE new_one.t (a int);
  DROP EXTENSION hstore CASCADE; SELECT nextval('untouched'); CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lo_create(4711)`;

describe('restorePostgres', () => {
  test('brings back every kind of object and value, and leaves nothing beside', async () => {
    const { url, expected, restore } = await dumped(`${richDatabase} SELECT lo_from_bytea(0, '\\x00ff5c27');`, wreckRich);
    expect(differencesOf(expected, await digestOf(url))[0]).toBe('schema');
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect(await server.query(url, 'SELECT name FROM users ORDER BY id')).toEqual([
      { name: 'Ada' },
      { name: 'Grace' },
      { name: 'Käthe 🙂' },
    ]);
    expect(await names()).toEqual([]);
    // And once more, where there is nothing to do.
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
  });

  test('works for an owner that is no superuser; owner, settings, rights, limits and the comment of the database stay', async () => {
    const { url, expected, restore } = await dumped(
      'CREATE TABLE t (a int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO reader',
      'DROP TABLE t',
      'owner',
    );
    const database = nameOf(url);
    await server.query(
      server.url('postgres'),
      `ALTER DATABASE ${database} SET search_path TO "$user", public, "odd one"; ALTER DATABASE ${database} SET work_mem TO '5MB';
       ALTER DATABASE ${database} CONNECTION LIMIT 7; REVOKE CONNECT ON DATABASE ${database} FROM PUBLIC; GRANT CONNECT ON DATABASE ${database} TO reader WITH GRANT OPTION;
       COMMENT ON DATABASE ${database} IS 'it''s \\ "mine"'`,
    );
    const told = `SELECT pg_get_userbyid(datdba) AS owner, encoding, datcollate, datctype, datconnlimit, shobj_description(d.oid, 'pg_database') AS comment, datallowconn,
      (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings,
      (SELECT array_agg(concat(grantee, privilege_type, is_grantable) ORDER BY 1) FROM aclexplode(datacl)) AS rights FROM pg_database d WHERE datname = '${database}'`;
    const before = await server.query(server.url('postgres'), told);
    await restore();
    expect(await server.query(server.url('postgres'), told)).toEqual(before);
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect(await server.query(server.url(database, 'reader'), 'SELECT a FROM public.t')).toEqual([{ a: 1 }]);
  });

  test('programs that are connected are put out, and are let in again', async () => {
    const { url, restore } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const program = new pg.Client({ connectionString: url });
    const lost = new Promise((resolve) => program.on('error', resolve));
    await program.connect();
    await program.query('BEGIN; LOCK TABLE t');
    await restore();
    await lost;
    expect(await server.query(url, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('a dump that is not what the backup says takes nobody’s place', async () => {
    const { url, file, expected } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const other = { ...expected, tables: { t: { rows: 1, digest: '0'.repeat(64) } } };
    const problem = await restorePostgres(targetOf(url), file, { name: 'main', id: 'B1', expected: other }).catch((error: unknown) =>
      failuresOf(error),
    );
    expect(problem).toMatchObject([{ code: 'POSTGRES_RESTORE_DIFFERS', message: expect.stringContaining('rows of t') }]);
    expect(await server.query(url, 'SELECT a FROM t')).toEqual([{ a: 2 }]);
    await server.query(server.url('postgres'), `DROP DATABASE "${nameOf(url)}_rungs_B1"`);
  });

  test('a file that is no dump is refused before the live database is touched', async () => {
    const { url, file, restore } = await dumped('CREATE TABLE t (a int)', 'CREATE TABLE u (a int)');
    writeFileSync(file, 'PGDMP and then nothing of the kind');
    await expect(restore()).rejects.toMatchObject({ failures: [{ code: 'POSTGRES_RESTORE_FAILED' }] });
    expect(await server.query(url, 'SELECT * FROM t')).toEqual([]);
    await server.query(server.url('postgres'), `DROP DATABASE "${nameOf(url)}_rungs_B1"`);
  });

  test('a database that is gone is made anew', async () => {
    const { url, expected, restore } = await dumped('CREATE TABLE t (a int)', '');
    await server.query(server.url('postgres'), `DROP DATABASE ${nameOf(url)}`);
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
  });

  test('the journal of several hosts in the same database stays as it is, and so do the sessions that write it', async () => {
    const { url, expected, restore } = await dumped(
      `${richDatabase} SELECT lo_from_bytea(0, '\\x00ff5c27'); CREATE SCHEMA rungs; CREATE TABLE rungs.runs (id serial, what text); INSERT INTO rungs.runs (what) VALUES ('begun');
       CREATE TABLE _rungs_marker (step text)`,
      `${wreckRich}; INSERT INTO rungs.runs (what) VALUES ('since')`,
    );
    const journal = new pg.Client({ connectionString: url, application_name: 'rungs journal' });
    await journal.connect();
    await journal.query('SELECT pg_advisory_lock(1)');
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect((await journal.query('SELECT what FROM rungs.runs ORDER BY id')).rows).toEqual([{ what: 'begun' }, { what: 'since' }]);
    await journal.end();
    expect(await names()).toEqual([]);
  });

  test('in place it is all or nothing: what turns out to be something else is taken back whole', async () => {
    const { url, file, expected } = await dumped(
      'CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE SCHEMA rungs',
      'UPDATE t SET a = 2; CREATE TABLE more (a int); SELECT lo_create(0)',
    );
    const before = await digestOf(url);
    const other = { ...expected, tables: { t: { rows: 1, digest: '0'.repeat(64) } } };
    const tools = await findTools('main');
    await expect(restoreInPlace({ target: targetOf(url), dumpFile: file, tools, name: 'main', expected: other })).rejects.toMatchObject({
      failures: [{ code: 'POSTGRES_RESTORE_DIFFERS' }],
    });
    expect(await digestOf(url)).toEqual(before);
  });

  test('rows that look like the end of rows, and longer than any chunk, go in place unchanged', async () => {
    const { url, expected, restore } = await dumped(
      String.raw`CREATE SCHEMA rungs; CREATE TABLE t (i int, v text); INSERT INTO t VALUES (1, '\.'), (2, E'\n\\.\n'), (3, 'COMMIT;'), (4, E'a\nCOPY t FROM stdin;\n'),
        (5, repeat('0123456789', 40000)), (6, NULL), (7, '\N'), (8, E'--\n\\restrict x'); CREATE TABLE empty (a int); CREATE TABLE u AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i;
        CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
BEGIN
COMMIT;
END $$`,
      'DROP TABLE t, u; DROP PROCEDURE p',
    );
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
  });

  test('a server that goes down in the middle of it is a failure, and nothing is lost: repeated, it ends right', async () => {
    const { url, expected, restore } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const restoring = restore().then(
      () => [],
      (error: unknown) => failuresOf(error),
    );
    while ((await names()).length === 0);
    server.stop('immediate');
    const [problem] = await restoring;
    server.start();
    expect(problem?.code).toMatch(/^POSTGRES_(RESTORE_FAILED|UNREACHABLE)$/);
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect(await names()).toEqual([]);
  });

  test('cancelled, it leaves the live database as it is', async () => {
    const { url, file, expected } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const controller = new AbortController();
    const restoring = restorePostgres(targetOf(url), file, { name: 'main', id: 'B1', expected, signal: controller.signal });
    restoring.catch(() => undefined);
    while ((await names()).length === 0);
    controller.abort();
    await expect(restoring).rejects.toThrow('aborted');
    expect(await server.query(url, 'SELECT a FROM t')).toEqual([{ a: 2 }]);
    await server.query(server.url('postgres'), `DROP DATABASE IF EXISTS "${nameOf(url)}_rungs_B1" WITH (FORCE)`);
  });

  test.each([
    { point: 'the staged one was being filled', sql: 'CREATE DATABASE S' },
    { point: 'the live one was closed', sql: 'CREATE DATABASE S; ALTER DATABASE L WITH ALLOW_CONNECTIONS false' },
    {
      point: 'the live one had gone, and the staged one was never proven',
      sql: 'CREATE DATABASE S; ALTER DATABASE L WITH ALLOW_CONNECTIONS false; ALTER DATABASE L RENAME TO O',
    },
    { point: 'only the old one was there', sql: 'ALTER DATABASE L WITH ALLOW_CONNECTIONS false; ALTER DATABASE L RENAME TO O' },
    { point: 'the new one was in place and written to', sql: 'ALTER DATABASE L RENAME TO O; CREATE DATABASE L' },
  ])('killed when $point, it ends right when it is repeated', async ({ sql }) => {
    const { url, expected, restore } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const live = nameOf(url);
    for (const statement of sql.split('; '))
      await server.query(
        server.url('postgres'),
        statement.replaceAll(
          /\b[SLO]\b/g,
          (letter) => ({ S: `"${live}_rungs_B1"`, L: live, O: `"${live}_rungs_old_B1"` })[letter] ?? letter,
        ),
      );
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect(await names()).toEqual([]);
  });

  test('killed between the two renames, it takes the proven one', async () => {
    const { url, file, expected, restore } = await dumped('CREATE TABLE t (a int); INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2');
    const live = nameOf(url);
    // What a restore had staged and proven, and no dump any more to make it again from.
    await restore();
    await server.query(server.url('postgres'), `ALTER DATABASE ${live} RENAME TO "${live}_rungs_B1"`);
    await server.query(server.url('postgres'), `CREATE DATABASE "${live}_rungs_old_B1"`);
    rmSync(file);
    await restore();
    expect(differencesOf(expected, await digestOf(url))).toEqual([]);
    expect(await names()).toEqual([]);
  });

  test('killed at any moment, twice over, it ends right when it is repeated', { timeout: 300_000 }, async () => {
    const one = await dumped(`${richDatabase} CREATE TABLE big AS SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 3000) i`, '');
    const expected = `${one.file}.json`;
    writeFileSync(expected, JSON.stringify(one.expected));
    const killAfter = async (ms: number): Promise<boolean> => {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '../../fixtures/databases/restore-worker.ts'), one.url, one.file, expected],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const exit = once(child, 'exit');
      await once(child.stdout, 'data');
      await Promise.race([sleep(ms), exit]);
      child.kill('SIGKILL');
      await exit;
      return child.signalCode === 'SIGKILL';
    };
    const started = performance.now();
    await killAfter(120_000);
    const whole = performance.now() - started;
    const rounds = countFor({ quick: 4, ci: 20 });
    let killed = 0;
    for (let round = 0; round < rounds; round += 1) {
      if (differencesOf(one.expected, await digestOf(one.url)).length === 0) await server.query(one.url, 'DELETE FROM big WHERE i % 2 = 0');
      for (const ms of [(whole * (round + 0.5)) / rounds, (whole * ((round * 7) % rounds)) / rounds]) if (await killAfter(ms)) killed += 1;
      await one.restore();
      expect(differencesOf(one.expected, await digestOf(one.url))).toEqual([]);
      expect(await names()).toEqual([]);
    }
    expect(killed).toBeGreaterThan(rounds / 2);
  });
});
