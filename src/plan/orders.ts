// Turns planned steps into orders: which half of each step runs, from which folder, between which versions. Pure.
import type { Failure } from '../model/failure.ts';
import type { Plan, Step } from '../model/plan.ts';
import type { StepOrder } from '../model/run.ts';

/** One order per step, in running order for `apply`; reverse the list to revert. `copies` is the folder of the run's private copies. */
export function ordersOf(plan: Plan, copies: string, action: StepOrder['action']): readonly StepOrder[] {
  return plan.transitions.flatMap((transition) => {
    const { climb } = transition;
    const isForward = ((climb?.direction ?? plan.direction) === 'up') === (action === 'apply');
    const [from, to] = climb === null ? [transition.from, transition.to] : [plan.from, plan.to];
    return transition.steps.map((step) => ({
      step,
      action,
      direction: isForward ? ('forward' as const) : ('backward' as const),
      dir: `${copies}/${transition.id}`,
      from: isForward ? from : to,
      to: isForward ? to : from,
      isGrouped: climb?.group ?? false,
    }));
  });
}

/** A plan of nothing but climbs whose steps stay when a later one fails. */
export function keepsWhatIsDone({ transitions }: Plan): boolean {
  return (
    transitions.length > 0 && transitions.every(({ climb }) => climb !== null && climb.onFailure === 'keep' && climb.direction === 'up')
  );
}

/** Steps whose outcome is decided by a marker row alone: their intents and outcomes may share commits. */
export function isDecidedByMarker(step: Step): boolean {
  return step.kind === 'sql' ? step.transaction : step.isDatabaseOnly;
}

/** Whether a step may come in one batch with the first one: executed the same way, within the same limits. */
export function canShareBatch(first: StepOrder, next: StepOrder): boolean {
  const [one, other] = [first.step, next.step];
  const isAlike =
    (one.kind === 'sql') === (other.kind === 'sql') && one.timeoutMs === other.timeoutMs && one.memoryBytes === other.memoryBytes;
  return isAlike && first.dir === next.dir && isDecidedByMarker(one) && isDecidedByMarker(other);
}

/** A failure's place in a private copy, told as the file that its author knows. */
export function atOrigin(plan: Plan, copies: string, problem: Failure): Failure {
  const { place } = problem;
  if (place === undefined) return problem;
  const transition = plan.transitions.find(({ id }) => place.file.startsWith(`${copies}/${id}/`));
  if (transition === undefined) return problem;
  return { ...problem, place: { ...place, file: `${transition.dir}${place.file.slice(copies.length + 1 + transition.id.length)}` } };
}
