// What is left of a plan, from the records of its steps: what a resume has to run, and what a rollback has to undo. Pure.
import { stepsOf, type Plan, type Step } from '../model/plan.ts';
import type { StepRecord, StepStatus } from '../model/run.ts';

export interface Remaining {
  /** Not applied, or applied and reverted; in running order. */
  readonly toApply: readonly Step[];
  /** Intended with no outcome: they may or may not have happened. */
  readonly inDoubt: readonly Step[];
  /** Applied, failed or in doubt: what a rollback undoes, the last first. */
  readonly toRevert: readonly Step[];
  readonly applied: readonly Step[];
}

const inDoubt: ReadonlySet<StepStatus> = new Set(['running', 'reverting', 'in-doubt']);
const untouched: ReadonlySet<StepStatus> = new Set(['pending', 'not-run', 'reverted']);

/** A step without a record was never begun. */
export function remainingOf(plan: Plan, records: readonly StepRecord[]): Remaining {
  const statuses = new Map(records.map(({ stepId, status }) => [stepId, status]));
  const steps = stepsOf(plan).map((step) => ({ step, status: statuses.get(step.id) ?? ('pending' as const) }));
  const those = (fits: (status: StepStatus) => boolean) => steps.filter(({ status }) => fits(status)).map(({ step }) => step);
  return {
    toApply: those((status) => status !== 'applied'),
    inDoubt: those((status) => inDoubt.has(status)),
    toRevert: those((status) => !untouched.has(status)).toReversed(),
    applied: those((status) => status === 'applied'),
  };
}

/** The plan without what is not applied: what a run that stopped at a failing step leaves behind. */
export function appliedPart(plan: Plan, records: readonly StepRecord[]): Plan {
  const applied = new Set(records.filter(({ status }) => status === 'applied').map(({ stepId }) => stepId));
  return {
    ...plan,
    transitions: plan.transitions.map((transition) => {
      const { climb } = transition;
      const steps = transition.steps.filter(({ id }) => applied.has(id));
      const numbers = new Set(steps.map(({ number }) => number));
      return {
        ...transition,
        steps,
        climb: climb === null ? null : { ...climb, rungs: climb.rungs.filter(({ number }) => numbers.has(number)) },
      };
    }),
  };
}
