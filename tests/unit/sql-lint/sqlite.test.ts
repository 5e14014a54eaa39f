import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { codesOf } from './support.ts';

interface Case {
  readonly code: string;
  readonly flagged: string;
  /** The nearest text that is fine. */
  readonly fine: string;
  readonly isInTransaction?: boolean;
  readonly hasBackward?: boolean;
}

const outside = { isInTransaction: false };
const noBackward = { hasBackward: false };
const rebuild = 'CREATE TABLE n (x); INSERT INTO n (x) SELECT x FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t';
const renamedFirst = 'ALTER TABLE t RENAME TO o; CREATE TABLE t (x); INSERT INTO t (x) SELECT x FROM o; DROP TABLE o';

const cases: readonly Case[] = [
  { code: 'SQL_NO_WHERE', flagged: 'ALTER TABLE t ADD x; UPDATE t SET x = 1, y = 2', fine: 'ALTER TABLE t ADD x; UPDATE T SET X = 1' },
  { code: 'SQL_NO_WHERE', flagged: 'UPDATE t SET x = 1', fine: 'UPDATE t SET x = 1 WHERE true' },
  { code: 'SQL_NO_WHERE', flagged: 'DELETE FROM t', fine: 'CREATE TABLE t (x); DELETE FROM t' },
  { code: 'SQL_NO_WHERE', flagged: 'DELETE FROM t', fine: 'CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; END' },
  { code: 'SQL_NOT_IN_TRANSACTION', flagged: 'VACUUM', fine: 'ANALYZE' },
  { code: 'SQL_NOT_IN_TRANSACTION', flagged: 'PRAGMA journal_mode = WAL', fine: 'PRAGMA journal_mode' },
  { code: 'SQL_NOT_IN_TRANSACTION', flagged: 'PRAGMA synchronous(OFF)', fine: 'PRAGMA user_version = 3' },
  { code: 'SQL_ATTACH', flagged: "ATTACH 'x.db' AS x", fine: 'SELECT 1' },
  { code: 'SQL_DROP_WITHOUT_BACKWARD', flagged: 'DROP TABLE t', fine: rebuild, ...noBackward },
  { code: 'SQL_DROP_WITHOUT_BACKWARD', flagged: 'DROP TABLE t', fine: 'DROP INDEX t', ...noBackward },
  { code: 'SQL_DROP_WITHOUT_BACKWARD', flagged: `${rebuild}; DROP TABLE u`, fine: renamedFirst, ...noBackward },
  {
    code: 'SQL_DROP_WITHOUT_BACKWARD',
    flagged: 'ALTER TABLE t DROP COLUMN x',
    fine: 'CREATE TEMP TABLE t (x, y); ALTER TABLE t DROP COLUMN x',
    ...noBackward,
  },
  {
    code: 'SQL_FOREIGN_KEYS_ON',
    flagged: `PRAGMA foreign_keys = ON; ${rebuild}`,
    fine: `PRAGMA foreign_keys = OFF; ${rebuild}; PRAGMA foreign_keys = ON`,
  },
  { code: 'SQL_FOREIGN_KEYS_ON', flagged: `PRAGMA foreign_keys(1); ${rebuild}`, fine: rebuild },
  { code: 'SQL_FOREIGN_KEYS_ON', flagged: rebuild, fine: `PRAGMA foreign_keys = 0; ${rebuild}`, ...outside },
  { code: 'SQL_REBUILD_ORDER', flagged: renamedFirst, fine: rebuild },
  { code: 'SQL_REBUILD_ORDER', flagged: renamedFirst, fine: 'ALTER TABLE t RENAME TO o; CREATE TABLE t (x)' },
  { code: 'SQL_REBUILD_ORDER', flagged: renamedFirst, fine: `PRAGMA legacy_alter_table = ON; ${renamedFirst}` },
  { code: 'SQL_LEGACY_ALTER_TABLE', flagged: 'PRAGMA legacy_alter_table = ON', fine: 'PRAGMA legacy_alter_table = OFF' },
];

test.each(cases)('$code: $flagged', async ({ code, flagged, fine, isInTransaction = true, hasBackward = true }) => {
  const options = { dialect: 'sqlite', isInTransaction, hasBackward } as const;
  expect(await codesOf(flagged, options)).toContain(code);
  expect(await codesOf(fine, options)).not.toContain(code);
});

// SQLite itself is the judge: what it refuses on a table with rows is reported, what it takes is not.
describe('ADD COLUMN', () => {
  test.each([
    'x TEXT',
    'x TEXT NOT NULL',
    'x TEXT NOT NULL DEFAULT NULL',
    'x TEXT NOT NULL DEFAULT (NULL)',
    "x TEXT NOT NULL DEFAULT ''",
    "x TEXT NOT NULL DEFAULT ('')",
    'x TEXT DEFAULT CURRENT_TIMESTAMP',
    'x TEXT DEFAULT (1 + 1)',
    'x TEXT DEFAULT (random())',
    'x INT DEFAULT -1',
    'x INT DEFAULT true',
    "x BLOB DEFAULT x'00'",
    'x TEXT UNIQUE',
    'x INTEGER PRIMARY KEY',
    'x AS (a) STORED',
    'x GENERATED ALWAYS AS (a) VIRTUAL',
    'x NOT NULL AS (id)',
    'x INT DEFAULT 1 REFERENCES p (id)',
    'x INT DEFAULT NULL REFERENCES p (id)',
    'x INT REFERENCES p (id)',
    'x TEXT NULL',
    'x TEXT COLLATE NOCASE CHECK (x IS NULL)',
  ])('%s', async (column) => {
    const text = `ALTER TABLE t ADD COLUMN ${column}`;
    const database = new DatabaseSync(':memory:');
    database.exec(
      "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x')",
    );
    let isTaken = true;
    try {
      database.exec(text);
    } catch {
      isTaken = false;
    } finally {
      database.close();
    }
    const codes = await codesOf(text, { dialect: 'sqlite' });
    if (isTaken) expect(codes).toEqual([]);
    else expect(codes.some((code) => code === 'SQL_ADD_NOT_NULL' || code === 'SQL_ADD_COLUMN_FAILS')).toBe(true);
  });
});

test('a harmless step has no findings at all', async () => {
  const text = `
    CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT, total AS (a * b) STORED, a INT, b INT) STRICT;
    CREATE TABLE pairs (a INT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID, STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS pairs_b ON pairs (b DESC) WHERE b IS NOT NULL;
    CREATE VIRTUAL TABLE found USING fts5(title, body, tokenize = 'porter');
    CREATE TRIGGER touched AFTER UPDATE OF a ON orders WHEN new.a <> old.a BEGIN UPDATE pairs SET b = 1; SELECT RAISE(ABORT, 'no'); END;
    ALTER TABLE users RENAME COLUMN name TO full_name;
    ALTER TABLE "users" ADD COLUMN [e-mail] TEXT DEFAULT 'none';
    INSERT INTO pairs VALUES (1, 2) ON CONFLICT (a, b) DO UPDATE SET b = excluded.b RETURNING *;
    SELECT data ->> '$.a', row_number() OVER (PARTITION BY a ORDER BY b) FROM orders;
    ;`;
  expect(await codesOf(text, { dialect: 'sqlite' })).toEqual([]);
});
