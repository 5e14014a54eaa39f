// Reading, copying, checking and digesting SQLite databases: with other processes at them, with what a crash leaves behind, and without leaving a trace.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { createDatabases } from '../../../src/databases/check.ts';
import { copyDatabase, foreignKeyCheck, integrityCheck, logicalDigest } from '../../../src/databases/sqlite.ts';
import { UpgradeError } from '../../../src/model/failure.ts';

function folder(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'rungs-databases-')));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function make(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

/** A process that runs SQL on a database, says so, and then keeps the database open. */
async function holder(file: string, sql: string): Promise<ChildProcess> {
  const code = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[1]);
    database.exec(process.argv[2]);
    process.stdout.write('ready');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', code, file, sql], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function traces(dir: string): unknown {
  const own = statSync(dir, { bigint: true });
  return [
    own.mtimeNs,
    ...readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'base64'), statSync(join(dir, name), { bigint: true }).mtimeNs]),
  ];
}

async function codesOf(promise: Promise<unknown>): Promise<readonly string[]> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof UpgradeError)) throw new Error(`not refused: ${String(error)}`);
  return error.failures.map(({ code }) => code);
}

const base = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v); ';

test.each([
  { what: 'NULL and empty text', one: 'INSERT INTO t (v) VALUES (NULL)', other: "INSERT INTO t (v) VALUES ('')" },
  { what: 'empty text and an empty blob', one: "INSERT INTO t (v) VALUES ('')", other: "INSERT INTO t (v) VALUES (x'')" },
  { what: 'the number 0 and the text 0', one: 'INSERT INTO t (v) VALUES (0)', other: "INSERT INTO t (v) VALUES ('0')" },
  { what: 'an integer and a real', one: 'INSERT INTO t (v) VALUES (1)', other: 'INSERT INTO t (v) VALUES (1.0)' },
  { what: 'reals that differ in the last bit', one: 'INSERT INTO t (v) VALUES (0.1 + 0.2)', other: 'INSERT INTO t (v) VALUES (0.3)' },
  {
    what: 'integers beyond 2^53',
    one: 'INSERT INTO t (v) VALUES (9007199254740993)',
    other: 'INSERT INTO t (v) VALUES (9007199254740992)',
  },
  {
    what: 'text after a zero byte',
    one: "INSERT INTO t (v) VALUES ('a' || char(0) || 'b')",
    other: "INSERT INTO t (v) VALUES ('a' || char(0) || 'c')",
  },
  {
    what: 'bytes that are not UTF-8',
    one: "INSERT INTO t (v) VALUES (CAST(x'ff' AS TEXT))",
    other: "INSERT INTO t (v) VALUES (CAST(x'fe' AS TEXT))",
  },
  { what: 'text and a blob of the same bytes', one: "INSERT INTO t (v) VALUES ('a')", other: "INSERT INTO t (v) VALUES (x'61')" },
  { what: 'a value moved to the next row', one: "INSERT INTO t (v) VALUES ('ab'), ('c')", other: "INSERT INTO t (v) VALUES ('a'), ('bc')" },
  { what: 'the schema', one: 'CREATE INDEX i ON t (v)', other: '' },
  { what: 'a trigger', one: 'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END', other: '' },
  { what: 'user_version', one: 'PRAGMA user_version = 2', other: '' },
  { what: 'application_id', one: 'PRAGMA application_id = 2', other: '' },
  {
    what: 'the number that AUTOINCREMENT gives next',
    one: 'CREATE TABLE s (i INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO s DEFAULT VALUES; DELETE FROM s',
    other: 'CREATE TABLE s (i INTEGER PRIMARY KEY AUTOINCREMENT)',
  },
])('the digest tells apart: $what', async ({ one, other }) => {
  const dir = folder();
  make(join(dir, 'one.db'), base + one);
  make(join(dir, 'other.db'), base + other);
  expect((await logicalDigest(join(dir, 'one.db'))).digest).not.toBe((await logicalDigest(join(dir, 'other.db'))).digest);
});

test.each([
  {
    what: 'the order of insertion',
    one: "CREATE TABLE u (a, b); INSERT INTO u VALUES (2, 'x'), (1, NULL), (1, 'y')",
    other: "CREATE TABLE u (a, b); INSERT INTO u VALUES (1, 'y'), (2, 'x'), (1, NULL)",
  },
  { what: 'the journal mode', one: 'PRAGMA journal_mode = wal', other: '' },
  { what: 'free space', one: 'INSERT INTO t (v) VALUES (zeroblob(100000)); DELETE FROM t', other: '' },
  { what: 'the page size', one: 'PRAGMA page_size = 512; VACUUM', other: '' },
  {
    what: 'the marker table of SQL steps',
    one: 'CREATE TABLE _rungs_marker (step TEXT PRIMARY KEY); INSERT INTO _rungs_marker VALUES (1)',
    other: '',
  },
  {
    what: 'statistics',
    one: 'CREATE TABLE w (a); CREATE INDEX wi ON w (a); INSERT INTO w VALUES (1); ANALYZE',
    other: 'CREATE TABLE w (a); CREATE INDEX wi ON w (a); INSERT INTO w VALUES (1)',
  },
  {
    what: 'an AUTOINCREMENT table that came and went',
    one: 'CREATE TABLE s (i INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO s DEFAULT VALUES; DROP TABLE s',
    other: '',
  },
])('the digest does not depend on $what', async ({ one, other }) => {
  const dir = folder();
  make(join(dir, 'one.db'), base + one);
  make(join(dir, 'other.db'), base + other);
  expect(await logicalDigest(join(dir, 'one.db'))).toEqual(await logicalDigest(join(dir, 'other.db')));
});

test('every kind of table is digested: WITHOUT ROWID, generated columns, UTF-16, virtual, 300 columns, odd names', async () => {
  const dir = folder();
  const many = Array.from({ length: 300 }, (_, index) => `c${index}`).join(', ');
  const sql = `PRAGMA encoding = 'UTF-16le';
    CREATE TABLE w (a TEXT, b, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO w VALUES ('é', 1), ('b', 1);
    CREATE TABLE g (a, b AS (a * 2), c AS (a) STORED); INSERT INTO g VALUES (4);
    CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('hello');
    CREATE TABLE many (${many}); INSERT INTO many (c0, c299) VALUES (1, x'00ff00');
    CREATE TABLE "odd ""name" ("a b" COLLATE NOCASE PRIMARY KEY, "select"); INSERT INTO "odd ""name" VALUES ('A', 1), (NULL, 2), (NULL, 3);
    CREATE VIEW v AS SELECT * FROM missing_table;`;
  make(join(dir, 'a.db'), sql);
  make(join(dir, 'b.db'), `${sql} UPDATE many SET c299 = x'00fe00'`);
  const [a, b] = [await logicalDigest(join(dir, 'a.db')), await logicalDigest(join(dir, 'b.db'))];
  expect(a.tables['w']?.rows).toBe(2);
  expect(a.tables['odd "name']?.rows).toBe(3);
  expect(a.tables['f']).toBeUndefined();
  expect(a.tables['f_content']?.rows).toBe(1);
  expect(Object.keys(a.tables).filter((name) => a.tables[name]?.digest !== b.tables[name]?.digest)).toEqual(['many']);
});

test('a copy holds what is only in the WAL of a process that has the database open, and that process goes on writing', async () => {
  const dir = folder();
  const file = join(dir, 'live.db');
  await holder(file, `PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; ${base} INSERT INTO t (v) VALUES ('only in the WAL')`);
  expect(readFileSync(file).includes('only in the WAL')).toBe(false);
  await copyDatabase(file, join(dir, 'copy.db'));
  expect(readFileSync(join(dir, 'copy.db')).includes('only in the WAL')).toBe(true);
  expect(await logicalDigest(join(dir, 'copy.db'))).toEqual(await logicalDigest(file));
  make(file, "INSERT INTO t (v) VALUES ('later')");
  expect(await logicalDigest(join(dir, 'copy.db'))).not.toEqual(await logicalDigest(file));
});

test.each([
  {
    what: 'a WAL database at rest',
    leave: async (file: string) => make(file, `PRAGMA journal_mode = wal; ${base} INSERT INTO t (v) VALUES (1)`),
    rows: 1,
  },
  {
    what: 'a WAL that a killed process left behind',
    leave: async (file: string) =>
      killed(await holder(file, `PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; ${base} INSERT INTO t (v) VALUES (1), (2)`)),
    rows: 2,
  },
  {
    what: 'a hot journal that a killed process left behind',
    leave: async (file: string) => {
      make(file, `${base} INSERT INTO t (v) VALUES (1), (2), (3)`);
      await killed(
        await holder(
          file,
          'PRAGMA cache_size = 1; PRAGMA synchronous = off; BEGIN; DELETE FROM t; INSERT INTO t (v) SELECT zeroblob(4000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT i FROM n)',
        ),
      );
      expect(statSync(`${file}-journal`).size).toBeGreaterThan(0);
    },
    rows: 3,
  },
])('$what is read to its last commit without a trace', async ({ leave, rows }) => {
  const dir = folder();
  const file = join(dir, 'a.db');
  await leave(file);
  const before = traces(dir);
  const elsewhere = folder();
  expect((await logicalDigest(file)).tables['t']?.rows).toBe(rows);
  expect(await integrityCheck(file)).toEqual([]);
  expect(await foreignKeyCheck(file)).toEqual([]);
  await copyDatabase(file, join(elsewhere, 'copy.db'));
  expect(await createDatabases({ databases: { a: { kind: 'sqlite', file } } }).check()).toEqual([]);
  expect(traces(dir)).toEqual(before);
  expect((await logicalDigest(join(elsewhere, 'copy.db'))).tables['t']?.rows).toBe(rows);
});

test('a database that stays locked is given up after the deadline, and one that is released in time is read', async () => {
  const file = join(folder(), 'a.db');
  make(file, `${base} INSERT INTO t (v) VALUES (1)`);
  const child = await holder(file, 'BEGIN EXCLUSIVE');
  expect(await codesOf(logicalDigest(file, { name: 'app', deadlineMs: 300 }))).toEqual(['DATABASE_BUSY']);
  const read = logicalDigest(file, { deadlineMs: 30_000 });
  await killed(child);
  expect((await read).tables['t']?.rows).toBe(1);
});

test('every problem of every database is found at once', async () => {
  const dir = folder();
  const at = (name: string): string => join(dir, name);
  make(at('good.db'), base);
  make(
    at('keys.db'),
    'CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); PRAGMA foreign_keys = off; INSERT INTO c VALUES (7)',
  );
  make(
    at('torn.db'),
    `${base} INSERT INTO t (v) SELECT hex(randomblob(500)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) SELECT i FROM n); CREATE INDEX i ON t (v)`,
  );
  const torn = readFileSync(at('torn.db'));
  torn.fill(0x5a, 40 * 4096, 60 * 4096);
  writeFileSync(at('torn.db'), torn);
  writeFileSync(at('text.db'), 'this is not a database, whatever its name says');
  mkdirSync(at('folder.db'));
  const sqliteFile = (name: string): { kind: 'sqlite'; file: string } => ({ kind: 'sqlite', file: at(name) });
  const findings = await createDatabases({
    databases: {
      good: sqliteFile('good.db'),
      keys: sqliteFile('keys.db'),
      torn: sqliteFile('torn.db'),
      text: sqliteFile('text.db'),
      folder: sqliteFile('folder.db'),
      new: sqliteFile('new.db'),
      lost: sqliteFile('nowhere/x.db'),
      main: { kind: 'postgres', url: 'postgres://127.0.0.1:1/x', attempts: 1, backoffMs: 1 },
    },
  }).check();
  expect(findings.map(({ level, code }) => `${level} ${code}`)).toEqual([
    'block DATABASE_FOREIGN_KEYS',
    'block DATABASE_CORRUPT',
    'block DATABASE_CORRUPT',
    'block DATABASE_UNREACHABLE',
    'warn DATABASE_MISSING',
    'block DATABASE_UNREACHABLE',
    'block POSTGRES_UNREACHABLE',
  ]);
  expect(findings[0]?.message).toContain('c → p (row 1)');
});

test('what another tool dumps from a copy is what it dumps from the original', async ({ skip }) => {
  if (spawnSync('sqlite3', ['--version']).status !== 0) skip('sqlite3 is not installed (package sqlite3)');
  const dir = folder();
  make(join(dir, 'a.db'), `${base} INSERT INTO t (v) VALUES (NULL), (''), (x''), (1.5), ('é'); PRAGMA user_version = 3`);
  chmodSync(join(dir, 'a.db'), 0o640);
  await copyDatabase(join(dir, 'a.db'), join(dir, 'b.db'));
  const dumps = ['a.db', 'b.db'].map((name) => spawnSync('sqlite3', [join(dir, name), '.dump']).stdout.toString());
  expect(dumps[0]).toContain('INSERT');
  expect(dumps[1]).toBe(dumps[0]);
});
