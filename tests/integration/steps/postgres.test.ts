import { beforeAll, afterEach, describe, expect } from 'vitest';
import { startPostgres, testWithPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import type { Step } from '../../../src/model/plan.ts';
import type { StepOrder } from '../../../src/model/run.ts';
import { executeOne, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let server: TestPostgres;
let bench: Workbench;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
});
afterEach(() => bench.dispose());

async function setUp(over: Parameters<typeof workbench>[0] = {}): Promise<void> {
  url = await server.database();
  bench = workbench({ databases: { main: { kind: 'postgres', url, attempts: 3, backoffMs: 50 } }, ...over });
}
const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => server.query(url, sql);
const tables = async (): Promise<readonly unknown[]> =>
  (await query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")).map(
    ({ relname }) => relname,
  );
const step = (n: number, text: string, over: Partial<Step> = {}): StepOrder =>
  bench.step(`${String(n).padStart(3, '0')}_s.sql`, text, { database: 'main', ...over });

async function verdicts(orders: readonly StepOrder[]): Promise<readonly string[]> {
  const told: string[] = [];
  for (const order of orders) told.push(await bench.executor.examine(order, bench.run));
  return told;
}

describe('an SQL step on PostgreSQL', () => {
  testWithPostgres.for([
    { why: 'several statements', sql: "CREATE TABLE t (a text); INSERT INTO t VALUES ('x;y');" },
    { why: 'dollar quoting', sql: "CREATE TABLE t (a text); DO $x$ BEGIN INSERT INTO t VALUES ('x;y'); END $x$" },
    { why: 'an escape string', sql: String.raw`CREATE TABLE t (a text); INSERT INTO t SELECT 'x;y' WHERE E'it\'s; ' <> ''` },
    { why: 'nested comments', sql: "/* a /* ; */ ; */ CREATE TABLE t (a text); INSERT INTO t VALUES ('x;y') -- ;" },
    {
      why: 'a body in standard SQL',
      sql: "CREATE TABLE t (a text); CREATE FUNCTION f() RETURNS void BEGIN ATOMIC INSERT INTO t VALUES ('x;y'); SELECT CASE WHEN true THEN 1 END; END; SELECT f()",
    },
    { why: 'its own BEGIN and COMMIT', sql: "BEGIN;\nCREATE TABLE t (a text);\nCOMMIT;\nINSERT INTO t VALUES ('x;y');" },
    {
      why: 'START TRANSACTION and END, with a savepoint',
      sql: "START TRANSACTION; CREATE TABLE t (a text); SAVEPOINT s; INSERT INTO t VALUES ('no'); ROLLBACK TO s; INSERT INTO t VALUES ('x;y'); END TRANSACTION",
    },
    {
      why: 'a search path of its own',
      sql: "SELECT set_config('search_path', '', false); CREATE TABLE public.t (a text); INSERT INTO public.t VALUES ('x;y')",
    },
  ])('$why: is applied, and reverted', async ({ sql }) => {
    await setUp();
    const order = step(1, `-- forward\n${sql}\n-- backward\nDROP TABLE t CASCADE;\n`);
    const other = step(2, '-- forward\nCREATE TABLE u (a text);\n-- backward\nDROP TABLE u;\n');
    expect(await bench.executor.execute([order, other], bench.run)).toMatchObject([{ status: 'done' }, { status: 'done' }]);
    expect(await query('SELECT a FROM public.t')).toEqual([{ a: 'x;y' }]);
    expect(await tables()).toEqual(['_rungs_marker', 't', 'u']);
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    expect(await bench.executor.execute([other, order].map(reverting), bench.run)).toMatchObject([{ status: 'done' }, { status: 'done' }]);
    expect(await bench.executor.examine(reverting(order), bench.run)).toBe('done');
    await bench.executor.removeMarkers(bench.run);
    expect(await tables()).toEqual([]);
  });

  testWithPostgres.for([{ sql: '' }, { sql: '-- nothing\n' }, { sql: '/* ; */ ;;' }])(
    'with nothing to run is done: $sql',
    async ({ sql }) => {
      await setUp();
      const order = step(1, sql);
      expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
      expect(await bench.executor.examine(order, bench.run)).toBe('done');
    },
  );

  testWithPostgres.for([
    { why: 'a syntax error', sql: 'CREATE TABLE t1 (a int);\n\nSELEC 1;', line: 3 },
    { why: 'a name that is not there', sql: 'CREATE TABLE t1 (a int);\nSELECT a,\n b FROM t1;', line: 3 },
    {
      why: 'an error at run time, which has no position',
      sql: 'CREATE TABLE t1 (a int);\n\nSELECT 1\n/ (SELECT count(*) FROM t1);',
      line: 3,
    },
    { why: 'behind characters of two units', sql: "SELECT '😀😀😀';\nSELECT\nnothing;", line: 3 },
    {
      why: 'a constraint that is checked at the end',
      sql: 'CREATE TABLE p (a int PRIMARY KEY);\nCREATE TABLE t1 (a int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO t1 VALUES (1);',
      line: null,
    },
    { why: 'a literal that does not end', sql: "CREATE TABLE t1 (a int);\nSELECT 'abc;", line: 2 },
    { why: 'a comment that does not end', sql: 'CREATE TABLE t1 (a int);\n/* abc', line: 2 },
  ])('$why: names the line, and neither it nor those after it take effect', async ({ sql, line }) => {
    await setUp();
    const orders = [step(1, 'CREATE TABLE t0 (a int)'), step(2, sql), ...[3, 4, 5].map((n) => step(n, `CREATE TABLE t${n} (a int)`))];
    const outcomes = await bench.executor.execute(orders, bench.run);
    expect(outcomes.map(({ status }) => status)).toEqual(['done', 'failed']);
    expect(outcomes[1]?.failure).toMatchObject({ code: 'STEP_FAILED', ...(line === null ? {} : { place: { line } }) });
    expect(await tables()).toEqual(['_rungs_marker', 't0']);
    expect(await verdicts(orders)).toEqual(['done', ...orders.slice(1).map(() => 'not-done')]);
  });

  testWithPostgres.for([
    { sql: 'SELECT 1;\n\\c other', line: 2, hint: /metadata/ },
    { sql: '\\i other.sql', line: 1, hint: /text of that file/ },
    { sql: "SELECT 1;\n\\copy t FROM 'x.csv'", line: 2, hint: /INSERT/ },
    { sql: 'CREATE TABLE t (a text);\nCOPY t FROM stdin;\na\n\\.\n', line: 2, hint: /INSERT/ },
    { sql: "SELECT\n:'name'", line: 2, hint: /value/ },
    { sql: 'SELECT * FROM t WHERE a = :id', line: 1, hint: /value/ },
  ])('in the dialect of psql is explained before anything of it runs: $sql', async ({ sql, line, hint }) => {
    await setUp();
    const { failure } = await executeOne(bench, step(1, sql));
    expect(failure).toMatchObject({ code: 'STEP_PSQL', hint: expect.stringMatching(hint), place: { line } });
    expect((await tables()).filter((name) => name === 't')).toEqual([]);
  });

  testWithPostgres.for([
    { sql: 'BEGIN; CREATE TABLE t (a int); COMMIT;\nBEGIN; CREATE TABLE u (a int); COMMIT;', line: 2 },
    { sql: 'BEGIN;\nCREATE TABLE t (a int);\nROLLBACK;', line: 3 },
  ])('with transactions of its own that cannot be made one is refused: $sql', async ({ sql, line }) => {
    await setUp();
    const { failure } = await executeOne(bench, step(1, sql));
    expect(failure).toMatchObject({ code: 'STEP_OWN_TRANSACTION', hint: expect.stringContaining('transaction: false'), place: { line } });
    expect(await tables()).toEqual(['_rungs_marker']);
    expect(await executeOne(bench, step(1, sql, { transaction: false }))).toMatchObject({ status: 'done' });
  });

  testWithPostgres('a statement that needs no transaction says what to add', async () => {
    await setUp();
    const { failure } = await executeOne(bench, step(1, 'CREATE TABLE t (a int);\nCREATE INDEX CONCURRENTLY i ON t (a);'));
    expect(failure).toMatchObject({
      code: 'STEP_NEEDS_NO_TRANSACTION',
      hint: expect.stringContaining('transaction: false'),
      place: { line: 2 },
    });
  });

  testWithPostgres('settings of one step are not those of the next', async () => {
    await setUp();
    const orders = [
      step(1, "SET search_path = pg_catalog; SET statement_timeout = '1s'; CREATE TEMP TABLE x (a int)"),
      step(
        2,
        "CREATE TABLE t AS SELECT current_setting('search_path') AS p, current_setting('statement_timeout') AS s, current_setting('synchronous_commit') AS c, to_regclass('x') IS NULL AS n",
      ),
    ];
    expect((await bench.executor.execute(orders, bench.run)).map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(await query('SELECT * FROM t')).toEqual([{ p: '"$user", public', s: '0', c: 'on', n: true }]);
  });

  testWithPostgres('two thousand small steps go in one batch, and are told as they are done', async () => {
    await setUp();
    const orders = Array.from({ length: 2000 }, (_, at) =>
      step(at + 1, `-- forward\nCREATE TABLE t${at} (a int);\n-- backward\nDROP TABLE t${at};`),
    );
    const told: string[] = [];
    const outcomes = await bench.executor.execute(orders, bench.run, ({ stepId }) => told.push(stepId));
    expect(outcomes.filter(({ status }) => status === 'done')).toHaveLength(2000);
    expect(told).toEqual(orders.map(({ step: { id } }) => id));
    expect(await query('SELECT count(*)::int AS n FROM _rungs_marker')).toEqual([{ n: 2000 }]);
  });
});

describe('transaction: false', () => {
  testWithPostgres('each statement by itself', async () => {
    await setUp();
    const order = step(
      1,
      "CREATE TYPE e AS ENUM ('a');\nCREATE TABLE t (a e);\nCREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM t;\nALTER TYPE e ADD VALUE 'b';\nINSERT INTO t VALUES ('b');",
      { transaction: false },
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await query('SELECT a FROM t')).toEqual([{ a: 'b' }]);
    expect(await bench.executor.examine(order, bench.run)).toBe('unknown');
  });

  testWithPostgres('what failed is named by its line; an index that is invalid now, with what removes it', async () => {
    await setUp();
    const order = step(1, 'CREATE TABLE t (a int);\nINSERT INTO t VALUES (1), (1);\n\nCREATE UNIQUE INDEX CONCURRENTLY "I 1"\n ON t (a);', {
      transaction: false,
    });
    const { failure } = await executeOne(bench, order);
    expect(failure).toMatchObject({
      code: 'STEP_SQL_PARTIAL',
      place: { line: 4 },
      message: expect.stringContaining('line 4'),
      hint: expect.stringContaining('DROP INDEX CONCURRENTLY public."I 1";'),
    });
    expect(await query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 2 }]);
  });

  testWithPostgres('a transaction that is left open is taken back', async () => {
    await setUp();
    const { failure } = await executeOne(bench, step(1, 'BEGIN; CREATE TABLE t (a int);', { transaction: false }));
    expect(failure).toMatchObject({ code: 'STEP_SQL_PARTIAL', message: expect.stringContaining('did not end') });
    expect((await tables()).includes('t')).toBe(false);
  });
});
