// Runs the orders of a run outside this process, each kind by its runner. Promises an outcome, with its own clear failure, for every order that was begun.
import { dirname } from 'node:path';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { RunContext, StepExecutor } from '../model/ports.ts';
import type { StepOrder, StepOutcome } from '../model/run.ts';
import { syncFileSystems } from '../processes/sync-file-systems.ts';
import { stepEnvironment } from './environment.ts';
import { dropMarkers, hasSavedCheckpoint, verdictsByMarker } from './examine.ts';
import { guardStep } from './guard.ts';
import { defaultMemory, doneOutcome, endedFailure, failedOutcome, limitsOf, outputOf, survivorsOf } from './half.ts';
import type { StepExecutorOptions } from './half.ts';
import { createHostedRunner } from './hosted.ts';
import { runScript } from './script.ts';
import { reachOf } from './touched.ts';
import { undoRecorded } from './undo.ts';
import { readWindows, withinWindow } from './windows.ts';

export type { StepExecutorOptions } from './half.ts';

export function createStepExecutor(options: StepExecutorOptions): StepExecutor {
  const hosted = createHostedRunner(options);
  let lastRun: string | null = null;
  const told = new Set<number>();
  // What is written when databases are closed is the steps'.
  const release = (run: RunContext): Promise<void> => withinWindow(run.dir, [], 'undo', () => hosted.release());
  return {
    prepare: hosted.prepare,
    execute: async (orders, run, onDone) => {
      // SQL starts no processes.
      if (orders.some(({ step }) => step.kind !== 'sql')) lastRun = run.id;
      const outcomes: StepOutcome[] = [];
      for (const batch of batchesOf(orders)) {
        if (run.signal.aborted) break;
        const [first] = batch;
        // A script may copy or replace a database's file: nothing of it may be open, nor lie in a WAL.
        if (isScript(first)) await release(run);
        const ids = batch.map(({ step }) => step.id);
        const settled = await withinWindow(run.dir, ids.length > 1 ? [] : ids, first.action, async () =>
          isScript(first) ? [await executeScript(first, run, options)] : hosted.execute(batch, run, onDone),
        );
        outcomes.push(...settled);
        for (const { survivors = [] } of settled) for (const { pid } of survivors) told.add(pid);
        if (settled.length < batch.length || settled.at(-1)?.status === 'failed') break;
      }
      return outcomes;
    },
    examine: async (order, run) => {
      await release(run);
      const [verdict] = await withinWindow(run.dir, [], 'undo', () => verdictsByMarker([order], options.config, run));
      if (verdict !== null && verdict !== undefined) return verdict;
      if (!order.step.hasCheck || isScript(order)) return 'unknown';
      return verdictOfCheck(order, await hosted.check(order, run));
    },
    hasCheckpoint: async (order, run) => {
      await release(run);
      return hasSavedCheckpoint(order, options.config, run);
    },
    undoRecorded: async (order, run) => {
      await release(run);
      return withinWindow(run.dir, [order.step.id], 'undo', () => undoRecorded(order, options.config, run));
    },
    reach: (orders, run) => ({
      steps: orders.map((order) => reachOf(order, options.config, run)),
      windows: readWindows(run.dir),
    }),
    removeMarkers: async (run) => {
      await release(run);
      await dropMarkers(options.config, run, (message) => options.events.emit({ type: 'warning', message: options.scrub(message) }));
    },
    close: async () => {
      await hosted.close();
      if (lastRun === null) return;
      const survivors = (await survivorsOf(lastRun, null)).filter(({ pid }) => !told.has(pid));
      if (survivors.length > 0)
        options.events.emit({
          type: 'warning',
          message: `Processes of steps still run: ${survivors.map(({ pid, command }) => `${pid} (${options.scrub(command)})`).join(', ')}`,
        });
    },
  };
}

/** SQL steps that follow each other go together, and modules that are like them; each other step by itself. */
function batchesOf(orders: readonly StepOrder[]): readonly (readonly [StepOrder, ...StepOrder[]])[] {
  const batches: [StepOrder, ...StepOrder[]][] = [];
  for (const order of orders) {
    const last = batches.at(-1);
    if (last !== undefined && canFollow(last[0], order)) last.push(order);
    else batches.push([order]);
  }
  return batches;
}

function canFollow(first: StepOrder, { step, action }: StepOrder): boolean {
  const isAlike = (first.step.kind === 'sql') === (step.kind === 'sql') && first.action === action;
  return isAlike && (step.kind === 'sql' || (step.isDatabaseOnly && first.step.isDatabaseOnly));
}

function isScript({ step }: StepOrder): boolean {
  return step.kind === 'sh' || step.kind === 'py';
}

async function executeScript(order: StepOrder, run: RunContext, options: StepExecutorOptions): Promise<StepOutcome> {
  const { config, scrub } = options;
  const startedAt = performance.now();
  const limits = limitsOf(order, config, defaultMemory());
  const output = outputOf(order, run, options, null);
  const mark = { runId: run.id, step: order.step.id };
  const { failure: why, guard } = await runScript({
    order,
    root: config.root,
    env: { ...process.env, ...stepEnvironment(config, run, order) },
    lockFd: options.lockFd,
    output,
    guard: (pid) =>
      guardStep({
        pid,
        mark: () => mark,
        timeoutMs: () => limits.timeoutMs,
        memoryBytes: () => limits.memoryBytes,
        signal: run.signal,
        graceMs: options.graceMs ?? 5_000,
        onEnd: () => {},
      }),
  });
  guard?.stop();
  const reason = guard?.reason() ?? null;
  const durationMs = performance.now() - startedAt;
  const survivors = reason === null && guard !== null ? await survivorsOf(run.id, order.step.id) : [];
  const log = output.close();
  // One that ended well although it was told to stop has done its work.
  if (why === null) {
    // Scripts do not sync what they write, and the journal is about to say that it is done.
    const unsynced = await syncFileSystems([config.root, ...databaseFolders(config)]);
    if (unsynced === null) return doneOutcome(order, durationMs, survivors);
    return failedOutcome(order, durationMs, failure('STEP_NOT_SYNCED', { step: order.step.id, error: unsynced }), {
      log,
      scrub,
      survivors,
    });
  }
  return failedOutcome(order, durationMs, reason === null ? why : endedFailure(order, reason, limits), { log, scrub, survivors });
}

function databaseFolders({ databases }: Config): readonly string[] {
  return Object.values(databases).flatMap((database) => (database.kind === 'sqlite' ? [dirname(database.file)] : []));
}

function verdictOfCheck({ direction }: StepOrder, state: unknown): 'done' | 'not-done' | 'partial' | 'unknown' {
  if (state === 'partial') return 'partial';
  if (state !== 'applied' && state !== 'not-applied') return 'unknown';
  return (state === 'applied') === (direction === 'forward') ? 'done' : 'not-done';
}
