// Runs module and SQL steps in the step host. Given orders, promises an outcome for each that was begun, also when the host dies in the middle.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder, StepOutcome } from '../model/run.ts';
import { runEnvironment } from './environment.ts';
import { verdictsByMarker } from './examine.ts';
import { guardStep } from './guard.ts';
import type { Guard } from './guard.ts';
import { defaultMemory, doneOutcome, endedFailure, failedOutcome, limitsOf, outputOf, survivorsOf } from './half.ts';
import type { Limits, StepExecutorOptions } from './half.ts';
import { startHost } from './host-client.ts';
import type { HostExit, StepHost } from './host-client.ts';
import { controlPrefix } from './host/protocol.ts';
import type { HostOrder, HostReply, HostRun } from './host/protocol.ts';
import type { Output } from './output.ts';
import { fileOf } from './script.ts';
import { strippedOf } from './stripped-code.ts';

export interface HostedRunner {
  /** Starts the host, or lets it load the next module, while something else goes on. */
  readonly prepare: (run: RunContext, next?: StepOrder) => void;
  /** One module step, or any number of SQL steps or of modules that are like them. */
  readonly execute: (
    orders: readonly StepOrder[],
    run: RunContext,
    onDone?: (outcome: StepOutcome) => void,
  ) => Promise<readonly StepOutcome[]>;
  /** What the step's `check()` answers; `null` where it has none or it failed. */
  readonly check: (order: StepOrder, run: RunContext) => Promise<unknown>;
  /** Closes the host's databases: somebody else may replace the files afterwards. */
  readonly release: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** How long output may be on its way after the outcome has come. */
const outputDeadlineMs = 2_000;
const releaseDeadlineMs = 5_000;

export function createHostedRunner(options: StepExecutorOptions): HostedRunner {
  let current: { readonly runId: string; readonly host: StepHost; readonly hostRun: HostRun } | null = null;
  let fallbackMemory: number | null | undefined;

  const close = async (): Promise<void> => {
    await starting;
    starting = null;
    const ending = current;
    current = null;
    await ending?.host.stop();
  };

  let starting: Promise<void> | null = null;

  // What it runs into is told by the first order.
  const prepare = (run: RunContext, next?: StepOrder): void => {
    const isModule = next !== undefined && (next.step.kind === 'ts' || next.step.kind === 'js');
    if (isModule && current?.runId === run.id) current.host.tell({ type: 'preload', order: hostOrderOf(next) });
    if (current !== null || starting !== null) return;
    starting = begin(run).then(
      () => {},
      () => {},
    );
  };

  const hostFor = async (run: RunContext): Promise<NonNullable<typeof current>> => {
    await starting;
    starting = null;
    if (current !== null && (current.runId !== run.id || current.host.exit() !== null)) await close();
    return current ?? begin(run);
  };

  const begin = async (run: RunContext): Promise<NonNullable<typeof current>> => {
    const env = { ...process.env, ...runEnvironment(options.config, run) };
    const host = await startHost({ lockFd: options.lockFd, cwd: options.config.root, env });
    current = { runId: run.id, host, hostRun: hostRunOf(run) };
    return current;
  };

  const hostRunOf = (run: RunContext): HostRun => ({
    runId: run.id,
    runDir: run.dir,
    root: options.config.root,
    protectedPaths: [options.config.state, options.config.backup.dir],
    databases: options.config.databases,
    busyMs: options.config.timeouts.lockMs,
    nonce: randomBytes(12).toString('hex'),
  });

  /** Watches the order that runs now: `next` moves on as outcomes come in. */
  const watch = (host: StepHost, run: RunContext, runningOrder: () => StepOrder, limits: () => Limits): Guard =>
    guardStep({
      pid: host.pid,
      mark: () => ({ runId: run.id, step: runningOrder().step.id }),
      timeoutMs: () => limits().timeoutMs,
      memoryBytes: () => limits().memoryBytes,
      mayHaveChildren: runningOrder().step.kind !== 'sql',
      signal: run.signal,
      graceMs: options.graceMs ?? 5_000,
      onEnd: (reason) => host.tell({ type: 'cancel', reason: reason === 'timeout' ? 'timeout' : 'cancelled' }),
    });

  const tellProgress = (reply: HostReply): void => {
    if (reply.type !== 'progress') return;
    const { step, done, total, note } = reply;
    options.events.emit({ type: 'step-progress', step, done, total, note: options.scrub(note), transient: true });
  };

  const execute: HostedRunner['execute'] = async (orders, run, onDone) => {
    const [first] = orders;
    if (first === undefined) return [];
    const { host, hostRun } = await hostFor(run);
    const isModule = first.step.kind !== 'sql';
    const output = outputOf(first, run, options, controlPrefix(hostRun.nonce));
    host.listen(output.write);
    fallbackMemory ??= defaultMemory();
    const reported: StepOutcome[] = [];
    let usedChildren = false;
    let lastSign = performance.now();
    const byId = new Map(first.isGrouped ? orders.map((order) => [order.step.id, order]) : []);
    let begun: StepOrder | null = null;
    const runningOrder = (): StepOrder => begun ?? orders[reported.length] ?? first;
    const limits = (): Limits => limitsOf(runningOrder(), options.config, fallbackMemory ?? null);
    const guard = watch(host, run, runningOrder, limits);
    const exit = await host.request({ type: 'execute', run: hostRun, orders: orders.map(hostOrderOf) }, (reply) => {
      tellProgress(reply);
      if (reply.type === 'finished') usedChildren = reply.usedChildren;
      if (reply.type === 'begun') {
        begun = byId.get(reply.step) ?? null;
        guard.restartClock();
      }
      if (reply.type !== 'settled') return;
      reported.push(...reply.outcomes);
      // One that comes alone is told by its promise.
      if (onDone !== undefined && orders.length > 1) for (const outcome of reply.outcomes) if (outcome.status === 'done') onDone(outcome);
      lastSign = performance.now();
      guard.restartClock();
    });
    if (exit === null && isModule) await outputComplete(output);
    guard.stop();
    host.listen(null);
    const reason = guard.reason();
    const survivors =
      reason === null && (usedChildren || (exit !== null && isModule))
        ? await survivorsOf(run.id, runningStep(orders, reported).step.id)
        : [];
    const log = output.close();
    if (exit !== null) {
      const duration = performance.now() - lastSign;
      const why = (order: StepOrder): Failure =>
        reason === null
          ? exitFailure(order, exit, log)
          : endedFailure(order, reason, limitsOf(order, options.config, fallbackMemory ?? null));
      const rest = await settleByMarkers(orders.slice(reported.length), options, run);
      const done = rest.done.map((order) => doneOutcome(order, 0));
      // In a group nothing took effect, and the one that ran is to blame.
      const blamed = rest.failed === null ? null : (begun ?? rest.failed);
      const failed = blamed === null ? [] : [failedOutcome(blamed, duration, why(blamed), { log, scrub: options.scrub, survivors })];
      await close();
      return [...reported, ...done, ...failed];
    }
    const outcomes = reported.map((outcome, at): StepOutcome => {
      const order = byId.get(outcome.stepId) ?? orders[at] ?? first;
      if (outcome.failure === undefined) return doneOutcome(order, outcome.durationMs, survivors);
      const why = reason === null ? outcome.failure : endedFailure(order, reason, limitsOf(order, options.config, fallbackMemory ?? null));
      return failedOutcome(order, outcome.durationMs, why, { log, scrub: options.scrub, survivors });
    });
    const hasFailed = outcomes.at(-1)?.status === 'failed';
    // What a failed module has left in its process, timers or half-open files, must not reach the next step.
    if (reason !== null || (hasFailed && isModule)) await close();
    else if (hasFailed || first.action === 'revert') await release();
    return outcomes;
  };

  const check: HostedRunner['check'] = async (order, run) => {
    const { host, hostRun } = await hostFor(run);
    fallbackMemory ??= defaultMemory();
    const limits = limitsOf(order, options.config, fallbackMemory);
    const guard = watch(
      host,
      run,
      () => order,
      () => limits,
    );
    let state: unknown = null;
    const exit = await host.request({ type: 'check', run: hostRun, order: hostOrderOf(order) }, (reply) => {
      if (reply.type !== 'checked') return;
      state = reply.state;
      if (reply.failure !== undefined)
        options.events.emit({
          type: 'warning',
          message: `The check of step ${order.step.id} failed: ${options.scrub(reply.failure.message)}`,
        });
    });
    guard.stop();
    if (exit !== null || guard.reason() !== null) await close();
    return state;
  };

  const release = async (): Promise<void> => {
    if (current?.host.exit() !== null) return;
    const released = current.host.request({ type: 'release' }, () => {}).then(() => true);
    const deadline = new AbortController();
    const isReleased = await Promise.race([released, sleep(releaseDeadlineMs, false, { signal: deadline.signal }).catch(() => false)]);
    deadline.abort();
    // What a module has left behind in the process keeps it busy: ending the process lets go of the files too.
    if (!isReleased) await close();
  };

  return { prepare, execute, check, release, close };
}

function runningStep(orders: readonly StepOrder[], reported: readonly StepOutcome[]): StepOrder {
  const order = orders[Math.min(reported.length, orders.length - 1)];
  if (order === undefined) throw new Error('no order was given');
  return order;
}

/** The host is gone: which of these orders took effect, and which one was it at. */
async function settleByMarkers(
  orders: readonly StepOrder[],
  { config }: StepExecutorOptions,
  run: RunContext,
): Promise<{ readonly done: readonly StepOrder[]; readonly failed: StepOrder | null }> {
  const verdicts = await verdictsByMarker(orders, config, run);
  const count = verdicts.findIndex((each) => each !== 'done');
  if (count < 0) return { done: orders, failed: null };
  return { done: orders.slice(0, count), failed: orders[count] ?? null };
}

function exitFailure({ step, direction }: StepOrder, { code, signal }: HostExit, log: readonly string[]): Failure {
  const half = { step: step.id, direction };
  // V8 ends the process itself when its heap is full, and says so on the way out.
  const isHeapAbort = log.some((line) => /heap out of memory|Allocation failed - /i.test(line));
  if (isHeapAbort) return failure('STEP_OUT_OF_MEMORY', { ...half, limitBytes: null });
  return signal === null ? failure('STEP_EXITED', { ...half, code: code ?? -1 }) : failure('STEP_KILLED', { ...half, signal });
}

async function outputComplete(output: Output): Promise<void> {
  if (output.isComplete()) return;
  const complete = new Promise<void>((done) => output.whenComplete(done));
  const deadline = new AbortController();
  await Promise.race([complete, sleep(outputDeadlineMs, undefined, { signal: deadline.signal }).catch(() => {})]);
  deadline.abort();
}

function hostOrderOf(order: StepOrder): HostOrder {
  const { step } = order;
  return {
    id: step.id,
    kind: step.kind,
    action: order.action,
    direction: order.direction,
    file: fileOf(order) ?? fileOf({ ...order, direction: 'forward' }) ?? '',
    isWhole: step.backwardFile !== null && step.backwardFile !== step.forwardFile,
    database: step.database,
    transaction: step.transaction,
    isDatabaseOnly: step.isDatabaseOnly,
    code: step.kind === 'ts' ? strippedOf(step.sha256) : null,
    from: order.from ?? '',
    to: order.to ?? '',
    lockTimeoutMs: step.lockTimeoutMs,
    statementTimeoutMs: step.statementTimeoutMs,
    isGrouped: order.isGrouped && order.action === 'apply',
  };
}
