// Makes the plan: the frozen list of transitions and steps, with a hash over everything that decides what is executed. Pure; hashing is given.
import { fail, failure, UpgradeError } from '../model/failure.ts';
import type { Plan, Transition, VersionTransition } from '../model/plan.ts';
import type { Version } from '../model/version.ts';
import { choosePath, type PathRequest } from './choose-path.ts';
import type { Edge } from './graph.ts';

export interface PlanRequest extends Omit<PathRequest, 'transitions'> {
  readonly product: string;
  /** With their steps; those off the path may be missing where `graph` is given. */
  readonly transitions: readonly VersionTransition[];
  /** All transitions, to choose the path by. Default: `transitions`. */
  readonly graph?: readonly Edge[] | undefined;
  /** Hex SHA-256 of a text. */
  readonly sha256: (text: string) => string;
}

export type MadePlan =
  | { readonly kind: 'nothing-to-do'; readonly version: Version }
  | { readonly kind: 'plan'; readonly plan: Plan; /** See `ChosenPath`. */ readonly assumed: readonly string[] };

/** Throws what `choosePath` throws, TRANSITION_MISSING, and STEP_IRREVERSIBLE for a way down that a step has no backward for. */
export function makePlan({ product, transitions, graph, sha256, ...request }: PlanRequest): MadePlan {
  const path = choosePath({ ...request, transitions: graph ?? transitions });
  if (path.kind === 'nothing-to-do') return path;
  const { from, to, direction, assumed } = path;
  const chosen = transitionsById(transitions, path.ids);
  if (direction === 'down') refuseIrreversible(chosen, from, to);
  const running = direction === 'up' ? chosen : chosen.map((transition) => ({ ...transition, steps: transition.steps.toReversed() }));
  const unhashed = { product, from, to, direction, transitions: running };
  return { kind: 'plan', plan: { ...unhashed, hash: planHash(unhashed, sha256) }, assumed };
}

/** `sha256:…` over everything that decides what is executed. */
export function planHash(plan: Omit<Plan, 'hash'>, sha256: (text: string) => string): string {
  return `sha256:${sha256(decisive(plan))}`;
}

function transitionsById(transitions: readonly Transition[], ids: readonly string[]): readonly Transition[] {
  const byId = new Map(transitions.map((transition) => [transition.id, transition]));
  const missing = ids.filter((id) => !byId.has(id));
  if (missing.length > 0) throw new UpgradeError(missing.map((id) => failure('TRANSITION_MISSING', { id, dir: 'the migrations' })));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

function refuseIrreversible(transitions: readonly Transition[], from: Version, to: Version): void {
  const steps = transitions.flatMap((transition) => transition.steps.filter(({ hasBackward }) => !hasBackward).map(({ id }) => id));
  if (steps.length > 0) throw fail('STEP_IRREVERSIBLE', { from, to, steps });
}

/**
 * Canonical JSON: no absolute path, and no order but that of the run. Steps and files hold no names that somebody chose the order of: they
 * have the order of the code that makes them, and of thousands sorting would cost more than all the rest of planning.
 */
function decisive({ product, from, to, direction, transitions }: Omit<Plan, 'hash'>): string {
  return JSON.stringify({
    product,
    from,
    to,
    direction,
    transitions: transitions.map(({ dir: _dir, steps, files, climb, ...rest }) => [sorted(rest), climb, files, steps]),
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
