import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { StepOrder, StepOutcome } from '../../../src/model/run.ts';
import { isDatabaseOnly } from '../../../src/discover/database-only.ts';
import { reverting, until, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.dispose());

const module = (n: number, forward: string): string => `import { defineStep } from 'rungs';
export default defineStep({
  forward: async ({ sqlite }) => { ${forward} },
  backward: async ({ sqlite }) => { await sqlite('app').exec('DROP TABLE t${n}'); },
});
`;

function orderOf(n: number, more = ''): StepOrder {
  const text = module(n, `await sqlite('app').exec('CREATE TABLE t${n} (a)'); ${more}`);
  expect(isDatabaseOnly(text)).toBe(true);
  return bench.step(`${String(n).padStart(3, '0')}_t.ts`, text, { isDatabaseOnly: true });
}

const tables = (): readonly unknown[] =>
  bench.query("SELECT name FROM sqlite_schema WHERE name GLOB 't*' ORDER BY name").map(({ name }) => name);
/** The step may hold a lock for a moment. */
function hasTwoTables(): boolean {
  try {
    return existsSync(join(bench.root, 'data/app.db')) && tables().length === 2;
  } catch {
    return false;
  }
}
const endless = "for (;;) await sqlite('app').get('SELECT 1');";

test('modules that do nothing but through one database handle run in one batch, and are undone in one', async () => {
  bench = workbench();
  const orders = Array.from({ length: 30 }, (_, at) => orderOf(at + 1));
  const told: StepOutcome[] = [];
  const outcomes = await bench.executor.execute(orders, bench.run, (outcome) => told.push(outcome));
  expect(outcomes.map(({ status }) => status)).toEqual(orders.map(() => 'done'));
  expect(told.map(({ stepId }) => stepId)).toEqual(orders.map(({ step }) => step.id));
  expect(tables()).toHaveLength(30);
  expect(await bench.executor.examine(orders[7] ?? orderOf(99), bench.run)).toBe('done');

  const back = orders.map(reverting).toReversed();
  expect((await bench.executor.execute(back, bench.run)).map(({ status }) => status)).toEqual(orders.map(() => 'done'));
  expect(tables()).toEqual([]);
  expect(await bench.executor.examine(orders[7] ?? orderOf(99), bench.run)).toBe('not-done');
});

test('one that throws ends the batch: those before it are done, those after it were not begun', async () => {
  bench = workbench();
  const orders = [orderOf(1), orderOf(2, "throw new Error('no');"), orderOf(3)];
  const outcomes = await bench.executor.execute(orders, bench.run);
  expect(outcomes.map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'STEP_FAILED']);
  expect(outcomes[1]?.failure?.message).toContain('002_t');
  expect(tables()).toEqual(['t1']);
  expect(await Promise.all(orders.map((order) => bench.executor.examine(order, bench.run)))).toEqual(['done', 'not-done', 'not-done']);
});

test('a batch that is cancelled in a step that never yields: the marker rows tell what was done', async () => {
  bench = workbench({ graceMs: 100 });
  const orders = [orderOf(1), orderOf(2), orderOf(3, endless), orderOf(4)];
  const running = bench.executor.execute(orders, bench.run);
  await until('two are committed', hasTwoTables);
  bench.abort();
  const outcomes = await running;
  expect(outcomes.map(({ status, failure }) => failure?.code ?? status)).toEqual(['done', 'done', 'STEP_CANCELLED']);
  expect(tables()).toEqual(['t1', 't2']);
  expect(await Promise.all(orders.map((order) => bench.executor.examine(order, bench.run)))).toEqual([
    'done',
    'done',
    'not-done',
    'not-done',
  ]);
});
