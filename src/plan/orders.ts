// Turns planned steps into orders: which half of each step runs, from which folder, between which versions. Pure.
import type { Plan, Step } from '../model/plan.ts';
import type { StepOrder } from '../model/run.ts';

/** One order per step, in running order for `apply`; reverse the list to revert. `copies` is the folder of the run's private copies. */
export function ordersOf(plan: Plan, copies: string, action: StepOrder['action']): readonly StepOrder[] {
  const isForward = (plan.direction === 'up') === (action === 'apply');
  return plan.transitions.flatMap((transition) =>
    transition.steps.map((step) => ({
      step,
      action,
      direction: isForward ? ('forward' as const) : ('backward' as const),
      dir: `${copies}/${transition.id}`,
      from: isForward ? transition.from : transition.to,
      to: isForward ? transition.to : transition.from,
    })),
  );
}

/** Steps whose outcome is decided by a marker row alone: their intents and outcomes may share commits. */
export function isDecidedByMarker(step: Step): boolean {
  return step.kind === 'sql' && step.transaction;
}

/** Whether the half that an order runs is there at all. */
export function hasHalf({ step, direction }: StepOrder): boolean {
  return direction === 'forward' || step.hasBackward;
}
