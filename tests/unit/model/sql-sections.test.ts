import { expect, test } from 'vitest';
import { hasStatement, splitSql } from '../../../src/model/sql-sections.ts';

test.each([
  { why: 'behind an escape string with a quote in it', sql: String.raw`SELECT E'it\'s';` },
  { why: 'behind a comment in a comment', sql: '/* a /* b */\n-- backward\n */ SELECT 1;' },
  { why: "behind a comment that ends as SQLite's do", sql: '/* a /* b */ SELECT 1; /* c */' },
  { why: 'behind a dollar quote that has the line in it', sql: 'SELECT $a$\n-- backward\n$a$;' },
  { why: 'behind names with dollars', sql: 'SELECT a$b$c, d$b$e;' },
])('a backward is found $why', ({ sql }) => {
  expect(splitSql(`${sql}\n-- backward\nSELECT 'back';\n`)).toEqual({ forward: sql, backward: "SELECT 'back';" });
});

test.each([
  ['/* a /* b */ c */ ;', false],
  ['-- a', false],
  ['/* a */ SELECT 1', true],
])('%s has a statement: %s', (sql, expected) => {
  expect(hasStatement(sql)).toBe(expected);
});
