// What a committed plan changes in what is recorded as applied. Pure, and the same for every journal: given the plan, promises the rows that
// go and the rows that come, so that going first and coming after leaves the right ones.
import type { Plan, Rung } from '../model/plan.ts';
import type { Version } from '../model/version.ts';

export interface PlanCommit {
  /** In the order of the path. One that comes is to be taken out before, so that it stands at the end of the path. */
  readonly transitions: readonly { readonly id: string; readonly isApplied: boolean }[];
  readonly steps: readonly { readonly id: string; readonly sha256: string; readonly isApplied: boolean }[];
  readonly rungs: readonly (Rung & { readonly ladder: string; readonly isApplied: boolean })[];
  /** `null`: a plan of ladders alone, where no version is installed. */
  readonly version: Version | null;
}

export function planCommit({ direction, to, transitions }: Plan): PlanCommit {
  const isApplied = direction === 'up';
  const folders = transitions.filter(({ climb }) => (climb ?? null) === null);
  return {
    transitions: folders.map(({ id }) => ({ id, isApplied })),
    steps: folders.flatMap(({ steps }) => steps.map(({ id, sha256 }) => ({ id, sha256, isApplied }))),
    rungs: transitions.flatMap(({ climb }) =>
      climb === null || climb === undefined
        ? []
        : climb.rungs.map((rung) => ({ ...rung, ladder: climb.ladder, isApplied: climb.direction === 'up' })),
    ),
    version: to,
  };
}
