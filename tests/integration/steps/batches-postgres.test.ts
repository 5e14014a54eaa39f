// `ctx.batches` on a real PostgreSQL, through the real executor.
import { mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { StepOrder } from '../../../src/model/run.ts';
import { startPostgres, testWithPostgres as test } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { executeOne, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let postgres: TestPostgres;
let url: string;
let bench: Workbench;
beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  url = await postgres.database();
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'rungs-batches-')));
  mkdirSync(path.join(root, 'data'));
  const file = path.join(root, 'data/local.db');
  bench = workbench({ root, databases: { app: { kind: 'postgres', url, attempts: 1, backoffMs: 1 }, local: { kind: 'sqlite', file } } });
});
afterEach(() => bench.dispose());

let steps = 1;
function batching(body: string, backward = ''): StepOrder {
  steps += 1;
  return bench.step(
    `${String(steps).padStart(3, '0')}_batches.ts`,
    `import { appendFileSync, writeFileSync } from 'node:fs';
const seen = (of) => appendFileSync('seen', JSON.stringify(of) + '\\n');
const result = (of) => writeFileSync('result', JSON.stringify(of));
export const forward = async ({ batches, postgres, sqlite, checkpoint }) => {
${body}
};
${backward}`,
  );
}

const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => postgres.query(url, sql);
const result = (): unknown => JSON.parse(bench.read('result'));
const seen = (): readonly unknown[] =>
  bench
    .read('seen')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

test.for([
  { why: 'bigserial beyond 2^53', schema: 'id bigint PRIMARY KEY', insert: '9007199254740993 + x', by: ['id'] },
  { why: 'a composite key', schema: 'a text, b int, PRIMARY KEY (b, a)', insert: `'k' || x % 5, x / 5`, by: ['b', 'a'] },
  {
    why: 'microseconds',
    schema: 'at timestamptz PRIMARY KEY',
    insert: `timestamptz '2024-01-01' + x * interval '1 microsecond'`,
    by: ['at'],
  },
  {
    why: 'text of a language',
    schema: 'k text COLLATE "und-x-icu" PRIMARY KEY',
    insert: `(ARRAY['ä', 'B', 'b''', E'\\\\'])[x % 4 + 1] || x`,
    by: ['k'],
  },
  { why: 'uuid', schema: 'k uuid PRIMARY KEY', insert: `md5(x::text)::uuid`, by: ['k'] },
  { why: 'a name in capitals', schema: '"Id" int PRIMARY KEY', insert: 'x', by: ['Id'] },
])('every row once, by $why', async ({ schema, insert, by }) => {
  await query(`CREATE TABLE "T" (${schema}, n int NOT NULL DEFAULT 0)`);
  const names = by.map((name) => `"${name}"`).join(', ');
  await query(`INSERT INTO "T" (${schema.startsWith('a ') ? 'a, b' : names}) SELECT ${insert} FROM generate_series(1, 103) AS x`);
  const order = batching(`result(await batches({ database: 'app', table: 'public.T' }, 10, async (rows, { db, done, total }) => {
    seen([rows.length, done, total, Object.keys(rows[0]).length]);
    await db.run('UPDATE "T" SET n = n + 1 WHERE (${names}) IN (SELECT ${names} FROM "T" ORDER BY ${names} OFFSET $1 LIMIT $2)', [done, rows.length]);
  }));`);
  expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  expect(await query('SELECT n, count(*)::int AS c FROM "T" GROUP BY n')).toEqual([{ n: 1, c: 103 }]);
  expect(result()).toEqual({ rows: 103, batches: 11, resumedAt: null });
  expect(seen()).toEqual(Array.from({ length: 11 }, (_, index) => [index < 10 ? 10 : 3, index * 10, 103, by.length + 1]));
});

test('a SELECT, its key found or named, and rows that stop matching', async () => {
  await query(
    `CREATE TABLE t (id int PRIMARY KEY, state text); CREATE VIEW v AS SELECT id AS k, state FROM t; INSERT INTO t SELECT x, 'old' FROM generate_series(1, 50) AS x`,
  );
  const order = batching(`
    const sql = "SELECT t.state, t.id AS number FROM t WHERE state = $1 ORDER BY state, id DESC -- that of the key counts";
    await batches({ database: 'app', sql, parameters: ['old'] }, 7, async (rows, { db }) => {
      seen(rows.map(({ number }) => number));
      await db.run("UPDATE t SET state = 'new' WHERE id = ANY($1)", [rows.map(({ number }) => number)]);
    });
    await batches({ database: 'app', table: 'v', key: 'k', columns: ['state'] }, 100, (rows) => result([rows.length, rows[0]]));`);
  expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  expect(seen().flat()).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  expect(result()).toEqual([50, { k: 1, state: 'new' }]);
});

test('what could not be exact is refused', async () => {
  await query(
    'CREATE TABLE t (id int PRIMARY KEY, a int, nul int); CREATE TABLE bare (a int); CREATE VIEW v AS SELECT * FROM t; INSERT INTO t SELECT x, x % 3, NULL FROM generate_series(1, 9) AS x',
  );
  const fine = '() => {}';
  for (const { code, call, says } of [
    { code: 'STEP_BATCHES_QUERY', call: `{ database: 'app', table: 'missing' }, 5, ${fine}`, says: 'missing' },
    { code: 'STEP_BATCHES_QUERY', call: `{ database: 'app', table: 't', where: 'b > 1' }, 5, ${fine}`, says: 'PostgreSQL says' },
    {
      code: 'STEP_BATCHES_QUERY',
      call: `{ database: 'app', sql: 'WITH gone AS (DELETE FROM t RETURNING id) SELECT id FROM gone' }, 5, ${fine}`,
      says: 'PostgreSQL says',
    },
    { code: 'STEP_BATCHES_QUERY', call: `{ database: 'app', sql: 'SELECT id FROM t FETCH FIRST 2 ROWS ONLY' }, 5, ${fine}`, says: 'FETCH' },
    { code: 'STEP_BATCHES_KEY', call: `{ database: 'app', table: 'bare' }, 5, ${fine}`, says: 'apart' },
    { code: 'STEP_BATCHES_KEY', call: `{ database: 'app', table: 'v' }, 5, ${fine}`, says: 'apart' },
    { code: 'STEP_BATCHES_KEY', call: `{ database: 'app', table: 't', key: 'b' }, 5, ${fine}`, says: '"b"' },
    { code: 'STEP_BATCHES_KEY', call: `{ database: 'app', table: 't', key: 'a' }, 5, ${fine}`, says: 'same key' },
    { code: 'STEP_BATCHES_KEY', call: `{ database: 'app', table: 't', key: ['nul', 'id'] }, 5, ${fine}`, says: 'NULL' },
    { code: 'STEP_BATCHES_USE', call: `{ database: 'app', table: 't' }, 5, () => checkpoint.save(1)`, says: 'half a batch' },
    {
      code: 'STEP_BATCHES_DATABASE',
      call: `{ database: 'app', table: 't' }, 5, () => sqlite('local').exec('CREATE TABLE x (a)')`,
      says: '"local"',
    },
  ]) {
    const { failure } = await executeOne(bench, batching(`await batches(${call});`));
    expect([failure?.code, failure?.place?.line], call).toEqual([code, 5]);
    expect(failure?.message).toContain(says);
  }
  await executeOne(
    bench,
    bench.step('990_local.sql', 'CREATE TABLE l (id INTEGER PRIMARY KEY); INSERT INTO l VALUES (1);', { database: 'local' }),
  );
  for (const change of ['DELETE FROM t', 'CREATE TABLE x (a int)']) {
    const { failure } = await executeOne(
      bench,
      batching(`await batches({ database: 'local', table: 'l' }, 5, () => postgres('app').exec('${change}'));`),
    );
    expect(failure?.code).toBe('STEP_BATCHES_DATABASE');
  }
  expect(
    await executeOne(
      bench,
      batching(
        `await batches({ database: 'local', table: 'l' }, 5, async () => result(await postgres('app').get('SELECT count(*)::int AS n FROM t')));`,
      ),
    ),
  ).toMatchObject({ status: 'done' });
  expect(result()).toEqual({ n: 9 });
});

test('killed in batches, forward and backward: every row once, and what is finished is skipped', async () => {
  await query('CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT x FROM generate_series(1, 100) AS x');
  const bump = (by: number): string =>
    `await batches({ database: 'app', table: 't', columns: ['id'] }, 10, async (rows, { db, batch }) => { await db.run('UPDATE t SET n = n + $1 WHERE id BETWEEN $2 AND $3', [${by}, rows[0].id, rows.at(-1).id]); if (batch === Number(process.env.KILL_AT)) process.kill(process.pid, 'SIGKILL'); });`;
  const order = batching(
    `if (checkpoint.value === undefined) { await postgres('app').exec('ALTER TABLE t ADD COLUMN added int'); await checkpoint.save('added'); }
    ${bump(1)}`,
    `export const backward = async ({ batches }) => { ${bump(-1).replace(`table: 't'`, `table: 't', where: 'n > 0'`)} };`,
  );
  for (const killAt of [1, 4, 9]) {
    process.env['KILL_AT'] = String(killAt);
    expect((await executeOne(bench, order)).failure?.code).toBe('STEP_KILLED');
    expect(await bench.executor.examine(order, bench.run)).toBe('not-done');
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(true);
    expect(await query('SELECT sum(n)::int AS n FROM t')).toEqual([{ n: (killAt - 1) * 10 }]);
  }
  process.env['KILL_AT'] = '3';
  expect((await executeOne(bench, reverting(order))).failure?.code).toBe('STEP_KILLED');
  expect(await bench.executor.examine(reverting(order), bench.run)).toBe('not-done');
  expect(await query('SELECT sum(n)::int AS n FROM t')).toEqual([{ n: 60 }]);
  delete process.env['KILL_AT'];
  expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
  expect(await query('SELECT sum(n)::int AS n FROM t')).toEqual([{ n: 0 }]);
  expect(await bench.executor.examine(reverting(order), bench.run)).toBe('done');
});

test('a batch that throws, or a statement of it that fails, is taken back alone', async () => {
  await query('CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT x FROM generate_series(1, 30) AS x');
  const order = batching(`const all = (name, fail) => batches({ database: 'app', table: 't', name }, 10, async (rows, { db, batch }) => {
      await db.run('UPDATE t SET n = n + 1 WHERE id BETWEEN $1 AND $2', [rows[0].id, rows.at(-1).id]);
      if (batch === 2) await fail(db);
    }).catch(() => {});
    await all('one', () => { throw new Error('caught'); });
    await all('two', (db) => db.exec('SELECT 1 / 0'));
    await postgres('app').exec('CREATE TABLE behind (a int)');`);
  expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  expect(await query('SELECT n, count(*)::int AS c FROM t GROUP BY n ORDER BY n')).toEqual([
    { n: 0, c: 20 },
    { n: 2, c: 10 },
  ]);
  expect(await query("SELECT to_regclass('behind') IS NOT NULL AS there")).toEqual([{ there: true }]);
});
