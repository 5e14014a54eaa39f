// What the check finds in a real server, and that it finds nothing where nothing is wrong.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, describe, expect, onTestFinished } from 'vitest';
import { createDatabases } from '../../../src/databases/check.ts';
import { connectPostgres } from '../../../src/databases/postgres/connect.ts';
import { dumpPostgres } from '../../../src/databases/postgres/dump.ts';
import { detectPooler } from '../../../src/databases/postgres/pooler.ts';
import { findTools, runTool } from '../../../src/databases/postgres/tools.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import { startPooler } from '../../support/pooler.ts';
import { programs, startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { richDatabase } from './rich-database.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
  await server.query(
    server.url('postgres'),
    'CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE plain LOGIN; CREATE ROLE "o\'d""d" LOGIN CREATEDB',
  );
});

const targetOf = (url: string) => ({ url, attempts: 1, backoffMs: 1 });
const check = async (url: string) => createDatabases({ databases: { main: { kind: 'postgres', ...targetOf(url) } } }).check();
const codes = async (url: string) => (await check(url)).map(({ level, code }) => `${level} ${code}`);
const as = (url: string, user: string): string => server.url(new URL(url).pathname.slice(1), user);

/** A folder with programs that say they are of this version, and then do as told. */
function fakePrograms(version: string, body: string): void {
  const bin = mkdtempSync(join(tmpdir(), 'rungs-pg-bin-'));
  for (const name of ['pg_dump', 'pg_restore']) {
    writeFileSync(
      join(bin, name),
      `#!/bin/sh\n[ "$1" = --version ] && { echo "${name} (PostgreSQL) ${version} (Debian)"; exit 0; }\n${body}\n`,
    );
    chmodSync(join(bin, name), 0o755);
  }
  process.env.RUNGS_PG_BIN = bin;
  onTestFinished(() => {
    delete process.env.RUNGS_PG_BIN;
    rmSync(bin, { recursive: true, force: true });
  });
}

describe('the check of a PostgreSQL database', () => {
  test('finds nothing in a sound one, and changes nothing in it', async () => {
    const url = await server.database();
    await server.query(url, richDatabase);
    expect(await check(url)).toEqual([]);
    const owned = await server.database({ owner: 'owner' });
    await server.query(owned, 'CREATE TABLE t (a serial); CREATE EXTENSION pgcrypto');
    expect(await check(owned)).toEqual([]);
  });

  test('a server that does not answer', async () => {
    const [finding] = await check('postgres://me:secret@127.0.0.1:1/x');
    expect(finding).toMatchObject({
      level: 'block',
      code: 'POSTGRES_UNREACHABLE',
      message: expect.stringContaining('"main"'.slice(1, -1)),
    });
    expect(JSON.stringify(finding)).not.toContain('secret');
  });

  test('a role that may not create databases gets the exact statement', async () => {
    const url = await server.database({ owner: 'plain' });
    const findings = await check(url);
    expect(findings).toMatchObject([
      { level: 'block', code: 'POSTGRES_NO_CREATEDB', hint: 'As a superuser: ALTER ROLE "plain" CREATEDB;' },
    ]);
    await server.query(url.replace('plain@', 'postgres@'), 'ALTER ROLE plain CREATEDB');
    expect(await check(url)).toEqual([]);
    await server.query(server.url('postgres'), 'ALTER ROLE plain NOCREATEDB');
  });

  test('a database of somebody else, with tables that may not be read', async () => {
    const url = await server.database();
    await server.query(url, 'CREATE TABLE hidden (a int); CREATE TABLE seen (a int); GRANT SELECT ON seen TO owner');
    const findings = await check(as(url, 'owner'));
    expect(findings.map(({ code }) => code)).toEqual(['POSTGRES_NOT_OWNER', 'POSTGRES_UNREADABLE']);
    expect(findings[0]?.hint).toContain('GRANT "postgres" TO "owner";');
    expect(findings[1]?.message).toContain('public.hidden');
    expect(findings[1]?.message).not.toContain('public.seen');
  });

  test('rows that a policy hides would be missing in the dump', async () => {
    const url = await server.database({ owner: 'owner' });
    await server.query(url, 'CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY');
    expect(await codes(url)).toEqual(['block POSTGRES_UNREADABLE']);
  });

  test('what only a superuser can put back', async () => {
    const url = await server.database({ owner: 'owner' });
    await server.query(as(url, 'postgres'), 'CREATE EXTENSION pageinspect; CREATE PUBLICATION everything FOR ALL TABLES');
    const findings = await check(url);
    expect(findings.map(({ code }) => code)).toContain('POSTGRES_NEEDS_SUPERUSER');
    expect(findings.find(({ code }) => code === 'POSTGRES_NEEDS_SUPERUSER')?.message).toMatch(/pageinspect.*everything/);
    expect(await codes(as(url, 'postgres'))).toEqual([]);
  });

  test('an index that is not valid is a warning', async () => {
    const url = await server.database();
    await server.query(url, 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)');
    await server.query(url, 'CREATE UNIQUE INDEX CONCURRENTLY once ON t (a)').catch(() => undefined);
    expect(await check(url)).toMatchObject([
      { level: 'warn', code: 'POSTGRES_INVALID_INDEXES', message: expect.stringContaining('public.once') },
    ]);
  });

  test('transactions that only read by default', async () => {
    const url = await server.database();
    await server.query(server.url('postgres'), `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`);
    expect(await codes(url)).toEqual(['block POSTGRES_READ_ONLY']);
  });

  test('an extension that a restore would bring in another version', async () => {
    const url = await server.database();
    await server.query(url, "CREATE EXTENSION hstore VERSION '1.4'");
    const [finding] = await check(url);
    expect(finding).toMatchObject({ level: 'block', code: 'POSTGRES_EXTENSION_OUTDATED', message: expect.stringContaining('hstore 1.4') });
    await server.query(url, 'ALTER EXTENSION hstore UPDATE');
    expect(await check(url)).toEqual([]);
  });

  test('no way to a database beside', async () => {
    const url = await server.database({ owner: 'owner' });
    await server.query(server.url('postgres'), 'REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC');
    try {
      expect(await codes(url)).toEqual(['block POSTGRES_NO_MAINTENANCE']);
    } finally {
      await server.query(server.url('postgres'), 'GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC');
    }
  });

  test('several problems are told at once', async () => {
    const url = await server.database();
    await server.query(url, 'CREATE TABLE t (a int)');
    fakePrograms('9.6.24', 'exit 1');
    expect(await codes(as(url, 'plain'))).toEqual([
      'block POSTGRES_TOOLS_OLDER',
      'block POSTGRES_NO_CREATEDB',
      'block POSTGRES_NOT_OWNER',
      'block POSTGRES_UNREADABLE',
    ]);
  });
});

describe('pg_dump and pg_restore', () => {
  test('an older pg_dump is refused, with both versions', async () => {
    fakePrograms('12.3', 'exit 1');
    const [finding] = await check(await server.database());
    expect(finding).toMatchObject({ level: 'block', code: 'POSTGRES_TOOLS_OLDER', message: expect.stringContaining('12.3') });
  });

  test('a folder without them is told by its name', async () => {
    fakePrograms('99', '');
    rmSync(join(process.env.RUNGS_PG_BIN ?? '', 'pg_restore'));
    const [finding] = await check(await server.database());
    expect(finding).toMatchObject({ code: 'POSTGRES_TOOLS_MISSING', message: expect.stringContaining(process.env.RUNGS_PG_BIN ?? '?') });
  });

  test('one that cannot log in is found by trying', async () => {
    fakePrograms('99.1', 'echo "pg_dump: error: connection refused by pg_hba.conf" >&2; exit 1');
    const [finding] = await check(await server.database());
    expect(finding).toMatchObject({ code: 'POSTGRES_DUMP_FAILED', message: expect.stringContaining('connection refused by pg_hba.conf') });
  });

  test('the password goes by the environment, never among the arguments', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'rungs-seen-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    fakePrograms('99.1', `echo "$@" > ${dir}/argv; echo "$PGPASSWORD" > ${dir}/password`);
    const url = new URL(await server.database());
    url.password = 'p@ss w/rd';
    expect(await check(url.href)).toEqual([]);
    expect(readFileSync(join(dir, 'argv'), 'utf8')).not.toContain('w/rd');
    expect(readFileSync(join(dir, 'password'), 'utf8')).toBe('p@ss w/rd\n');
  });

  test('are found in the system’s folders where PATH has none', async () => {
    const before = process.env.PATH;
    process.env.PATH = '/nowhere';
    try {
      expect((await findTools('main', { major: 13, version: '13.1' })).dump).toBe(join(programs() ?? '', 'pg_dump'));
    } finally {
      process.env.PATH = before;
    }
    await expect(findTools('main', { major: 1000, version: '1000.1' })).rejects.toMatchObject({
      failures: [{ code: 'POSTGRES_TOOLS_OLDER' }],
    });
  });

  test('an abort ends a program that runs', async () => {
    await expect(runTool('sleep', ['600'], { signal: AbortSignal.timeout(50) })).rejects.toThrow();
  });
});

describe('a connection', () => {
  test('that is cut in the middle of a dump is told by the dump, and leaves no file', async () => {
    const url = await server.database();
    await server.query(url, 'CREATE TABLE t AS SELECT i FROM generate_series(1, 10) i');
    // Holds the dump up where it takes its locks.
    const holder = new pg.Client({ connectionString: url, application_name: 'holder' });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
    const file = join(mkdtempSync(join(tmpdir(), 'rungs-cut-')), 'dump');
    const dumping = dumpPostgres(targetOf(url), file, { name: 'main' }).then(
      () => [],
      (error: unknown) => failuresOf(error),
    );
    for (let ended = 0; ended === 0;) {
      const rows = await server.query(
        server.url('postgres'),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rungs backup' AND wait_event_type = 'Lock'",
      );
      ended = rows.length;
    }
    await holder.query('ROLLBACK');
    await holder.end();
    expect(await dumping).toMatchObject([{ code: 'POSTGRES_DUMP_FAILED' }]);
    expect(() => readFileSync(file)).toThrow('ENOENT');
  });

  test('a pooler of transactions is told from one of sessions, and from none', async () => {
    const url = await server.database();
    const through = async (mode: 'transaction' | 'session') => {
      const pooled = new URL(url);
      pooled.port = String(await startPooler(server.port, mode));
      return pooled.href;
    };
    const detect = async (address: string, hasAnother: boolean): Promise<boolean> => {
      const client = await connectPostgres(targetOf(address), { name: 'main' });
      try {
        return await detectPooler(client, hasAnother ? () => connectPostgres(targetOf(address), { name: 'main' }) : undefined);
      } finally {
        await client.end();
      }
    };
    const [transactions, sessions] = [await through('transaction'), await through('session')];
    expect(await detect(transactions, true)).toBe(true);
    expect(await detect(sessions, true)).toBe(false);
    // Who cannot look twice takes no chances.
    expect(await detect(sessions, false)).toBe(true);
    expect(await detect(url, false)).toBe(false);
    expect(await codes(transactions)).toEqual(['block POSTGRES_POOLER']);
  });
});
