// Steps that another host of the installation has run, and a lock that can be lost to one. Promises that nothing is said to be undone here
// whose record lies there, and that no step of ours goes on without the lock.
import { fail } from '../model/failure.ts';
import { stepsOf, type Plan } from '../model/plan.ts';
import type { EventSink, RunContext, StepExecutor } from '../model/ports.ts';
import type { StepOrder, StepRecord } from '../model/run.ts';
import { isDecidedByMarker } from '../plan/orders.ts';

/** Step to host. */
type Elsewhere = ReadonlyMap<string, string>;

export function stepsElsewhere(records: readonly StepRecord[]): Elsewhere {
  return new Map(records.flatMap(({ stepId, elsewhere }) => (elsewhere === undefined ? [] : [[stepId, elsewhere] as const])));
}

/** Throws RUN_ELSEWHERE where a step that has taken effect can be undone on another host alone. */
export function refuseUndoingElsewhere(plan: Plan, records: readonly StepRecord[]): void {
  const isUndone = ({ status }: StepRecord): boolean => status === 'pending' || status === 'not-run' || status === 'reverted';
  const elsewhere = stepsElsewhere(records.filter((record) => !isUndone(record)));
  const step = stepsOf(plan).find((planned) => elsewhere.has(planned.id) && !isDecidedByMarker(planned));
  const host = step === undefined ? undefined : elsewhere.get(step.id);
  if (step !== undefined && host !== undefined) throw fail('RUN_ELSEWHERE', { step: step.id, host }, { step: step.id });
}

/** Throws STEP_MAY_STILL_RUN: the lock on each host's state folder outlives an orchestrator that was killed, but only that host sees it. */
export function refuseRunningElsewhere(plan: Plan, records: readonly StepRecord[]): void {
  const elsewhere = stepsElsewhere(records.filter(({ status }) => status === 'running'));
  const step = stepsOf(plan).find((planned) => elsewhere.has(planned.id) && !isDecidedByMarker(planned));
  const host = step === undefined ? undefined : elsewhere.get(step.id);
  if (step !== undefined && host !== undefined) throw fail('STEP_MAY_STILL_RUN', { step: step.id, host }, { step: step.id });
}

export function tellElsewhere(events: EventSink, elsewhere: Elsewhere): void {
  if (elsewhere.size === 0) return;
  const hosts = [...new Set(elsewhere.values())].join(', ');
  const some = [...elsewhere.keys()].slice(0, 5).join(', ');
  const steps = elsewhere.size > 5 ? `${some} and ${elsewhere.size - 5} more` : some;
  events.emit({
    type: 'warning',
    message: `This run was begun on another host (${hosts}), which ran ${steps}. What they changed in databases is seen here; files that they changed there, services that were stopped there, and the backup are not.`,
  });
}

/** `lost`: `null` where the lock cannot be lost. */
export function guardSteps(steps: StepExecutor, lost: AbortSignal | null, elsewhere: Elsewhere): StepExecutor {
  const within = (run: RunContext): RunContext => (lost === null ? run : { ...run, signal: AbortSignal.any([run.signal, lost]) });
  const refuse = (orders: readonly StepOrder[]): void => {
    // What was done in a database is undone from anywhere.
    const found = orders.find(({ step }) => elsewhere.has(step.id) && !isDecidedByMarker(step));
    const host = found === undefined ? undefined : elsewhere.get(found.step.id);
    if (found === undefined || host === undefined) return;
    throw fail('RUN_ELSEWHERE', { step: found.step.id, host }, { phase: 'rollback', step: found.step.id });
  };
  return {
    ...steps,
    execute: async (orders, run, onDone) => {
      if (orders.some(({ action }) => action === 'revert')) refuse(orders);
      return steps.execute(orders, within(run), onDone);
    },
    undoRecorded: async (order, run) => {
      refuse([order]);
      return steps.undoRecorded(order, run);
    },
  };
}
