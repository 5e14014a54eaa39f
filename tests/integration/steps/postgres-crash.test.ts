import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import { startPostgres, testWithPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import type { Step } from '../../../src/model/plan.ts';
import type { StepOrder } from '../../../src/model/run.ts';
import { cuttingProxy } from './cutting-proxy.ts';
import type { CuttingProxy } from './cutting-proxy.ts';
import { executeOne, hostPid, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let server: TestPostgres;
let proxy: CuttingProxy | null = null;
let bench: Workbench;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
});
afterEach(async () => {
  await bench.dispose();
  proxy?.close();
  proxy = null;
});

async function setUp({ isCut = false } = {}): Promise<void> {
  url = await server.database();
  proxy = isCut ? await cuttingProxy(server.port) : null;
  const through = proxy === null ? url : url.replace(`:${server.port}/`, `:${proxy.port}/`);
  bench = workbench({ databases: { main: { kind: 'postgres', url: through, attempts: 3, backoffMs: 50 } } });
}
const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => server.query(url, sql);
const tables = async (): Promise<readonly unknown[]> =>
  (await query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 't_' ORDER BY 1")).map(({ relname }) => relname);
/** Sessions of steps that work in the server now. */
const working = async (): Promise<number> =>
  (
    await query(
      "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rungs steps%' AND state <> 'idle' AND datname = current_database()",
    )
  ).length;
const step = (n: number, text: string, over: Partial<Step> = {}): StepOrder =>
  bench.step(`00${n}_s.sql`, `-- forward\n${text}\n-- backward\nDROP TABLE t${n};\n`, { database: 'main', ...over });
const table = (n: number, more = ''): StepOrder => step(n, `CREATE TABLE t${n} (a int);\n${more}`);

async function verdicts(orders: readonly StepOrder[]): Promise<readonly string[]> {
  const told: string[] = [];
  for (const order of orders) told.push(await bench.executor.examine(order, bench.run));
  return told;
}

async function untilTrue(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(10);
  }
}
const isAsleep = async (): Promise<boolean> =>
  (await query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")).length > 0;

describe('a step host that is killed', () => {
  testWithPostgres.for([
    { why: 'in the middle of a step', slow: 'SELECT pg_sleep(60);' },
    {
      why: 'while the server commits',
      slow: `CREATE FUNCTION s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t3 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION s();
        INSERT INTO t3 VALUES (1);`,
    },
  ])('$why: what was committed is done, nothing goes on in the server, and examine says what is true', async ({ slow }) => {
    await setUp();
    const orders = [table(1), table(2), table(3, slow), table(4)];
    const running = bench.executor.execute(orders, bench.run);
    await untilTrue('the third step sleeps', isAsleep);
    process.kill(hostPid() ?? 0, 'SIGKILL');
    const outcomes = await running;
    expect(await working()).toBe(0);
    expect(outcomes.map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'done', 'STEP_KILLED']);
    expect(await verdicts(orders)).toEqual(['done', 'done', 'not-done', 'not-done']);
    expect(await tables()).toEqual(['t1', 't2']);
    const again = [table(3), table(4)];
    expect((await bench.executor.execute(again, bench.run)).map(({ status }) => status)).toEqual(['done', 'done']);
    const backwards = orders.map(reverting).toReversed();
    expect((await bench.executor.execute(backwards, bench.run)).map(({ status }) => status)).toEqual(orders.map(() => 'done'));
    expect(await verdicts(backwards)).toEqual(orders.map(() => 'done'));
  });

  testWithPostgres('outside a transaction: nobody knows, but nothing goes on', async () => {
    await setUp();
    const order = step(1, 'CREATE TABLE t1 (a int); SELECT pg_sleep(60); CREATE TABLE t2 (a int);', { transaction: false });
    const running = executeOne(bench, order);
    await untilTrue('it sleeps', isAsleep);
    process.kill(hostPid() ?? 0, 'SIGKILL');
    expect((await running).failure?.code).toBe('STEP_KILLED');
    expect(await working()).toBe(0);
    expect(await bench.executor.examine(order, bench.run)).toBe('unknown');
    expect(await tables()).toEqual(['t1']);
  });
});

describe('a connection that is lost', () => {
  testWithPostgres('when the server had committed and its answer got lost: the marker says that it is done', async () => {
    await setUp({ isCut: true });
    proxy?.cutAt('CREATE TABLE t1', 'after');
    expect(await executeOne(bench, table(1))).toMatchObject({ status: 'done' });
    expect(proxy?.hasCut()).toBe(true);
    expect(await working()).toBe(0);
    expect(await tables()).toEqual(['t1']);
  });

  testWithPostgres('with others on their way behind it: what is told of each is what the server holds', async () => {
    await setUp({ isCut: true });
    const orders = [table(1), table(2), table(3), table(4)];
    proxy?.cutAt('CREATE TABLE t2', 'after');
    const outcomes = await bench.executor.execute(orders, bench.run);
    expect(proxy?.hasCut()).toBe(true);
    const done = outcomes.filter(({ status }) => status === 'done').length;
    expect(done).toBeGreaterThanOrEqual(2);
    expect(await tables()).toEqual(['t1', 't2', 't3', 't4'].slice(0, done));
    expect(await verdicts(orders)).toEqual(orders.map((_, at) => (at < done ? 'done' : 'not-done')));
    if (done < orders.length) expect(outcomes.at(-1)?.failure?.code).toBe('STEP_CONNECTION_LOST');
  });

  testWithPostgres('before the server had heard of it: it did not take effect, and says so', async () => {
    await setUp({ isCut: true });
    const orders = [table(1), table(2), table(3)];
    proxy?.cutAt('CREATE TABLE t2', 'before');
    const outcomes = await bench.executor.execute(orders, bench.run);
    expect(outcomes.at(-1)?.failure).toMatchObject({
      code: 'STEP_CONNECTION_LOST',
      message: expect.stringContaining('did not take effect'),
    });
    const done = outcomes.length - 1;
    expect(await tables()).toEqual(['t1', 't2', 't3'].slice(0, done));
    expect((await bench.executor.execute(orders.slice(done), bench.run)).map(({ status }) => status)).toEqual(
      orders.slice(done).map(() => 'done'),
    );
  });

  testWithPostgres('by the server, in the middle of a step', async () => {
    await setUp();
    const orders = [table(1), table(2, 'SELECT pg_sleep(60);'), table(3)];
    const running = bench.executor.execute(orders, bench.run);
    await untilTrue('it sleeps', isAsleep);
    await query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    expect((await running).map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'STEP_CONNECTION_LOST']);
    expect(await verdicts(orders)).toEqual(['done', 'not-done', 'not-done']);
  });

  testWithPostgres('and a server that does not come back: what is known is told', async () => {
    await setUp();
    const running = bench.executor.execute([table(1), table(2, 'SELECT pg_sleep(60);')], bench.run);
    await untilTrue('it sleeps', isAsleep);
    server.stop('immediate');
    expect((await running).map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'POSTGRES_UNREACHABLE']);
    server.start();
    expect(await verdicts([table(1), table(2)])).toEqual(['done', 'not-done']);
  });
});

describe('a step that takes too long', () => {
  testWithPostgres.for([{ transaction: true }, { transaction: false }])(
    'is ended in the server too: transaction $transaction',
    async ({ transaction }) => {
      await setUp();
      const order = step(1, 'SELECT pg_sleep(60);', { timeoutMs: 300, transaction });
      const { failure } = await executeOne(bench, order);
      expect(await working()).toBe(0);
      expect(failure?.code).toBe('STEP_TIMEOUT');
      expect(await executeOne(bench, table(2))).toMatchObject({ status: 'done' });
    },
  );

  testWithPostgres('and one that is cancelled', async () => {
    await setUp();
    const orders = [table(1), table(2, 'SELECT pg_sleep(60);'), table(3)];
    const running = bench.executor.execute(orders, bench.run);
    await untilTrue('it sleeps', isAsleep);
    bench.abort();
    expect((await running).map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'STEP_CANCELLED']);
    expect(await working()).toBe(0);
    expect(await tables()).toEqual(['t1']);
  });

  testWithPostgres('a statement, by its own limit', async () => {
    await setUp();
    const { failure } = await executeOne(bench, step(1, 'SELECT 1;\nSELECT pg_sleep(60);', { statementTimeoutMs: 100 }));
    expect(failure).toMatchObject({ code: 'STEP_FAILED', message: expect.stringMatching(/line 3.*statement timeout.*100 ms/) });
  });

  testWithPostgres.for([{ transaction: true }, { transaction: false }])(
    'a lock, by its own limit: transaction $transaction',
    async ({ transaction }) => {
      await setUp();
      await executeOne(bench, table(1));
      const { default: pg } = await import('pg');
      const other = new pg.Client({ connectionString: url });
      await other.connect();
      try {
        await other.query('BEGIN; LOCK TABLE t1');
        const { failure } = await executeOne(bench, step(2, 'ALTER TABLE t1 ADD COLUMN b int;', { lockTimeoutMs: 100, transaction }));
        expect(failure?.message).toMatch(/lock timeout.*100 ms/);
      } finally {
        await other.end();
      }
      expect(await executeOne(bench, step(3, "CREATE TABLE t3 AS SELECT current_setting('lock_timeout') AS a"))).toMatchObject({
        status: 'done',
      });
      expect(await query('SELECT a FROM t3')).toEqual([{ a: '0' }]);
    },
  );
});
