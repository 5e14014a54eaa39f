import { describe, expect, test } from 'vitest';
import { hasStatement, splitSql } from '../../../src/model/sql-sections.ts';

describe('an SQL step is split into forward and backward', () => {
  test.each([
    { why: 'a file without markers is all forward', text: 'SELECT 1;\n', forward: 'SELECT 1;', backward: null },
    { why: 'both sections', text: '-- forward\nA;\n-- backward\nB;\n', forward: 'A;', backward: 'B;' },
    { why: 'the order of sections does not matter', text: '-- backward\nB;\n-- forward\nA;', forward: 'A;', backward: 'B;' },
    { why: 'what lies above the first marker is forward', text: 'X;\n-- backward\nB;', forward: 'X;', backward: 'B;' },
    { why: 'case, colon and spaces are free', text: '  --FORWARD: \nA;\n-- Backward\nB;', forward: 'A;', backward: 'B;' },
    { why: 'CRLF and a byte order mark', text: '\uFEFF-- forward\r\nA;\r\n-- backward\r\nB;\r\n', forward: 'A;', backward: 'B;' },
    { why: 'an empty backward is an empty string', text: 'A;\n-- backward\n', forward: 'A;', backward: '' },
    {
      why: 'a comment that goes on is no marker',
      text: 'A;\n-- backward compatible\nB;',
      forward: 'A;\n-- backward compatible\nB;',
      backward: null,
    },
    {
      why: 'a marker inside a literal is text',
      text: "INSERT INTO t VALUES ('\n-- backward\n');",
      forward: "INSERT INTO t VALUES ('\n-- backward\n');",
      backward: null,
    },
    {
      why: 'a marker inside a dollar quote is text',
      text: 'DO $x$\n-- backward\n$x$;\n-- backward\nB;',
      forward: 'DO $x$\n-- backward\n$x$;',
      backward: 'B;',
    },
    { why: 'a marker inside a block comment is text', text: 'A;\n/*\n-- backward\n*/', forward: 'A;\n/*\n-- backward\n*/', backward: null },
    { why: 'a quote in a line comment opens nothing', text: "-- don't\nA;\n-- backward\nB;", forward: "-- don't\nA;", backward: 'B;' },
  ])('$why', ({ text, forward, backward }) => {
    expect(splitSql(text)).toEqual({ forward, backward });
  });

  test.each([
    { sql: '', has: false },
    { sql: '-- only words\n/* and */ ;', has: false },
    { sql: '-- words\nDROP TABLE x', has: true },
  ])('"$sql" has a statement: $has', ({ sql, has }) => {
    expect(hasStatement(sql)).toBe(has);
  });
});
