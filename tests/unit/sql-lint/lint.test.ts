import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blankOtherSections, splitSql } from '../../../src/model/sql-sections.ts';
import { codesOf, findingsOf } from './support.ts';

const dialects = ['postgres', 'sqlite'] as const;

describe('places', () => {
  const place = async (text: string, dialect: (typeof dialects)[number]) =>
    (await findingsOf(text, { dialect, hasBackward: false })).map((found) => [found.code, found.place?.line, found.place?.column]);

  test.each(dialects)('are those of the statement, behind comments and letters of several bytes (%s)', async (dialect) => {
    expect(await place("-- é 😀\n/* ü\n */ SELECT 'é😀';  DELETE FROM a;\r\n\n\tUPDATE b SET x = 'ü'", dialect)).toEqual([
      ['SQL_NO_WHERE', 3, 20],
      ['SQL_NO_WHERE', 5, 2],
    ]);
  });

  test('are those of the part of an ALTER TABLE', async () => {
    const text =
      'ALTER TABLE a -- ü, ö\n  ADD x int DEFAULT f(1, 2),\n  DROP COLUMN y, ALTER z SET NOT NULL,\n  /* why */ ALTER w TYPE numeric(1, 2);\nDROP TABLE b';
    expect(await place(text, 'postgres')).toEqual([
      ['SQL_DEFAULT_REWRITES', 2, 13],
      ['SQL_DROP_WITHOUT_BACKWARD', 3, 3],
      ['SQL_SET_NOT_NULL', 3, 18],
      ['SQL_TYPE_CHANGE', 4, 13],
      ['SQL_DROP_WITHOUT_BACKWARD', 5, 1],
    ]);
  });

  test('are those of the constraint of a column', async () => {
    expect(await place('ALTER TABLE a\n  ADD x int\n    NOT NULL', 'sqlite')).toEqual([['SQL_ADD_NOT_NULL', 3, 5]]);
    expect(await place('ALTER TABLE a\n  ADD x int\n    NOT NULL', 'postgres')).toEqual([['SQL_ADD_NOT_NULL', 3, 5]]);
  });

  test('of a half are those of its file', async () => {
    const file = '\uFEFF-- forward\nSELECT 1;\r\n-- backward\nUPDATE a SET x = 1;\n-- forward\n  DELETE FROM b;';
    const { forward, backward } = blankOtherSections(file);
    expect(await place(forward, 'sqlite')).toEqual([['SQL_NO_WHERE', 6, 3]]);
    expect(await place(backward ?? '', 'sqlite')).toEqual([['SQL_NO_WHERE', 4, 1]]);
  });

  test('and the step are named', async () => {
    const [found] = await findingsOf('DELETE FROM a', { dialect: 'sqlite', file: '/x/001_x.sql', step: 'main/001_x' });
    expect(found).toMatchObject({ level: 'warn', place: { file: '/x/001_x.sql', line: 1, column: 1 } });
    expect(found?.message).toContain('main/001_x: DELETE FROM a');
  });
});

describe('what cannot be parsed', () => {
  test.each([
    { dialect: 'postgres', text: "SELECT 'é';\nSELECT * FORM x y", line: 2, column: 10 },
    { dialect: 'postgres', text: "SELECT '😀', x y z", line: 1, column: 18 },
    { dialect: 'sqlite', text: "SELECT 'é';\nSELEC 1", line: 2, column: 1 },
    { dialect: 'postgres', text: 'SELECT 1;\n\0', line: 2, column: 1 },
  ] as const)('is a warning at its place: $text', async ({ dialect, text, line, column }) => {
    const findings = await findingsOf(text, { dialect });
    expect(findings).toMatchObject([{ level: 'warn', code: 'SQL_UNPARSED', place: { line, column } }]);
  });

  test('is left to the database where psql is meant', async () => {
    expect(await codesOf('\\connect x\nSELECT 1', { dialect: 'postgres' })).toEqual([]);
    expect(await codesOf('COPY a FROM stdin;\n1\t2\n\\.\n', { dialect: 'postgres' })).toEqual([]);
    expect(await codesOf("SET LOCAL ROLE :'owner'", { dialect: 'postgres' })).toEqual([]);
    expect(await codesOf('SELEC', { dialect: 'postgres' })).toEqual(['SQL_UNPARSED']);
  });

  test('hides no waiver without a reason, and calls none unused', async () => {
    expect(await codesOf('-- rungs-allow: SQL_NO_WHERE why\nDELETE FROM', { dialect: 'sqlite' })).toEqual(['SQL_UNPARSED']);
    expect(await codesOf('-- rungs-allow: SQL_NO_WHERE\nDELETE FROM', { dialect: 'sqlite' })).toContain('SQL_WAIVER_NO_REASON');
  });

  test('may be thousands of levels deep', async () => {
    for (const text of [`SELECT ${'('.repeat(20_000)}1`, `SELECT ${'1+'.repeat(20_000)}1`, `SELECT ${'-'.repeat(3)}x`]) {
      for (const dialect of dialects) await findingsOf(text, { dialect });
    }
    expect(await codesOf('TRUNCATE a', { dialect: 'postgres' })).toEqual(['SQL_TRUNCATE']);
  });
});

describe('waivers', () => {
  test.each([
    { why: 'on the line before', text: '-- rungs-allow: SQL_NO_WHERE all are meant\nDELETE FROM a', left: [] },
    { why: 'on the same line', text: 'DELETE FROM a; -- rungs-allow: SQL_NO_WHERE all are meant', left: [] },
    { why: 'in small letters, with a reason in brackets', text: '-- rungs-allow: sql-no-where (all are meant)\nDELETE FROM a', left: [] },
    {
      why: 'one above the other',
      text: '-- rungs-allow: SQL_TRUNCATE small\n-- rungs-allow: SQL_NO_WHERE all\nTRUNCATE a; DELETE FROM b',
      left: [],
    },
    { why: 'for all of a statement', text: '-- rungs-allow: SQL_RENAME stopped\nALTER TABLE a\n  RENAME TO b', left: [] },
    {
      why: 'for a part of a statement',
      text: 'ALTER TABLE a\n-- rungs-allow: SQL_TYPE_CHANGE widened\nALTER x TYPE varchar(9),\nALTER y TYPE varchar(9)',
      left: ['SQL_TYPE_CHANGE'],
    },
    { why: 'not two lines before', text: '-- rungs-allow: SQL_NO_WHERE all\n\nDELETE FROM a', left: ['SQL_WAIVER_UNUSED', 'SQL_NO_WHERE'] },
    {
      why: 'not for the line after the next',
      text: '-- rungs-allow: SQL_NO_WHERE all\nDELETE FROM a;\nDELETE FROM b',
      left: ['SQL_NO_WHERE'],
    },
    { why: 'not of another code', text: '-- rungs-allow: SQL_RENAME x\nDELETE FROM a', left: ['SQL_WAIVER_UNUSED', 'SQL_NO_WHERE'] },
    { why: 'not without a reason', text: '-- rungs-allow: SQL_NO_WHERE\nDELETE FROM a', left: ['SQL_WAIVER_NO_REASON'] },
    { why: 'not of an unknown code', text: '-- rungs-allow: SQL_NO_WHER all\nDELETE FROM a', left: ['SQL_WAIVER_UNKNOWN', 'SQL_NO_WHERE'] },
    { why: 'not of a waiver', text: '-- rungs-allow: SQL_WAIVER_UNUSED x\nSELECT 1', left: ['SQL_WAIVER_UNKNOWN'] },
    { why: 'not in a literal', text: "INSERT INTO n VALUES ('\n-- rungs-allow: SQL_NO_WHERE x\n'); DELETE FROM a", left: ['SQL_NO_WHERE'] },
    {
      why: 'not between dollar quotes',
      text: 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$\n-- rungs-allow: SQL_NO_WHERE x\nSELECT 1 $x$; DELETE FROM a',
      left: ['SQL_NO_WHERE'],
    },
    { why: 'not as metadata', text: '-- rungs: { timeout: 1m }\n-- rungs-allow: SQL_NO_WHERE x\nDELETE FROM a', left: [] },
  ])('$why', async ({ text, left }) => {
    expect(await codesOf(text, { dialect: 'postgres' })).toEqual(left);
  });

  test('that waive nothing are found at their place', async () => {
    const [found] = await findingsOf('SELECT 1;\n  -- rungs-allow: SQL_RENAME stopped\n', { dialect: 'sqlite' });
    expect(found).toMatchObject({ code: 'SQL_WAIVER_UNUSED', place: { line: 2, column: 3 } });
  });
});

describe('whatever the text', () => {
  const words =
    `ALTER TABLE a ADD COLUMN x int NOT NULL DEFAULT DROP CREATE INDEX CONCURRENTLY ON ( ) , ; ' " $$ $x$ -- /* */ é 😀 \n \r\n RENAME TO
    UPDATE SET = 1 DELETE FROM WHERE PRAGMA foreign_keys BEGIN COMMIT END TRIGGER SELECT set_config VACUUM FULL rungs-allow: SQL_NO_WHERE [ ] \`  \\ \0 CHECK REFERENCES TYPE`.split(
      ' ',
    );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((chosen) => chosen.join(' ')),
  );

  test.each(dialects)('nothing is thrown, and every place is in the file (%s)', async (dialect) => {
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), async (sql, flag) => {
        const lines = sql.split('\n');
        for (const { place } of await findingsOf(sql, { dialect, hasBackward: flag, isInTransaction: flag })) {
          expect(place?.line).toBeGreaterThanOrEqual(1);
          expect(place?.line).toBeLessThanOrEqual(lines.length);
          expect(place?.column).toBeLessThanOrEqual((lines[(place?.line ?? 0) - 1] ?? '').length + 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('blanking the other half keeps every line break and every place of what is left', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('-- forward\n', '-- backward\r\n', 'SELECT 1;\n', "'\n", '/*', '*/', 'é'), { maxLength: 20 }),
        (parts) => {
          const file = parts.join('');
          const [blanked, split] = [blankOtherSections(file), splitSql(file)];
          const squeezed = (sql: string): string => sql.replace(/\s+/g, '');
          expect(squeezed(blanked.forward)).toBe(squeezed(split.forward));
          expect(blanked.backward === null).toBe(split.backward === null);
          expect(squeezed(blanked.backward ?? '')).toBe(squeezed(split.backward ?? ''));
          for (const half of [blanked.forward, blanked.backward ?? file]) {
            expect(half).toHaveLength(file.length);
            expect([...half].every((letter, at) => letter === ' ' || letter === file[at])).toBe(true);
            expect(half.match(/[\r\n]/g)).toEqual(file.match(/[\r\n]/g));
          }
        },
      ),
    );
  });
});
