import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownTransaction } from '../../../src/model/own-transaction.ts';
import { splitPostgres } from '../../../src/model/postgres-statements.ts';

const texts = (sql: string): readonly string[] => splitPostgres(sql).statements.map(({ text }) => text);

describe('statements', () => {
  test.each([
    { why: 'nothing', sql: '', expected: [] },
    { why: 'comments only', sql: '-- a;\n/* b; */ ;;', expected: [] },
    { why: 'no semicolon at the end', sql: 'SELECT 1; SELECT 2', expected: ['SELECT 1', 'SELECT 2'] },
    { why: 'literals and names', sql: `SELECT ';', "a;b", 'it''s;';SELECT 2;`, expected: [`SELECT ';', "a;b", 'it''s;'`, 'SELECT 2'] },
    { why: 'a backslash that escapes nothing', sql: String.raw`SELECT '\'; SELECT 2`, expected: [String.raw`SELECT '\'`, 'SELECT 2'] },
    {
      why: 'a backslash in an escape string',
      sql: String.raw`SELECT E'\';', e'\\'; SELECT 2`,
      expected: [String.raw`SELECT E'\';', e'\\'`, 'SELECT 2'],
    },
    { why: 'comments in comments', sql: '/* a /* b; */ ; */ SELECT 1; SELECT 2', expected: ['SELECT 1', 'SELECT 2'] },
    { why: 'dollar quotes', sql: 'SELECT $a$ ; $b$ ; $$ $a$; SELECT $$;$$', expected: ['SELECT $a$ ; $b$ ; $$ $a$', 'SELECT $$;$$'] },
    { why: 'a dollar in a name', sql: 'SELECT a$b$c; SELECT d$b$e', expected: ['SELECT a$b$c', 'SELECT d$b$e'] },
    { why: 'numbered parameters', sql: 'PREPARE p AS SELECT $1; SELECT $2', expected: ['PREPARE p AS SELECT $1', 'SELECT $2'] },
    {
      why: 'a rule',
      sql: 'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3',
      expected: ['CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)', 'SELECT 3'],
    },
    {
      why: 'a body in standard SQL',
      sql: 'CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END; SELECT 3',
      expected: ['CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END', 'SELECT 3'],
    },
  ])('$why', ({ sql, expected }) => expect(texts(sql)).toEqual(expected));

  test.each([
    ["SELECT 'a", true],
    ["SELECT 'a''", true],
    ["SELECT 'a'''", false],
    ["SELECT ''", false],
    ['SELECT "a', true],
    ['/* /* */', true],
    [String.raw`SELECT E'a\'`, true],
    [String.raw`SELECT E'a\\'`, false],
    ['SELECT $$ a $', true],
    ['SELECT 1 -- a', false],
  ])('is left open: %s: %s', (sql, isOpen) => expect(splitPostgres(sql).isOpen).toBe(isOpen));

  test('every statement stands in the text where its offset says', () => {
    const piece = fc.constantFrom(
      'SELECT 1',
      `';'`,
      '"x;"',
      '-- c;\n',
      '/* ; */',
      ';',
      ' ',
      '\n',
      '(',
      ')',
      '$$',
      'END',
      'BEGIN',
      "E'\\''",
      '/*',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const sql = pieces.join(' ');
        for (const { text, offset } of splitPostgres(sql).statements) expect(sql.slice(offset, offset + text.length)).toBe(text);
      }),
    );
  });
});

test.each([
  ['SELECT 1;\n\\copy t FROM x', ['command \\copy t FROM x']],
  ['SELECT \':a\', ":b", a::text, x[1:2], x[a:b] /* :c */ -- :d', []],
  ['SELECT :a, :\'b\', :"c"', ['variable :a', "variable :'b'", 'variable :"c"']],
  ['CALL f(a := 1)', []],
  ["SELECT json_object('a' :b)", []],
  ['COPY t (a) FROM STDIN WITH CSV', ['copy COPY … FROM stdin']],
  ["COPY t FROM '/x'", []],
  ['DO $$ BEGIN x := :y; END $$', []],
])('of psql in %s: %j', (sql, expected) => expect(splitPostgres(sql).psql.map(({ kind, text }) => `${kind} ${text}`)).toEqual(expected));

test.each([
  ['SELECT 1; SELECT 2', 'none'],
  ['BEGIN; SELECT 1; COMMIT', 'wrapped'],
  ['begin work; SELECT 1; end transaction;', 'wrapped'],
  ['START TRANSACTION; SELECT 1; COMMIT AND NO CHAIN; SELECT 2', 'wrapped'],
  ['BEGIN; SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a; RELEASE a; COMMIT', 'wrapped'],
  ['BEGIN; SELECT 1; ROLLBACK', 'ROLLBACK'],
  ['BEGIN; SELECT 1', 'BEGIN'],
  ['COMMIT; BEGIN', 'COMMIT'],
  ['BEGIN; COMMIT; BEGIN; COMMIT', 'BEGIN'],
  ['BEGIN; COMMIT AND CHAIN', 'COMMIT'],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT', 'BEGIN'],
  ["BEGIN; PREPARE TRANSACTION 'a'", 'PREPARE TRANSACTION'],
  ['DO $$ BEGIN COMMIT; END $$', 'none'],
])('%s: %s', (sql, expected) => {
  const own = ownTransaction(splitPostgres(sql).statements);
  expect(own.kind === 'several' ? own.word : own.kind).toBe(expected);
  if (own.kind === 'wrapped') expect(own.statements.some(({ head }) => /^(?:BEGIN|COMMIT|END|START)/.test(head))).toBe(false);
});
