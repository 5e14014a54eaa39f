// The steps' part of a rollback: each step that took effect, or may have, is undone in reverse order; the first backward that fails ends it.
// Promises nothing about the installation itself: the comparison with the backup that follows does.
import { failure, failuresOf, messageOf } from '../src/model/failure.ts';
import type { Ports, RunContext, SettledStep } from '../src/model/ports.ts';
import type { StepOrder, StepOutcome, StepStatus } from '../src/model/run.ts';
import { atOrigin, canShareBatch, isDecidedByMarker, ordersOf } from '../src/plan/orders.ts';
import { copiesDir } from './discovery.ts';

type Needs = Pick<Ports, 'journal' | 'events' | 'steps'>;

export interface Reverted {
  /** The step whose backward failed: those before it were left to the backup. */
  readonly failed: string | null;
  /** Steps that took effect and are undone by the backup alone. */
  readonly byBackup: readonly string[];
  /** Steps that did half of their work, have no backward, and did more than what was recorded. */
  readonly unclean: readonly string[];
}

interface Pair {
  readonly apply: StepOrder;
  readonly revert: StepOrder;
  readonly status: StepStatus;
}

interface LeftToBackup {
  readonly byBackup: string[];
  readonly unclean: string[];
}

const largestGroup = 500;

/** `only`: of all that was begun just these. */
export async function revertSteps(ports: Needs, run: RunContext, only?: ReadonlySet<string>): Promise<Reverted> {
  const begun = await decideTransactions(ports, run, await begunSteps(ports, run));
  const pairs = begun.filter(({ apply }) => only?.has(apply.step.id) ?? true);
  if (await restoreHasBegun(ports, run.id)) return leftToTheBackup(pairs);
  const byBackup: string[] = [];
  const unclean: string[] = [];
  for (let at = 0; at < pairs.length;) {
    const group = nextGroup(pairs, at);
    at += group.length;
    const failed = await revertGroupOrTell(ports, run, group, { byBackup, unclean });
    if (failed === null) continue;
    // What was not reached is undone by the backup.
    const rest = pairs.slice(pairs.findIndex(({ apply }) => apply.step.id === failed) + 1);
    return {
      failed,
      unclean,
      byBackup: [...byBackup, ...rest.filter(({ status }) => status !== 'failed').map(({ apply }) => apply.step.id)],
    };
  }
  return { failed: null, byBackup, unclean };
}

/** A backward knows how to undo its step, not a tree that is partly the backup's already. */
export async function restoreHasBegun({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<boolean> {
  return (await journal.effects(runId)).some(({ key, outcome }) => key === 'restore' && outcome !== restoreRefused);
}

/** The outcome of a restore that found its backup unusable before it had changed anything. */
export const restoreRefused = 'refused';

function leftToTheBackup(pairs: readonly Pair[]): Reverted {
  const failed = pairs.find(({ status }) => status === 'revert-failed');
  return {
    failed: failed?.apply.step.id ?? null,
    unclean: [],
    byBackup: pairs.flatMap(({ apply, status }) => (status === 'failed' || status === 'revert-failed' ? [] : [apply.step.id])),
  };
}

/** Newest first; those that never began and those that are undone already are left out. */
async function begunSteps(ports: Needs, run: RunContext): Promise<readonly Pair[]> {
  const apply = ordersOf(run.plan, copiesDir(run), 'apply');
  const revert = ordersOf(run.plan, copiesDir(run), 'revert');
  const records = await ports.journal.stepRecords(run.id);
  return apply
    .flatMap((order, index): readonly Pair[] => {
      const counterpart = revert[index];
      const status = records[index]?.status ?? 'pending';
      const isUntouched = status === 'pending' || status === 'not-run' || status === 'reverted';
      return counterpart === undefined || isUntouched ? [] : [{ apply: order, revert: counterpart, status }];
    })
    .toReversed();
}

/** Of steps that ran in one transaction all took effect, or none: one that is in doubt decides for all that are. */
async function decideTransactions({ journal, steps }: Needs, run: RunContext, pairs: readonly Pair[]): Promise<readonly Pair[]> {
  const decided: Pair[] = [];
  const isInDoubt = ({ apply, status }: Pair): boolean => apply.isGrouped && (status === 'running' || status === 'in-doubt');
  for (const together of Map.groupBy(pairs, ({ apply }) => apply.dir).values()) {
    const first = together.find(isInDoubt);
    if (first === undefined) {
      decided.push(...together);
      continue;
    }
    const isDone = (await steps.examine(first.apply, run)) === 'done';
    const [inDoubt, others] = [together.filter(isInDoubt), together.filter((pair) => !isInDoubt(pair))];
    const status: StepStatus = isDone ? 'applied' : 'reverted';
    await journal.settleSteps(
      run.id,
      inDoubt.map(({ apply }) => ({ stepId: apply.step.id, status, durationMs: null })),
    );
    decided.push(...(isDone ? together.map((pair) => (isInDoubt(pair) ? { ...pair, status } : pair)) : others));
  }
  return decided;
}

function nextGroup(pairs: readonly Pair[], at: number): readonly Pair[] {
  const isSimple = ({ status, revert }: Pair): boolean => status === 'applied' && revert.step.hasBackward;
  const first = pairs[at];
  if (first === undefined) return [];
  let end = at + 1;
  if (isSimple(first)) {
    for (let next = pairs[end]; next !== undefined && end - at < largestGroup; next = pairs[++end]) {
      if (!isSimple(next) || !canShareBatch(first.revert, next.revert)) break;
    }
  }
  return pairs.slice(at, end);
}

/**
 * Gives the step whose backward failed. One that cannot even be looked at (its database is noise, its files lie where a file is now) counts as failed:
 * the backup can still put everything back. Only a journal that cannot be written ends the rollback.
 */
async function revertGroupOrTell(ports: Needs, run: RunContext, group: readonly Pair[], left: LeftToBackup): Promise<string | null> {
  try {
    return await revertGroup(ports, run, group, left);
  } catch (error) {
    const [first] = group;
    const [problem] = failuresOf(error);
    if (first === undefined || problem === undefined || problem.code.startsWith('JOURNAL_')) throw error;
    const step = first.apply.step.id;
    const told = problem.code === 'INTERNAL' ? failure('UNDO_FAILED', { step, error: messageOf(error) }, { step }) : problem;
    ports.events.emit({ type: 'warning', message: told.message });
    // Of a step that failed, why it did is what somebody will want to read.
    if (first.status !== 'failed')
      await ports.journal.settleSteps(run.id, [{ stepId: step, status: 'revert-failed', durationMs: null, failure: told }]);
    return step;
  }
}

async function revertGroup(ports: Needs, run: RunContext, group: readonly Pair[], left: LeftToBackup): Promise<string | null> {
  const first = group[0];
  if (first === undefined) return null;
  if (group.length > 1) return runBackwards(ports, run, group);
  switch (first.status) {
    case 'applied':
      return revertApplied(ports, run, first, left);
    case 'reverting':
    case 'revert-failed':
      return finishReverting(ports, run, first, left);
    default:
      return revertUnfinished(ports, run, first, left);
  }
}

async function revertApplied(ports: Needs, run: RunContext, pair: Pair, left: LeftToBackup): Promise<string | null> {
  const { step } = pair.apply;
  if (hasRevertHalf(pair)) return runBackwards(ports, run, [pair]);
  const { isComplete } = await ports.steps.undoRecorded(pair.apply, run);
  if (isComplete) {
    await ports.journal.settleSteps(run.id, [{ stepId: step.id, status: 'reverted', durationMs: null }]);
    ports.events.emit({ type: 'step-finished', step: step.id, action: 'revert', status: 'reverted', durationMs: 0 });
  } else left.byBackup.push(step.id);
  return null;
}

/** A step that failed, or whose outcome nobody knows: what it recorded is taken back, and its backward cleans up what was not recorded. */
async function revertUnfinished(ports: Needs, run: RunContext, pair: Pair, left: LeftToBackup): Promise<string | null> {
  const { step } = pair.apply;
  if (pair.status === 'failed') {
    const { isComplete } = await ports.steps.undoRecorded(pair.apply, run);
    if (isComplete) return null;
    if (isDecidedByMarker(step)) {
      // Its server could not be asked when it failed: what it has committed after all is known by now.
      return (await ports.steps.examine(pair.apply, run)) === 'done' ? revertApplied(ports, run, pair, left) : null;
    }
    if (hasRevertHalf(pair)) return runBackwards(ports, run, [pair]);
    left.unclean.push(step.id);
    return null;
  }
  const verdict = await ports.steps.examine(pair.apply, run);
  if (verdict === 'done') return revertApplied(ports, run, pair, left);
  // Rows that were committed batch by batch stay when the last transaction is gone.
  const isUntouched = verdict === 'not-done' && !(await ports.steps.hasCheckpoint(pair.apply, run));
  const { isComplete } = await ports.steps.undoRecorded(pair.apply, run);
  if (isUntouched || isComplete || !hasRevertHalf(pair)) {
    if (!isUntouched && !isComplete) left.unclean.push(step.id);
    await ports.journal.settleSteps(run.id, [{ stepId: step.id, status: 'reverted', durationMs: null }]);
    return null;
  }
  return runBackwards(ports, run, [pair]);
}

/** A backward that was interrupted, or failed before. */
async function finishReverting(ports: Needs, run: RunContext, pair: Pair, left: LeftToBackup): Promise<string | null> {
  const verdict = pair.status === 'reverting' ? await ports.steps.examine(pair.revert, run) : 'not-done';
  if (verdict === 'done') {
    await ports.journal.settleSteps(run.id, [{ stepId: pair.apply.step.id, status: 'reverted', durationMs: null }]);
    ports.events.emit({ type: 'step-finished', step: pair.apply.step.id, action: 'revert', status: 'reverted', durationMs: 0 });
    return null;
  }
  const { isComplete } = await ports.steps.undoRecorded(pair.revert, run);
  if (verdict === 'not-done' || isComplete || pair.apply.step.idempotent) return runBackwards(ports, run, [pair]);
  // Half a backward, of which nothing is known: to run it again might do harm. The backup knows how things were.
  left.byBackup.push(pair.apply.step.id);
  return null;
}

async function runBackwards(ports: Needs, run: RunContext, group: readonly Pair[]): Promise<string | null> {
  const { events } = ports;
  const begin = (pair: Pair | undefined): void => {
    if (pair === undefined) return;
    const { id, description } = pair.revert.step;
    events.emit({ type: 'step-started', step: id, action: 'revert', description, ...(pair === group[0] ? {} : { transient: true }) });
  };
  // Told while the rest of the group still runs.
  let told = 0;
  const tell = (pair: Pair, outcome: StepOutcome): void => {
    const { stepId, status, failure: cause } = settledRevert(run, pair, outcome);
    told += 1;
    if (status !== 'reverted' && status !== 'revert-failed') return;
    const why = cause === undefined ? {} : { failure: cause };
    events.emit({ type: 'step-finished', step: stepId, action: 'revert', status, durationMs: outcome.durationMs, ...why });
    if (status === 'reverted') begin(group[told]);
  };
  begin(group[0]);
  const ids = group.map(({ apply }) => apply.step.id);
  await ports.journal.intendSteps(run.id, ids, 'revert');
  const orders = group.map(({ revert }) => revert);
  const outcomes = await ports.steps.execute(orders, run, (outcome) => {
    const pair = group[told];
    if (pair?.apply.step.id === outcome.stepId) tell(pair, outcome);
  });
  for (const [index, outcome] of outcomes.entries()) {
    const pair = group[index];
    if (pair !== undefined && index >= told) tell(pair, outcome);
  }
  const settled = group.map((pair, index) => settledRevert(run, pair, outcomes[index]));
  await ports.journal.settleSteps(run.id, settled);
  return settled.find(({ status }) => status === 'revert-failed')?.stepId ?? null;
}

function settledRevert(run: RunContext, { apply, status: before }: Pair, outcome: StepOutcome | undefined): SettledStep {
  const stepId = apply.step.id;
  // No outcome: the group stopped before it.
  if (outcome === undefined) return { stepId, status: before, durationMs: null };
  if (outcome.status === 'done') return { stepId, status: 'reverted', durationMs: null };
  const cause = outcome.failure === undefined ? {} : { failure: atOrigin(run.plan, copiesDir(run), outcome.failure) };
  return { stepId, status: 'revert-failed', durationMs: null, ...cause };
}

function hasRevertHalf({ revert }: Pair): boolean {
  return revert.direction === 'forward' || revert.step.hasBackward;
}
