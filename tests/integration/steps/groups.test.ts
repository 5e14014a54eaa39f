import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import type { Step } from '../../../src/model/plan.ts';
import type { StepOrder } from '../../../src/model/run.ts';
import { programs, startPostgres, testWithPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { cuttingProxy } from './cutting-proxy.ts';
import type { CuttingProxy } from './cutting-proxy.ts';
import { hostPid, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let server: TestPostgres;
let proxy: CuttingProxy | null = null;
let bench: Workbench;
let url: string;
beforeAll(async () => {
  if (programs() !== null) server = await startPostgres();
});
afterEach(async () => {
  await bench.dispose();
  proxy?.close();
  proxy = null;
});

type Kind = 'sqlite' | 'postgres';
async function setUp(kind: Kind, { isCut = false } = {}): Promise<void> {
  if (kind === 'sqlite') {
    bench = workbench();
    return;
  }
  url = await server.database();
  proxy = isCut ? await cuttingProxy(server.port) : null;
  const through = proxy === null ? url : url.replace(`:${server.port}/`, `:${proxy.port}/`);
  bench = workbench({ databases: { app: { kind: 'postgres', url: through, attempts: 3, backoffMs: 50 } } });
}
const query = async (kind: Kind, sql: string): Promise<readonly Record<string, unknown>[]> =>
  kind === 'sqlite' ? bench.query(sql) : server.query(url, sql);
const tables = async (kind: Kind): Promise<readonly unknown[]> => {
  if (kind === 'sqlite' && !existsSync(join(bench.root, 'data/app.db'))) return [];
  const sql =
    kind === 'sqlite'
      ? "SELECT name FROM sqlite_schema WHERE name GLOB 't*' ORDER BY 1"
      : "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE 't_' ORDER BY 1";
  return (await query(kind, sql)).map(({ name }) => name);
};
const step = (n: number, text: string, over: Partial<Step> = {}): StepOrder => ({
  ...bench.step(`${String(n).padStart(3, '0')}_s.sql`, text, { database: 'app', ...over }),
  isGrouped: true,
});
const table = (n: number, more = ''): StepOrder =>
  step(n, `-- forward\nCREATE TABLE t${n} (a int);\n${more}\n-- backward\nDROP TABLE t${n};\n`);
async function verdicts(orders: readonly StepOrder[]): Promise<readonly string[]> {
  const told: string[] = [];
  for (const order of orders) told.push(await bench.executor.examine(order, bench.run));
  return told;
}
const endless = (kind: Kind): string =>
  kind === 'postgres' ? 'SELECT pg_sleep(60);' : 'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;';

describe.each(['sqlite', 'postgres'] as const)('a group on %s', (kind) => {
  testWithPostgres('is one transaction: all are done, and may be reverted step by step', async () => {
    await setUp(kind);
    const orders = Array.from({ length: 30 }, (_, at) => table(at + 1));
    const told: string[] = [];
    const outcomes = await bench.executor.execute(orders, bench.run, ({ stepId }) => told.push(stepId));
    expect(outcomes.map(({ status }) => status)).toEqual(orders.map(() => 'done'));
    expect(told).toEqual(orders.map(({ step: { id } }) => id));
    expect(await query(kind, 'SELECT count(*) AS n FROM _rungs_marker')).toMatchObject([{ n: expect.anything() }]);
    expect(new Set(await verdicts(orders.slice(0, 3)))).toEqual(new Set(['done']));
    const back = orders.map(reverting).toReversed();
    expect((await bench.executor.execute(back.slice(0, 29), bench.run)).map(({ status }) => status)).toEqual(
      back.slice(1).map(() => 'done'),
    );
    expect(await tables(kind)).toEqual(['t1']);
  });

  testWithPostgres.for([
    { why: 'a syntax error', sql: 'SELECT 1;\n\nSELEC 1;', code: 'STEP_FAILED', text: 'line 3' },
    {
      why: 'an error at run time',
      sql: "SELECT 1;\nINSERT INTO t1 SELECT CAST('9' AS int) FROM nothing;",
      code: 'STEP_FAILED',
      text: 'line 2',
    },
    { why: 'a transaction of its own', sql: 'SELECT 1;\nROLLBACK;', code: 'STEP_OWN_TRANSACTION', text: 'line 2' },
  ])('$why: nothing took effect, and the one that failed alone is told', async ({ sql, code, text }) => {
    await setUp(kind);
    const orders = [table(1), table(2), step(3, sql), table(4)];
    const outcomes = await bench.executor.execute(orders, bench.run);
    expect(outcomes.map(({ stepId, failure }) => [stepId, failure?.code])).toEqual([[orders[2]?.step.id, code]]);
    expect(outcomes[0]?.failure?.message).toContain(text);
    expect(await tables(kind)).toEqual([]);
    expect(new Set(await verdicts(orders))).toEqual(new Set(['not-done']));
    const right = [table(1), table(2), table(3), table(4)];
    expect((await bench.executor.execute(right, bench.run)).map(({ status }) => status)).toEqual(right.map(() => 'done'));
  });

  testWithPostgres.for([{ how: 'killed' }, { how: 'cancelled' }, { how: 'too slow' }])(
    '$how in the middle: nothing took effect, and nothing goes on',
    async ({ how }) => {
      await setUp(kind);
      const slow = step(3, endless(kind), how === 'too slow' ? { timeoutMs: 300 } : {});
      const orders = [table(1), table(2), slow, table(4)];
      const running = bench.executor.execute(orders, bench.run);
      await sleepUntilBusy(kind);
      if (how === 'killed') process.kill(hostPid() ?? 0, 'SIGKILL');
      if (how === 'cancelled') bench.abort();
      const outcomes = await running;
      const code = { killed: 'STEP_KILLED', cancelled: 'STEP_CANCELLED', 'too slow': 'STEP_TIMEOUT' }[how];
      expect(outcomes.map(({ failure }) => failure?.code)).toEqual([code]);
      expect(await tables(kind)).toEqual([]);
      if (kind === 'postgres')
        expect(
          await query(
            kind,
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rungs steps%' AND state <> 'idle' AND datname = current_database()",
          ),
        ).toEqual([]);
      expect(new Set(await verdicts(orders))).toEqual(new Set(['not-done']));
    },
  );

  async function sleepUntilBusy(on: Kind): Promise<void> {
    const deadline = performance.now() + 15_000;
    for (;;) {
      const isBusy =
        on === 'postgres'
          ? (await query(on, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")).length > 0
          : existsSync(join(bench.root, 'data/app.db-journal'));
      if (isBusy) return;
      if (performance.now() > deadline) throw new Error('never busy');
      await sleep(10);
    }
  }
});

describe('a group', () => {
  testWithPostgres('on SQLite that rebuilds a table keeps the rows that refer to it', async () => {
    await setUp('sqlite');
    const orders = [
      step(
        1,
        'CREATE TABLE t1 (id INTEGER PRIMARY KEY); CREATE TABLE t2 (id REFERENCES t1 ON DELETE CASCADE); INSERT INTO t1 VALUES (1); INSERT INTO t2 VALUES (1);',
      ),
      step(
        2,
        'CREATE TABLE t3 (id INTEGER PRIMARY KEY, b); INSERT INTO t3 (id) SELECT id FROM t1; DROP TABLE t1; ALTER TABLE t3 RENAME TO t1;',
      ),
    ];
    expect((await bench.executor.execute(orders, bench.run)).map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(bench.query('SELECT id FROM t2')).toEqual([{ id: 1 }]);
    const dangling = [step(3, 'CREATE TABLE t4 (a);'), step(4, 'DROP TABLE t1;')];
    const outcomes = await bench.executor.execute(dangling, bench.run);
    expect(outcomes.map(({ stepId, failure }) => [stepId, failure?.code])).toEqual([[dangling[1]?.step.id, 'STEP_FOREIGN_KEYS']]);
    expect(await tables('sqlite')).toEqual(['t1', 't2']);
  });

  testWithPostgres('on PostgreSQL: settings of one step are not those of the next, and limits are its own', async () => {
    await setUp('postgres');
    const orders = [
      step(1, 'SET search_path = pg_catalog; SELECT 1', { lockTimeoutMs: 1000 }),
      step(2, "CREATE TABLE t1 AS SELECT current_setting('search_path') AS p, current_setting('lock_timeout') AS l"),
    ];
    expect((await bench.executor.execute(orders, bench.run)).map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(await query('postgres', 'SELECT * FROM t1')).toEqual([{ p: '"$user", public', l: '0' }]);
  });

  testWithPostgres.for([
    { when: 'after' as const, done: true },
    { when: 'before' as const, done: false },
  ])('on PostgreSQL with the connection cut $when the COMMIT', async ({ when, done }) => {
    await setUp('postgres', { isCut: true });
    proxy?.cutAt('; COMMIT', when);
    const orders = [table(1), table(2)];
    const outcomes = await bench.executor.execute(orders, bench.run);
    expect(proxy?.hasCut()).toBe(true);
    expect(outcomes.map(({ failure }) => failure?.code)).toEqual(done ? [undefined, undefined] : ['STEP_CONNECTION_LOST']);
    expect(await tables('postgres')).toEqual(done ? ['t1', 't2'] : []);
    expect(await verdicts(orders)).toEqual(done ? ['done', 'done'] : ['not-done', 'not-done']);
  });
});
