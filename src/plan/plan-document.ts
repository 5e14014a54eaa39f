// The document of `upgrade plan --json`: what will run, what it touches, and what was found. Pure.
import { stepsOf, type Finding, type Plan, type StepKind } from '../model/plan.ts';
import type { Version } from '../model/version.ts';

export interface PlanDocument {
  readonly product: string;
  readonly from: Version | null;
  readonly to: Version | null;
  readonly direction: Plan['direction'];
  readonly hash: string;
  readonly transitions: readonly {
    readonly id: string;
    readonly from: Version;
    readonly to: Version;
    readonly description: string;
    readonly breaking: boolean;
    readonly steps: readonly {
      readonly id: string;
      readonly kind: StepKind;
      readonly sha256: string;
      readonly description: string;
      readonly reversible: boolean;
      readonly requiresRestart: readonly string[];
      readonly estimatedDurationSeconds: number | null;
    }[];
  }[];
  /** Names of services, in the order of the configuration. */
  readonly restarts: readonly string[];
  readonly backup: { readonly sources: readonly string[]; readonly estimatedBytes: number };
  /** Heights that the target version asks for. */
  readonly ladders: readonly { readonly name: string; readonly height: number }[];
  readonly estimatedDurationSeconds: number | null;
  readonly findings: readonly Finding[];
}

export interface PlanSurroundings {
  readonly findings: readonly Finding[];
  readonly backup: PlanDocument['backup'];
  /** Default: the heights that the transitions name. */
  readonly ladders?: PlanDocument['ladders'];
  /** Names of all configured services, in order: what `*` stands for. */
  readonly services?: readonly string[];
}

export function planDocument(plan: Plan, { services, backup, ladders = [], findings }: PlanSurroundings): PlanDocument {
  const { product, from, to, direction, hash, transitions } = plan;
  return {
    product,
    from,
    to,
    direction,
    hash,
    transitions: transitions.map((transition) => ({
      id: transition.id,
      // In the direction in which it runs.
      from: direction === 'up' ? transition.from : transition.to,
      to: direction === 'up' ? transition.to : transition.from,
      description: transition.description,
      breaking: transition.breaking || transition.steps.some((step) => step.breaking),
      steps: transition.steps.map((step) => ({
        id: step.id,
        kind: step.kind,
        sha256: step.sha256,
        description: step.description,
        reversible: step.isReversible,
        requiresRestart: step.requiresRestart,
        estimatedDurationSeconds: seconds(step.estimatedDurationMs),
      })),
    })),
    restarts: servicesOf(plan, services),
    backup: { sources: backup.sources, estimatedBytes: backup.estimatedBytes },
    ladders: ladders.length > 0 ? ladders : laddersOf(plan),
    estimatedDurationSeconds: seconds(estimatedMs(plan)),
    findings,
  };
}

/** Services that the plan's steps name, in the order of the configuration. */
function servicesOf(plan: Plan, services: readonly string[] | undefined): readonly string[] {
  const named = new Set(stepsOf(plan).flatMap(({ requiresRestart }) => requiresRestart));
  return services === undefined ? [...named] : services.filter((service) => named.has('*') || named.has(service));
}

/** `null` where no step says anything. */
function estimatedMs(plan: Plan): number | null {
  const known = stepsOf(plan).flatMap(({ estimatedDurationMs }) => estimatedDurationMs ?? []);
  return known.length === 0 ? null : known.reduce((sum, ms) => sum + ms, 0);
}

function laddersOf(plan: Plan): readonly { readonly name: string; readonly height: number }[] {
  const heights = new Map(plan.transitions.flatMap(({ ladders }) => Object.entries(ladders)));
  return [...heights].map(([name, height]) => ({ name, height }));
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
