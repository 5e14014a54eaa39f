// `upgrade check` on SQL that hurts: every half of every step, in the dialect of its database, with waivers and --strict.
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { makeSmall } from './installation.ts';

const files = {
  'inst/upgrade.yaml': `product: small
version: { file: VERSION }
migrations: ../migrations
databases: { app: { sqlite: data/app.db }, main: { postgres: "postgres://someone:hidden-word@127.0.0.1:1/x" } }
ladders: { schema: { dir: ../steps, database: main } }
`,
  'migrations/v1.0.0_to_v1.1.0/001_add_email.sql': '-- rungs: { database: app }\nALTER TABLE users ADD COLUMN email TEXT;\n',
  'migrations/v1.1.0_to_v2.0.0/002_clean.sql': '-- rungs: { database: app }\n-- forward\nDELETE FROM users;\n-- backward\nVACUUM;\n',
  'migrations/v1.1.0_to_v2.0.0/003_index.up.sql':
    '-- rungs: { database: main, transaction: false }\nCREATE INDEX CONCURRENTLY i ON a (x);\n',
  'migrations/v1.1.0_to_v2.0.0/003_index.down.sql': '\n  DROP INDEX i;\n',
  'steps/001_first.sql': 'CREATE TABLE a (x int);\nCREATE INDEX a_x ON a (x);\n',
  'steps/002_second.sql': '-- rungs-allow: SQL_TRUNCATE it is a cache\nTRUNCATE cache;\nALTER TABLE a\n  ADD COLUMN y int NOT NULL;\n',
};
test('lists them by file, line and column, beside problems, and writes nothing', async () => {
  const { dir, upgrade } = makeSmall({ files });
  const before = snapshot(dir);
  const { code, stdout } = await upgrade(['check', '--json']);
  const { problems, findings } = JSON.parse(stdout);
  expect(problems).toEqual([]);
  expect(code).toBe(0);
  const at = (file: string, line: number, column: number) => ({ file: path.join(dir, file), line, column });
  expect(findings.map(({ level, code, place }: { level: string; code: string; place: object }) => ({ level, code, place }))).toEqual([
    { level: 'warn', code: 'SQL_NO_WHERE', place: at('migrations/v1.1.0_to_v2.0.0/002_clean.sql', 3, 1) },
    { level: 'warn', code: 'SQL_NOT_IN_TRANSACTION', place: at('migrations/v1.1.0_to_v2.0.0/002_clean.sql', 5, 1) },
    { level: 'warn', code: 'SQL_INDEX_NOT_CONCURRENT', place: at('migrations/v1.1.0_to_v2.0.0/003_index.down.sql', 2, 3) },
    { level: 'warn', code: 'SQL_ADD_NOT_NULL', place: at('steps/002_second.sql', 4, 20) },
  ]);
  expect(stdout).not.toContain('hidden-word');
  expect(snapshot(dir)).toEqual(before);
});

test('for people, and with --strict exit 2', async () => {
  const { dir, upgrade } = makeSmall({ files });
  const { code, stdout } = await upgrade(['check']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/SQL_NO_WHERE[^]*→[^]*no problems, 4 warnings\.\n$/);
  expect((await upgrade(['check', '--strict'])).code).toBe(2);
  // A problem is exit 2 with and without it, and the warnings are still there.
  appendFileSync(path.join(dir, 'steps/002_second.sql'), '-- rungs: { transactoin: false }\n');
  const wrong = await upgrade(['check']);
  expect(wrong.code).toBe(2);
  expect(wrong.stdout).toMatch(/\d+ problems?, \d+ warnings?\.\n$/);
});

test('what the run would fail on is a problem, with its line: words of psql, and a transaction of its own', async () => {
  const { dir, upgrade } = makeSmall({
    files: {
      ...files,
      'migrations/v1.0.0_to_v1.1.0/001_add_email.sql':
        '-- rungs: { database: app }\n-- forward\nSELECT 1;\n-- backward\nBEGIN;\nSELECT 2;\nCOMMIT;\n',
      'steps/001_first.sql': '\\set n 1\nSELECT :n;\n',
      'steps/002_second.sql': 'BEGIN;\nSELECT 1;\nCOMMIT;\n',
      'steps/003_third.sql': 'SELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nCOMMIT;\n',
      'steps/004_fourth.sql': '-- rungs: { transaction: false }\nBEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nCOMMIT;\n',
    },
  });
  const { code, stdout } = await upgrade(['check', '--json']);
  expect(code).toBe(2);
  const { problems } = JSON.parse(stdout);
  expect(
    problems.map((one: { code: string; step: string; place: { file: string; line: number } }) => [one.code, one.step, one.place]),
  ).toEqual([
    [
      'STEP_OWN_TRANSACTION',
      'v1.0.0_to_v1.1.0/001_add_email',
      { file: path.join(dir, 'migrations/v1.0.0_to_v1.1.0/001_add_email.sql'), line: 5 },
    ],
    ['STEP_PSQL', 'schema/001_first', { file: path.join(dir, 'steps/001_first.sql'), line: 1 }],
    ['STEP_OWN_TRANSACTION', 'schema/003_third', { file: path.join(dir, 'steps/003_third.sql'), line: expect.any(Number) }],
  ]);
});

test('nothing to warn of is exit 0 with --strict too', async () => {
  const { code, stdout } = await makeSmall().upgrade(['check', '--strict']);
  expect([code, stdout]).toEqual([0, expect.stringContaining('no problems.')]);
});
