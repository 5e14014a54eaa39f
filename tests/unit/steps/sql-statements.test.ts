import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foreignKeysPragma, lineAt, splitStatements, transactionWord } from '../../../src/steps/host/sql-statements.ts';

const texts = (sql: string): readonly string[] => splitStatements(sql).map(({ text }) => text);

describe('statements', () => {
  test.each([
    { why: 'nothing', sql: '', expected: [] },
    { why: 'comments only', sql: '-- a;\n/* b; */ ;;', expected: [] },
    { why: 'no semicolon at the end', sql: 'SELECT 1; SELECT 2', expected: ['SELECT 1;', 'SELECT 2'] },
    {
      why: 'semicolons in literals and names',
      sql: `SELECT ';', "a;b", \`c;d\`, [e;f], 'it''s;';SELECT 2;`,
      expected: [`SELECT ';', "a;b", \`c;d\`, [e;f], 'it''s;';`, 'SELECT 2;'],
    },
    {
      why: 'semicolons in comments',
      sql: 'SELECT 1 -- ;\n + 1 /* ; */;SELECT 2;',
      expected: ['SELECT 1 -- ;\n + 1 /* ; */;', 'SELECT 2;'],
    },
    {
      why: 'a trigger',
      sql: 'CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM a; END; SELECT 1;',
      expected: ['CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM a; END;', 'SELECT 1;'],
    },
    {
      why: 'a temporary trigger',
      sql: 'create temp trigger t after insert on a begin select 1; end; select 2;',
      expected: ['create temp trigger t after insert on a begin select 1; end;', 'select 2;'],
    },
    {
      why: 'a table that is called trigger',
      sql: 'CREATE TABLE trigger_log (a); SELECT 1;',
      expected: ['CREATE TABLE trigger_log (a);', 'SELECT 1;'],
    },
    { why: 'a literal that does not end', sql: `SELECT 'abc; SELECT 2;`, expected: [`SELECT 'abc; SELECT 2;`] },
  ])('$why', ({ sql, expected }) => expect(texts(sql)).toEqual(expected));

  test('every statement stands in the text where its offset says, and none is lost', () => {
    const piece = fc.constantFrom('SELECT 1', `';'`, '"x;"', '-- c;\n', '/* ; */', ';', ' ', '\n', 'END', 'CREATE TRIGGER t', 'BEGIN');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const sql = pieces.join(' ');
        const statements = splitStatements(sql);
        for (const { text, offset } of statements) expect(sql.slice(offset, offset + text.length)).toBe(text);
        const words = (text: string): number => text.match(/SELECT 1/g)?.length ?? 0;
        expect(statements.reduce((sum, { text }) => sum + words(text), 0)).toBe(words(sql));
      }),
    );
  });
});

test.each([
  ['BEGIN', 'BEGIN'],
  ['begin immediate', 'BEGIN'],
  ['COMMIT', 'COMMIT'],
  ['END TRANSACTION', 'END'],
  ['ROLLBACK', 'ROLLBACK'],
  ['/* x */ -- y\n commit', 'COMMIT'],
  ['ROLLBACK TO a', null],
  ['ROLLBACK TRANSACTION TO a', null],
  ['SAVEPOINT a', null],
  ['SELECT 1', null],
  ['CREATE TABLE "BEGIN" (a)', null],
])('%s: %s', (sql, word) => expect(splitStatements(sql).map(transactionWord)).toEqual([word]));

test.each([
  ['PRAGMA foreign_keys = OFF', 'off'],
  ['pragma foreign_keys(0)', 'off'],
  ['PRAGMA main.foreign_keys=on', 'on'],
  ['PRAGMA foreign_keys', null],
  ['PRAGMA journal_mode = WAL', null],
])('%s: %s', (sql, expected) => expect(splitStatements(sql).map(foreignKeysPragma)).toEqual([expected]));

test('lines count from 1', () => expect([lineAt('a\nb', 0), lineAt('a\nb', 2)]).toEqual([1, 2]));
