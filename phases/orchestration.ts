// Runs the steps that remain, in order.
// Given the plan and what the journal says of each step; promises that each one is applied and recorded so, or rejects with the failure
// of the one that is not. An intent is committed before each effect and the outcome after it; steps that a marker row decides share commits.
import { setImmediate as nextTick } from 'node:timers/promises';
import { failure, UpgradeError } from '../src/model/failure.ts';
import type { Ports, RunContext, SettledStep } from '../src/model/ports.ts';
import type { StepOrder, StepOutcome, StepRecord } from '../src/model/run.ts';
import { atOrigin, canShareBatch, isDecidedByMarker, keepsWhatIsDone, ordersOf } from '../src/plan/orders.ts';
import { backup } from './backup.ts';
import { cancellation, checkNotCancelled } from './cancelling.ts';
import { copiesDir } from './discovery.ts';
import { keepSafe } from './keeping.ts';
import { rememberServices, stopServices } from './stopping.ts';

type Needs = Pick<Ports, 'journal' | 'steps' | 'events' | 'services' | 'backups'>;

// More would make a resume examine more marker rows; fewer would cost more commits.
const largestGroup = 1_000;
// Of one transaction all steps end at the same moment: of more than so many only the last one's end is kept among the events.
const mostToldOfTransaction = 100;

/** Steps that were applied and are not recorded so yet: their outcomes go into the commit with the next intents, or into one beside the next group. */
interface Unrecorded {
  outcomes: readonly SettledStep[];
}

export async function orchestration(ports: Needs, run: RunContext, options: { readonly canTurnBack: boolean }): Promise<void> {
  const orders = ordersOf(run.plan, copiesDir(run), 'apply');
  const records = new Map((await ports.journal.stepRecords(run.id)).map((record) => [record.stepId, record]));
  await rememberServices(ports, run);
  // A resume that finds every step applied must not stop what an earlier attempt has started again.
  if (orders.some(({ step }) => records.get(step.id)?.status !== 'applied')) {
    // They were stopped before the backup. What one that somebody started since has written is in no backup yet, and a rollback would take it back.
    if ((await stopServices(ports, run, run.signal)).length > 0) await backup(ports, run);
  }
  let transition = '';
  const unrecorded: Unrecorded = { outcomes: [] };
  try {
    for (let at = 0; at < orders.length;) {
      checkNotCancelled(run.signal);
      const group = nextGroup(orders, at);
      transition = announce(ports, run, group, transition);
      const remaining = await remainingOf(ports, run, group, records, options);
      const [next] = remaining;
      if (next !== undefined && keepsWhatIsDone(run.plan)) {
        await record(ports, run, unrecorded);
        await keepSafe(ports, run, next);
      }
      if (remaining.length > 0) await applyGroup(ports, run, remaining, unrecorded);
      at += group.length;
    }
  } finally {
    await record(ports, run, unrecorded);
  }
}

async function record({ journal }: Needs, run: RunContext, unrecorded: Unrecorded): Promise<void> {
  const { outcomes } = unrecorded;
  if (outcomes.length === 0) return;
  await journal.settleSteps(run.id, outcomes);
  unrecorded.outcomes = [];
}

function nextGroup(orders: readonly StepOrder[], at: number): readonly StepOrder[] {
  let end = at + 1;
  const first = orders[at];
  if (first === undefined) return [];
  if (first.isGrouped) {
    // One transaction has all of them, whatever their number.
    while (orders[end]?.isGrouped === true && orders[end]?.dir === first.dir) end++;
  } else if (isDecidedByMarker(first.step)) {
    while (end < orders.length && end - at < largestGroup) {
      const next = orders[end];
      if (next === undefined || next.isGrouped || !canShareBatch(first, next)) break;
      end++;
    }
  }
  return orders.slice(at, end);
}

function announce({ events }: Needs, run: RunContext, group: readonly StepOrder[], before: string): string {
  const first = group[0];
  if (first === undefined || first.dir === before) return before;
  const transition = run.plan.transitions.find(({ steps }) => steps.some(({ id }) => id === first.step.id));
  if (transition !== undefined) events.emit({ type: 'transition-started', transition: transition.id, from: first.from, to: first.to });
  return first.dir;
}

/** What of a group is still to be run: what the journal calls applied is not, and what is in doubt is decided first. */
async function remainingOf(
  ports: Needs,
  run: RunContext,
  group: readonly StepOrder[],
  records: ReadonlyMap<string, StepRecord>,
  { canTurnBack }: { readonly canTurnBack: boolean },
): Promise<readonly StepOrder[]> {
  const remaining: StepOrder[] = [];
  if (group[0]?.isGrouped === true) return remainingOfTransaction(ports, run, group, records);
  for (const order of group) {
    const status = records.get(order.step.id)?.status ?? 'pending';
    if (status === 'applied') continue;
    if (status === 'pending' || status === 'not-run') {
      remaining.push(order);
      continue;
    }
    const verdict = await ports.steps.examine(order, run);
    if (verdict === 'done') {
      await ports.journal.settleSteps(run.id, [{ stepId: order.step.id, status: 'applied', durationMs: null }]);
      ports.events.emit({ type: 'step-finished', step: order.step.id, action: 'apply', status: 'applied', durationMs: 0 });
    } else if (verdict === 'not-done' || order.step.idempotent || (await ports.steps.hasCheckpoint(order, run))) {
      remaining.push(order);
    } else if (canTurnBack) {
      const inDoubt = failure('STEP_IN_DOUBT', { step: order.step.id }, { phase: 'orchestration', step: order.step.id });
      await ports.journal.settleSteps(run.id, [{ stepId: order.step.id, status: 'in-doubt', durationMs: null, failure: inDoubt }]);
      ports.events.emit({
        type: 'step-finished',
        step: order.step.id,
        action: 'apply',
        status: 'in-doubt',
        durationMs: 0,
        failure: inDoubt,
      });
      throw new UpgradeError([inDoubt]);
    } else {
      throw new UpgradeError([failure('ROLLBACK_NEEDED', { step: order.step.id }, { phase: 'orchestration', step: order.step.id })]);
    }
  }
  return remaining;
}

/** All of them took effect, or none: any one that is in doubt decides for all. */
async function remainingOfTransaction(
  { journal, steps, events }: Needs,
  run: RunContext,
  group: readonly StepOrder[],
  records: ReadonlyMap<string, StepRecord>,
): Promise<readonly StepOrder[]> {
  const statusOf = ({ step }: StepOrder): StepRecord['status'] => records.get(step.id)?.status ?? 'pending';
  const left = group.filter((order) => statusOf(order) !== 'applied');
  const inDoubt = left.find((order) => statusOf(order) !== 'pending' && statusOf(order) !== 'not-run');
  if (inDoubt === undefined || (await steps.examine(inDoubt, run)) !== 'done') return left;
  await journal.settleSteps(
    run.id,
    left.map(({ step }) => ({ stepId: step.id, status: 'applied', durationMs: null })),
  );
  for (const { step } of left) events.emit({ type: 'step-finished', step: step.id, action: 'apply', status: 'applied', durationMs: 0 });
  return [];
}

async function applyGroup(ports: Needs, run: RunContext, group: readonly StepOrder[], unrecorded: Unrecorded): Promise<void> {
  const { events } = ports;
  const begin = (order: StepOrder | undefined): void => {
    if (order === undefined) return;
    const { id, description } = order.step;
    events.emit({ type: 'step-started', step: id, action: 'apply', description, ...(order === group[0] ? {} : { transient: true }) });
  };
  // Told while the rest of the group still runs, so that a long group is no silence, and telling costs no time of its own.
  let told = 0;
  const isLong = group[0]?.isGrouped === true && group.length > mostToldOfTransaction;
  const tell = (order: StepOrder, outcome: StepOutcome): void => {
    const { stepId, status, durationMs, failure: cause } = settledApply(run, order, outcome);
    const survivors = outcome.survivors ?? [];
    if (survivors.length > 0) events.emit({ type: 'step-survivors', step: stepId, survivors });
    if (status === 'applied' || status === 'failed') {
      events.emit({
        type: 'step-finished',
        step: stepId,
        action: 'apply',
        status,
        durationMs: durationMs ?? 0,
        ...(cause === undefined ? {} : { failure: cause }),
        ...(isLong && status === 'applied' && order !== group.at(-1) ? { transient: true } : {}),
      });
    }
    told += 1;
    if (status === 'applied') begin(group[told]);
  };
  begin(group[0]);
  // Its module is loaded while its intent is being committed: loading only defines.
  ports.steps.prepare(run, group[0]);
  const ids = group.map(({ step }) => step.id);
  // Recording a long group takes as long as some of its steps: it is done while the next one runs.
  const isBeside = group.length > 1 && unrecorded.outcomes.length > 1;
  if (isBeside) await ports.journal.intendSteps(run.id, ids, 'apply');
  else {
    await ports.journal.settleAndIntend(run.id, unrecorded.outcomes, ids, 'apply');
    unrecorded.outcomes = [];
  }
  const [executed, recorded] = await Promise.allSettled([
    ports.steps.execute(group, run, (outcome) => {
      const order = group[told];
      if (order?.step.id === outcome.stepId) tell(order, outcome);
    }),
    isBeside ? nextTick().then(() => record(ports, run, unrecorded)) : undefined,
  ]);
  if (recorded.status === 'rejected') throw recorded.reason;
  if (executed.status === 'rejected') throw executed.reason;
  const outcomes = executed.value;
  const byStep = new Map(outcomes.map((outcome) => [outcome.stepId, outcome]));
  for (const [index, order] of group.entries()) {
    const outcome = byStep.get(order.step.id);
    if (outcome === undefined || index < told) continue;
    // Of one transaction the step that failed may be any, and those before it did not take effect.
    if (index > told) begin(order);
    tell(order, outcome);
  }
  const settled = group.map((order) => settledApply(run, order, byStep.get(order.step.id)));
  unrecorded.outcomes = settled;
  const failed = settled.find(({ status }) => status === 'failed');
  // A step without an outcome was not begun, and only cancelling stops a group without a failure.
  if (failed === undefined && outcomes.length < group.length) throw new UpgradeError([cancellation(run.signal)]);
  if (failed?.failure === undefined) return;
  const ended = { ...failed.failure, phase: 'orchestration', step: failed.stepId };
  // That a step was ended is a consequence: who asked for it, or which limit was reached, is the cause.
  throw new UpgradeError(ended.code === 'STEP_CANCELLED' ? [{ ...cancellation(run.signal), step: failed.stepId }, ended] : [ended]);
}

function settledApply(run: RunContext, { step }: StepOrder, outcome: StepOutcome | undefined): SettledStep {
  // No outcome: the group stopped before it.
  if (outcome === undefined) return { stepId: step.id, status: 'pending', durationMs: null };
  const { durationMs } = outcome;
  if (outcome.status === 'done') return { stepId: step.id, status: 'applied', durationMs };
  return {
    stepId: step.id,
    status: 'failed',
    durationMs,
    ...(outcome.failure === undefined ? {} : { failure: atOrigin(run.plan, copiesDir(run), outcome.failure) }),
  };
}
