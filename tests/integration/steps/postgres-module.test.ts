import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isDatabaseOnly } from '../../../src/discover/database-only.ts';
import type { Step } from '../../../src/model/plan.ts';
import type { StepOrder } from '../../../src/model/run.ts';
import { startPostgres, testWithPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { cuttingProxy } from './cutting-proxy.ts';
import type { CuttingProxy } from './cutting-proxy.ts';
import { executeOne, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let server: TestPostgres;
let proxy: CuttingProxy | null = null;
let bench: Workbench;
let urls: { readonly main: string; readonly other: string };
beforeAll(async () => {
  server = await startPostgres();
});
afterEach(async () => {
  await bench.dispose();
  proxy?.close();
  proxy = null;
});

async function setUp({ isCut = false } = {}): Promise<void> {
  urls = { main: await server.database(), other: await server.database() };
  proxy = isCut ? await cuttingProxy(server.port) : null;
  const main = proxy === null ? urls.main : urls.main.replace(`:${server.port}/`, `:${proxy.port}/`);
  const options = { attempts: 3, backoffMs: 50 };
  bench = workbench({
    databases: {
      main: { kind: 'postgres', url: main, ...options },
      other: { kind: 'postgres', url: urls.other, ...options },
      app: { kind: 'sqlite', file: join('/tmp', `rungs-module-${process.pid}-${(made += 1)}.db`) },
    },
  });
}
let made = 0;
const query = async (sql: string, name: 'main' | 'other' = 'main'): Promise<readonly Record<string, unknown>[]> =>
  server.query(urls[name], sql);
const tables = async (name: 'main' | 'other' = 'main'): Promise<readonly unknown[]> =>
  (
    await query(
      "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 't%' AND relnamespace = 'public'::regnamespace ORDER BY 1",
      name,
    )
  ).map(({ relname }) => relname);
const working = async (): Promise<number> =>
  (
    await query(
      "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rungs steps%' AND state <> 'idle' AND datname = current_database()",
    )
  ).length;
const module = (forward: string, backward = '', over: Partial<Step> = {}): StepOrder =>
  bench.step(
    '001_a.ts',
    `import { defineStep } from 'rungs';\nexport default defineStep({\n  forward: async ({ postgres, sqlite, files, checkpoint, signal }) => { ${forward} },\n  backward: async ({ postgres, sqlite, files }) => { ${backward} },\n});\n`,
    over,
  );

describe('ctx.postgres', () => {
  testWithPostgres('does its work in one transaction, which is committed with the marker, and reverted', async () => {
    await setUp();
    const order = module(
      `const db = postgres('main');
       await db.exec('CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, NULL)');
       const { rowCount } = await db.run('INSERT INTO t SELECT g, $1 FROM generate_series(2, $2::int) g', ['x', 1200]);
       const first = await db.get<{ a: number }>('SELECT a FROM t WHERE a = $1', [1]);
       const none = await db.get('SELECT a FROM t WHERE a = 0');
       let sum = 0;
       for await (const { a } of db.iterate<{ a: number }>('SELECT a FROM t WHERE a > $1 ORDER BY a', [0])) sum += a;
       const rows = await db.query('SELECT pg_current_xact_id_if_assigned()::text AS x, $1::int AS n', [sum]);
       await db.exec(\`CREATE TABLE told AS SELECT \${rowCount} AS count, \${first?.a} AS first, \${none === undefined} AS none, \${rows[0]?.n} AS sum\`);`,
      `await postgres('main').exec('DROP TABLE t; DROP TABLE told');`,
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await query('SELECT * FROM told')).toEqual([{ count: 1199, first: 1, none: true, sum: 720_600 }]);
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(await tables()).toEqual([]);
    expect(await bench.executor.examine(reverting(order), bench.run)).toBe('done');
    await bench.executor.removeMarkers(bench.run);
    expect(await query("SELECT 1 FROM pg_class WHERE relname = '_rungs_marker'")).toEqual([]);
  });

  testWithPostgres.for([
    { why: 'throws', end: "throw new Error('no')", code: 'STEP_FAILED', text: 'no' },
    {
      why: 'sends what the server refuses',
      end: "await postgres('main').query('SELECT nothing')",
      code: 'STEP_FAILED',
      text: '001_a.ts:3',
    },
    {
      why: 'swallows an error of the server',
      end: "await postgres('main').query('SELECT nothing').catch(() => {})",
      code: 'STEP_FAILED',
      text: 'aborted',
    },
    {
      why: 'breaks a constraint that is checked at the end',
      end: "await postgres('main').exec('CREATE TABLE t2 (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t2 VALUES (1), (1)')",
      code: 'STEP_FAILED',
      text: 'unique',
    },
    { why: 'commits by itself', end: "await postgres('main').exec('COMMIT')", code: 'STEP_OWN_TRANSACTION', text: 'COMMIT' },
    { why: 'takes it for SQLite', end: "await sqlite('main').exec('SELECT 1')", code: 'STEP_DATABASE_KIND', text: 'PostgreSQL' },
    { why: 'takes SQLite for it', end: "await postgres('app').exec('SELECT 1')", code: 'STEP_DATABASE_KIND', text: 'SQLite' },
    { why: 'waits for nothing', end: 'await new Promise(() => {})', code: 'STEP_NEVER_SETTLED', text: '' },
  ])('leaves nothing behind where the step $why', async ({ end, code, text }) => {
    await setUp();
    const order = module(`await postgres('main').exec('CREATE TABLE t (a int)'); await sqlite('app').exec('CREATE TABLE t (a)'); ${end};`);
    const { failure } = await executeOne(bench, order);
    expect(failure).toMatchObject({ code, message: expect.stringContaining(text) });
    expect([await tables(), bench.query("SELECT 1 FROM sqlite_schema WHERE name = 't'")]).toEqual([[], []]);
    expect(await bench.executor.examine(order, bench.run)).toBe('not-done');
  });

  testWithPostgres('several databases: all are committed, PostgreSQL first; what was committed to some of them is partial', async () => {
    await setUp();
    const both = `await sqlite('app').exec('CREATE TABLE t (a)'); await postgres('main').exec('CREATE TABLE t (a int)'); await postgres('other').exec('CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)');`;
    const order = module(both);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect([await tables(), await tables('other'), bench.query("SELECT name FROM sqlite_schema WHERE name = 't'")]).toEqual([
      ['t'],
      ['t'],
      [{ name: 't' }],
    ]);
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    const half = bench.step(
      '002_b.ts',
      `export const forward = async ({ postgres, sqlite }) => { await sqlite('app').exec('CREATE TABLE u (a)'); await postgres('main').exec('CREATE TABLE t2 (a int)'); await postgres('other').exec('INSERT INTO t VALUES (1), (1)'); };`,
    );
    expect((await executeOne(bench, half)).failure?.message).toContain('unique');
    expect([await tables(), bench.query("SELECT name FROM sqlite_schema WHERE name = 'u'")]).toEqual([['t', 't2'], []]);
    expect(await bench.executor.examine(half, bench.run)).toBe('partial');
    expect(await bench.executor.undoRecorded(half, bench.run)).toMatchObject({ isComplete: false });
  });

  testWithPostgres('batches with a checkpoint that are killed and taken up again give every row exactly once', async () => {
    await setUp();
    await query('CREATE TABLE t (a int)');
    const order = module(
      `const db = postgres('main');
       for (let n = Number(checkpoint.value ?? 0); n < 10; n += 1) {
         await db.run('INSERT INTO t VALUES ($1)', [n]);
         if (n === 5 && !(await files.exists('killed'))) { const fs = process.getBuiltinModule('node:fs'); fs.writeFileSync('killed', ''); process.kill(process.pid, 'SIGKILL'); await new Promise(() => setInterval(() => {}, 1000)); }
         await checkpoint.save(n + 1);
       }`,
    );
    expect(await executeOne(bench, order)).toMatchObject({ failure: { code: 'STEP_KILLED' } });
    expect(await working()).toBe(0);
    expect(existsSync(join(bench.root, 'killed'))).toBe(true);
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(true);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await query('SELECT count(*)::int AS n, count(DISTINCT a)::int AS d FROM t')).toEqual([{ n: 10, d: 10 }]);
  });

  testWithPostgres.for([
    { when: 'after' as const, status: 'done' },
    { when: 'before' as const, status: 'failed' },
  ])('the connection cut $when the COMMIT: $status', async ({ when, status }) => {
    await setUp({ isCut: true });
    proxy?.cutAt('; COMMIT', when);
    const order = module(`await postgres('main').exec('CREATE TABLE t (a int)');`);
    const outcome = await executeOne(bench, order);
    expect(proxy?.hasCut()).toBe(true);
    expect([outcome.status, outcome.failure?.code]).toEqual([status, status === 'done' ? undefined : 'STEP_CONNECTION_LOST']);
    expect(await tables()).toEqual(status === 'done' ? ['t'] : []);
    expect(await bench.executor.examine(order, bench.run)).toBe(status === 'done' ? 'done' : 'not-done');
  });

  testWithPostgres('a step that takes too long is ended in the server too', async () => {
    await setUp();
    const { failure } = await executeOne(bench, module(`await postgres('main').query('SELECT pg_sleep(60)');`, '', { timeoutMs: 300 }));
    expect(await working()).toBe(0);
    expect(failure?.code).toBe('STEP_TIMEOUT');
  });

  testWithPostgres('modules that use nothing but one database are decided by its marker alone', async () => {
    await setUp();
    const orders = [1, 2, 3].map((n) => {
      const text = `import { defineStep } from 'rungs';\nexport default defineStep({ forward: async ({ postgres }) => { await postgres('main').exec('CREATE TABLE t${n} (a int)'); } });\n`;
      expect(isDatabaseOnly(text)).toBe(true);
      return bench.step(`00${n}_s.ts`, text, { isDatabaseOnly: true });
    });
    expect((await bench.executor.execute(orders, bench.run)).map(({ status }) => status)).toEqual(['done', 'done', 'done']);
    for (const order of orders) expect(await bench.executor.examine(order, bench.run)).toBe('done');
  });

  testWithPostgres('a module written for another tool, up(db) and down(db), gets the handle', async () => {
    await setUp();
    const order = bench.step(
      '001_a.js',
      `module.exports = { version: 1, up: async (db) => { await db.exec('CREATE TABLE t (a int)'); await db.query('SELECT $1::int', [1]); }, down: (db) => db.exec('DROP TABLE t') };`,
      { database: 'main' },
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await tables()).toEqual(['t']);
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(await tables()).toEqual([]);
  });
});

test.each([
  [`forward: async ({ postgres }) => { const db = postgres('a'); await db.exec('x'); }`, true],
  [`forward: async ({ postgres, sqlite }) => { await postgres('a').exec('x'); await sqlite('b').exec('y'); }`, false],
  [`forward: async ({ postgres }) => { await postgres('a').exec('x'); await postgres('b').exec('y'); }`, false],
  [`forward: async ({ postgres, exec }) => { await postgres('a').exec('x'); await exec('ls'); }`, false],
])('%s: %s', (text, expected) => {
  expect(isDatabaseOnly(text)).toBe(expected);
});
