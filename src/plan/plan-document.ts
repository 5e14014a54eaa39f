// The document of `upgrade plan --json`: what will run, what it touches, and what was found. Pure.
import { stepsOf, type Finding, type Plan, type StepKind, type Transition } from '../model/plan.ts';
import type { Version } from '../model/version.ts';

interface PlannedSteps {
  readonly steps: readonly {
    readonly id: string;
    readonly kind: StepKind;
    readonly sha256: string;
    readonly description: string;
    readonly reversible: boolean;
    readonly requiresRestart: readonly string[];
    readonly estimatedDurationSeconds: number | null;
  }[];
}

export interface PlannedImage {
  readonly image: string;
  /** Relative to the transition folder; `null`: the engine has it, or its registry gives it. */
  readonly file: string | null;
}

export interface PlanDocument {
  readonly product: string;
  readonly from: Version | null;
  readonly to: Version | null;
  readonly direction: Plan['direction'];
  readonly hash: string;
  readonly transitions: readonly ({
    readonly id: string;
    readonly from: Version;
    readonly to: Version;
    readonly description: string;
    readonly breaking: boolean;
    /** By service. Only where the transition brings any. */
    readonly images?: Readonly<Record<string, PlannedImage>>;
  } & PlannedSteps)[];
  /** Names of services that steps restart or images recreate, in the order of the configuration. */
  readonly restarts: readonly string[];
  readonly backup: { readonly sources: readonly string[]; readonly estimatedBytes: number };
  /** The parts of ladders that are climbed, in running order. */
  readonly ladders: readonly (PlannedSteps & {
    readonly name: string;
    readonly direction: Plan['direction'];
    /** Before. */
    readonly from: number;
    /** Afterwards. */
    readonly height: number;
  })[];
  readonly estimatedDurationSeconds: number | null;
  readonly findings: readonly Finding[];
}

export interface PlanSurroundings {
  readonly findings: readonly Finding[];
  readonly backup: PlanDocument['backup'];
  /** Names of all configured services, in order: what `*` stands for. */
  readonly services?: readonly string[];
}

export function planDocument(plan: Plan, { services, backup, findings }: PlanSurroundings): PlanDocument {
  const { product, from, to, direction, hash, transitions } = plan;
  return {
    product,
    from,
    to,
    direction,
    hash,
    transitions: transitions.flatMap((transition) => {
      if (transition.from === null || transition.to === null || transition.climb !== null) return [];
      return {
        id: transition.id,
        // In the direction in which it runs.
        from: direction === 'up' ? transition.from : transition.to,
        to: direction === 'up' ? transition.to : transition.from,
        description: transition.description,
        breaking: transition.breaking || transition.steps.some((step) => step.breaking),
        ...imagesOf(transition),
        steps: plannedSteps(transition),
      };
    }),
    restarts: servicesOf(plan, services),
    backup: { sources: backup.sources, estimatedBytes: backup.estimatedBytes },
    ladders: laddersOf(plan),
    estimatedDurationSeconds: seconds(estimatedMs(plan)),
    findings,
  };
}

function imagesOf({ images }: Transition): { readonly images?: Readonly<Record<string, PlannedImage>> } {
  const planned = Object.entries(images).map(([service, { image, file }]) => [service, { image, file }] as const);
  return planned.length === 0 ? {} : { images: Object.fromEntries(planned) };
}

/** Services that the plan's steps name and those that get an image, in the order of the configuration. */
function servicesOf(plan: Plan, services: readonly string[] | undefined): readonly string[] {
  const restarted = stepsOf(plan).flatMap(({ requiresRestart }) => requiresRestart);
  const recreated = plan.transitions.flatMap(({ images }) => Object.keys(images));
  const named = new Set([...restarted, ...recreated]);
  return services === undefined ? [...named] : services.filter((service) => named.has('*') || named.has(service));
}

/** `null` where no step says anything. */
function estimatedMs(plan: Plan): number | null {
  const known = stepsOf(plan).flatMap(({ estimatedDurationMs }) => estimatedDurationMs ?? []);
  return known.length === 0 ? null : known.reduce((sum, ms) => sum + ms, 0);
}

/** What is climbed, and heights that versions ask for and that are reached already. */
function laddersOf({ direction, transitions }: Plan): PlanDocument['ladders'] {
  const climbed = transitions.flatMap((transition) => {
    const { climb } = transition;
    if (climb === null) return [];
    const { ladder, fromHeight, toHeight } = climb;
    return [{ name: ladder, direction: climb.direction, from: fromHeight, height: toHeight, steps: plannedSteps(transition) }];
  });
  const asked = direction === 'up' ? transitions.flatMap(({ ladders }) => Object.entries(ladders)) : [];
  const reached = asked
    .filter(([name, height]) => !climbed.some((climb) => climb.name === name && climb.height === height))
    .map(([name, height]) => ({ name, direction, from: height, height, steps: [] }));
  return [...climbed, ...reached];
}

function plannedSteps({ steps }: Transition): PlannedSteps['steps'] {
  return steps.map((step) => ({
    id: step.id,
    kind: step.kind,
    sha256: step.sha256,
    description: step.description,
    reversible: step.isReversible,
    requiresRestart: step.requiresRestart,
    estimatedDurationSeconds: seconds(step.estimatedDurationMs),
  }));
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
