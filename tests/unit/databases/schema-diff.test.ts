// What counts as a difference between two SQLite databases, and what does not: how a definition is written.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareSchemas } from '../../../src/databases/schema-diff.ts';
import { dumpSqliteSchema } from '../../../src/databases/schema-dump.ts';
import type { SchemaComparison } from '../../../src/model/schema.ts';
import { renderSchemaDiff } from '../../../src/report/schema-diff.ts';

let dir = '';
let made = 0;
beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'rungs-schemas-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function compared(fresh: string, ladder: string): Promise<SchemaComparison> {
  const dumps = await Promise.all(
    [fresh, ladder].map((sql) => {
      const file = path.join(dir, `${(made += 1)}.db`);
      const db = new DatabaseSync(file);
      db.exec(sql);
      db.close();
      return dumpSqliteSchema(file);
    }),
  );
  const [one, other] = dumps;
  if (one === undefined || other === undefined) throw new Error('no dumps');
  return compareSchemas(one, other);
}

test.each([
  [
    'white space and comments',
    'CREATE TABLE t (a TEXT)',
    'CREATE  TABLE t (\n a TEXT -- why\n, /* no more */ b INT); ALTER TABLE t DROP COLUMN b',
  ],
  ['quotes and capitals', 'CREATE TABLE t (a TEXT, "b" integer)', 'create table "t" ([a] text, `b` INTEGER)'],
  [
    'a column that came later',
    "CREATE TABLE t (a TEXT, b TEXT DEFAULT 'x')",
    "CREATE TABLE t (a TEXT); ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'",
  ],
  [
    'a rebuilt table',
    'CREATE TABLE t (a TEXT NOT NULL)',
    'CREATE TABLE t (a TEXT); CREATE TABLE n (a TEXT NOT NULL); DROP TABLE t; ALTER TABLE n RENAME TO t',
  ],
  [
    'a renamed column',
    'CREATE TABLE t (b TEXT CHECK (b <> 1))',
    'CREATE TABLE t (a TEXT CHECK ((a != 1))); ALTER TABLE t RENAME COLUMN a TO b',
  ],
  ['where the primary key is written', 'CREATE TABLE t (a INTEGER PRIMARY KEY)', 'CREATE TABLE t (a INTEGER, PRIMARY KEY (a))'],
  [
    'the key that a reference means',
    'CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (a REFERENCES p)',
    'CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (a REFERENCES p(id))',
  ],
  ['brackets around a default', 'CREATE TABLE t (a DEFAULT (1), b DEFAULT "x")', "CREATE TABLE t (a DEFAULT 1, b DEFAULT 'x')"],
  [
    'IF NOT EXISTS and ASC',
    'CREATE TABLE t (a); CREATE INDEX IF NOT EXISTS i ON t (a ASC)',
    'CREATE TABLE t (a); CREATE INDEX "i" ON "t"("a")',
  ],
  [
    'the wording of a view',
    'CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t',
    'CREATE TABLE t (a); create view if not exists "v" as\n  select "a" -- all\n from t;',
  ],
  [
    'the bookkeeping of Rungs',
    'CREATE TABLE t (a)',
    'CREATE TABLE t (a); CREATE TABLE _rungs_marker (run_id TEXT, step_id TEXT, value TEXT, PRIMARY KEY (run_id, step_id)) WITHOUT ROWID',
  ],
])('%s does not count', async (_, fresh, ladder) => {
  expect(await compared(fresh, ladder)).toEqual({ differences: [], minor: [], rows: [], records: [] });
});

const base = 'CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT); CREATE TABLE t (a TEXT, b INTEGER);';
const table = (definition: string): string => `CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT); CREATE TABLE t (${definition});`;

test.each([
  ['a table', `${base} CREATE TABLE more (x TEXT NOT NULL)`, base, ['+ table more']],
  [
    'a table of the ladder, without telling each of its columns',
    base,
    `${base} CREATE TABLE more (x); CREATE INDEX m ON more (x)`,
    ['- table more'],
  ],
  ['a column', table('a TEXT, b INTEGER, c TEXT'), base, ['+ column t.c', '+     type: text']],
  ['a type', base, table('a TEXT, b TEXT'), ['~ column t.b', '  + type: integer', '  - type: text']],
  [
    'a default',
    table("a TEXT DEFAULT 'X', b INTEGER"),
    table("a TEXT DEFAULT 'x', b INTEGER"),
    ['~ column t.a', "  + default: 'X'", "  - default: 'x'"],
  ],
  ['NOT NULL', table('a TEXT NOT NULL, b INTEGER'), base, ['~ column t.a', '  + not null']],
  ['a collation', base, table('a TEXT COLLATE NOCASE, b INTEGER'), ['~ column t.a', '  - collation: nocase']],
  [
    'a generated column',
    table('a TEXT, b INTEGER AS (a + 1) STORED'),
    table('a TEXT, b INTEGER AS (a + 1)'),
    ['~ column t.b', '  + generated: a + 1 stored', '  - generated: a + 1 virtual'],
  ],
  ['a primary key', table('a TEXT, b INTEGER, PRIMARY KEY (a, b)'), base, ['~ table t', '  + primary key: a, b']],
  [
    'AUTOINCREMENT',
    table('a TEXT, b INTEGER PRIMARY KEY AUTOINCREMENT'),
    table('a TEXT, b INTEGER PRIMARY KEY'),
    ['~ table t', '  + autoincrement'],
  ],
  [
    'STRICT and WITHOUT ROWID',
    'CREATE TABLE t (a TEXT PRIMARY KEY) STRICT, WITHOUT ROWID',
    'CREATE TABLE t (a TEXT PRIMARY KEY)',
    ['~ table t', '  + without rowid', '  + strict', '~ column t.a', '  + not null'],
  ],
  ['a unique constraint', table('a TEXT UNIQUE, b INTEGER'), base, ['+ unique t(a)']],
  ['a check', base, table("a TEXT CHECK (a IN ('x', 'Y')), b INTEGER"), ["- check t: a in('x', 'Y')"]],
  ['a foreign key', table('a TEXT, b INTEGER REFERENCES p(id)'), base, ['+ foreign key t(b) → p(id)']],
  [
    'what a foreign key does',
    table('a TEXT, b INTEGER REFERENCES p(id) ON DELETE CASCADE'),
    table('a TEXT, b INTEGER REFERENCES p(id)'),
    ['~ foreign key t(b) → p(id)', '  + on delete: cascade'],
  ],
  [
    'when a foreign key is looked at',
    table('a TEXT REFERENCES p(n), b INTEGER REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED'),
    table('a TEXT REFERENCES p(n), b INTEGER REFERENCES p(id)'),
    ['~ foreign key t(b) → p(id)', '  + deferrable: initially deferred'],
  ],
  ['an index', `${base} CREATE INDEX i ON t(a)`, base, ['+ index i', '+     definition: on t(a)']],
  [
    'what an index is on',
    `${base} CREATE UNIQUE INDEX i ON t(a) WHERE b > 1`,
    `${base} CREATE INDEX i ON t(a DESC)`,
    ['~ index i', '  + definition: on t(a) where b > 1', '  - definition: on t(a desc)', '  + unique'],
  ],
  [
    'a view',
    `${base} CREATE VIEW v AS SELECT a FROM t`,
    `${base} CREATE VIEW v AS SELECT b FROM t`,
    ['~ view v', '  + definition: as select a from t', '  - definition: as select b from t'],
  ],
  [
    'a trigger',
    base,
    `${base} CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM p; END`,
    ['- trigger r', '-     definition: after insert on t begin delete from p; end'],
  ],
  [
    'a virtual table',
    `${base} CREATE VIRTUAL TABLE f USING fts5(a)`,
    `${base} CREATE VIRTUAL TABLE f USING fts5(a, b)`,
    ['~ virtual table f', '  + definition: using fts5(a)', '  - definition: using fts5(a, b)'],
  ],
  ['user_version', `${base} PRAGMA user_version = 3`, base, ['~ setting user_version', '  + value: 3', '  - value: 0']],
])('%s counts and is told', async (_, fresh, ladder, lines) => {
  const comparison = await compared(fresh, ladder);
  expect(renderSchemaDiff(comparison).slice(1)).toEqual(lines);
  expect(comparison.differences).not.toEqual([]);
});

test('the order of columns is minor, and rows are the same in any order', async () => {
  const fresh = "CREATE TABLE t (b TEXT, a TEXT); INSERT INTO t (a, b) VALUES ('1', 'x'), ('2', 'y')";
  const ladder = "CREATE TABLE t (a TEXT); ALTER TABLE t ADD COLUMN b TEXT; INSERT INTO t VALUES ('2', 'y'), ('1', 'x')";
  expect(await compared(fresh, ladder)).toEqual({
    differences: [],
    minor: [{ kind: 'table', name: 't', side: 'differs', facts: [{ name: 'order of columns', fresh: 'b, a', ladder: 'a, b' }] }],
    rows: [],
    records: [],
  });
});

test('seed rows are compared by count and by value', async () => {
  const { rows } = await compared(
    'CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)',
    'CREATE TABLE t (a); CREATE TABLE u (a); INSERT INTO t VALUES (1), (1); INSERT INTO u VALUES (2)',
  );
  expect(rows).toEqual([
    { table: 't', fresh: 1, ladder: 2, kind: 'counts' },
    { table: 'u', fresh: 1, ladder: 1, kind: 'values' },
  ]);
});

test("another tool's record that one side has is left out, and told", async () => {
  const record = 'CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT)';
  const comparison = await compared(base, `${base} ${record}; CREATE INDEX m ON schema_migrations (name)`);
  expect(comparison).toEqual({
    differences: [],
    minor: [],
    rows: [],
    records: [{ table: 'schema_migrations', side: 'only in the ladder' }],
  });
  expect(renderSchemaDiff(comparison).join('\n')).toMatch(/schema_migrations.*left out/);
});
