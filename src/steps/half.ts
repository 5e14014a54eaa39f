// What running any half of a step has in common: its limits, its output, and how an outcome is told.
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { Clock, EventSink, RunContext } from '../model/ports.ts';
import type { StepOrder, StepOutcome, Survivor } from '../model/run.ts';
import type { EndReason } from './guard.ts';
import { createOutput } from './output.ts';
import type { Output } from './output.ts';
import { availableMemory, markedProcesses } from './processes.ts';
import { fileOf } from './script.ts';

export interface StepExecutorOptions {
  readonly config: Config;
  /** Of `state/lock`: every step inherits it. `null` only where nothing is guarded. */
  readonly lockFd: number | null;
  readonly events: EventSink;
  /** Takes secrets out of text, by value. */
  readonly scrub: (text: string) => string;
  readonly clock: Clock;
  /** Between SIGTERM and SIGKILL, in milliseconds; 5 s where it is not given. */
  readonly graceMs?: number;
}

export interface Limits {
  readonly timeoutMs: number;
  readonly memoryBytes: number | null;
}

/** `fallbackMemory`: for steps that name no limit. */
export function limitsOf({ step }: StepOrder, config: Config, fallbackMemory: number | null): Limits {
  return { timeoutMs: step.timeoutMs ?? config.timeouts.stepMs, memoryBytes: step.memoryBytes ?? fallbackMemory };
}

/** Leaves a quarter of what is free now to the services that go on running. */
export function defaultMemory(): number | null {
  const available = availableMemory();
  return available === null ? null : available * 0.75;
}

export function endedFailure({ step, direction }: StepOrder, reason: EndReason, limits: Limits): Failure {
  const half = { step: step.id, direction };
  if (reason === 'timeout') return failure('STEP_TIMEOUT', { ...half, timeoutMs: limits.timeoutMs });
  if (reason === 'memory') return failure('STEP_OUT_OF_MEMORY', { ...half, limitBytes: limits.memoryBytes });
  return failure('STEP_CANCELLED', half);
}

export function outputOf(order: StepOrder, run: RunContext, options: StepExecutorOptions, controlPrefix: string | null): Output {
  const { id, forwardFile } = order.step;
  return createOutput({
    file: join(run.dir, 'logs', dirname(id), `${basename(fileOf(order) ?? forwardFile)}.${order.action}.log`),
    scrub: options.scrub,
    controlPrefix,
    onLine: (stream, line) => options.events.emit({ type: 'step-output', step: id, stream, line, transient: true }),
    onLogProblem: (problem) =>
      options.events.emit({ type: 'warning', message: `The log of step ${id} cannot be written: ${options.scrub(problem)}` }),
  });
}

export function doneOutcome({ step }: StepOrder, durationMs: number, survivors: readonly Survivor[] = []): StepOutcome {
  return { stepId: step.id, status: 'done', durationMs, ...(survivors.length === 0 ? {} : { survivors }) };
}

export function failedOutcome(
  { step }: StepOrder,
  durationMs: number,
  why: Failure,
  {
    log,
    scrub,
    survivors = [],
  }: { readonly log: readonly string[]; readonly scrub: (text: string) => string; readonly survivors?: readonly Survivor[] },
): StepOutcome {
  const told: Failure = { ...why, message: scrub(why.message), step: step.id, ...(log.length === 0 ? {} : { log }) };
  return { stepId: step.id, status: 'failed', durationMs, failure: told, ...(survivors.length === 0 ? {} : { survivors }) };
}

const settlingMs = 150;

/** Processes that outlive the step. The last of a pipeline may need a moment to end. */
export async function survivorsOf(runId: string, stepId: string | null): Promise<readonly Survivor[]> {
  const deadline = performance.now() + settlingMs;
  for (;;) {
    const found = markedProcesses({ runId, step: stepId });
    if (found.length === 0 || performance.now() >= deadline) return found;
    await sleep(25);
  }
}
