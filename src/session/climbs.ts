// Ladders in plans: the climbs that belong to the versions of an upgrade, and plans of ladders alone. Reads; writes nothing.
import { finding } from '../../phases/preflight.ts';
import type { Config } from '../model/config.ts';
import { fail, failure } from '../model/failure.ts';
import type { AcceptedChecksum, LadderBaseline, LadderStep } from '../model/ladder.ts';
import { type Finding, type Plan, type PlanDirection, type Transition } from '../model/plan.ts';
import { planHash } from '../plan/make-plan.ts';
import { afterClimb, climbDown } from '../plan/ladder-state.ts';
import type { ReadingPorts } from './adapters.ts';
import { estimateBackup } from './backup-estimate.ts';
import { importFinding, indexImports, type AdoptedRecord } from './adopted-records.ts';
import { planUpOrFresh } from './fresh.ts';
import { readJournal } from './journals.ts';
import { ladderStatuses } from './ladders.ts';
import {
  openLadder,
  planBack,
  planDown,
  planUp,
  refuseUnknownAccepted,
  type ClimbOptions,
  type ClimbPlan,
  type OpenedLadder,
} from './ladder-plans.ts';
import { sha256, type PreparedPlan } from './planning.ts';

export type LadderRequest = ClimbOptions & {
  readonly kind: 'up' | 'down' | 'redo';
  /** `up` without one climbs all ladders. */
  readonly ladder?: string;
  /** The height to end at. Default: the top; for `down` one step. */
  readonly to?: number;
};

interface Climbing {
  readonly config: Config;
  readonly options: ClimbOptions;
  readonly now: string;
  readonly opened: Map<string, OpenedLadder>;
  readonly recorded: readonly LadderStep[];
  readonly baselines: readonly LadderBaseline[];
  readonly findings: Finding[];
  readonly accepted: AcceptedChecksum[];
  readonly imported: readonly AdoptedRecord[];
}

/** Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_WHICH, LADDER_HEIGHT_UNKNOWN, LADDER_ABOVE, LADDER_IRREVERSIBLE, and what is wrong with the steps. */
export async function prepareLadderPlan(config: Config, adapters: ReadingPorts, request: LadderRequest): Promise<PreparedPlan> {
  const [installed, journal] = await Promise.all([adapters.installation.readVersion(), ladderRecords(config)]);
  const climbing = begin(config, journal, request, adapters.clock.now());
  const names = wantedLadders(config, request);
  for (const name of names) openedOf(climbing, name);
  refuseUnknownAccepted([...climbing.opened.values()], request);
  const transitions: Transition[] = [];
  for (const name of names) {
    const opened = openedOf(climbing, name);
    if (request.kind === 'up') transitions.push(...(await climb(climbing, opened, await up(climbing, opened, request.to ?? null))));
    else if (request.kind === 'down')
      transitions.push(...(await climb(climbing, opened, await planDown(config, opened, request.to ?? null))));
    else transitions.push(...(await redo(climbing, opened)));
  }
  for (const name of names) {
    const steps = journal.accepted.filter(({ ladder }) => ladder === name).map(({ number }) => `${name}/${number}`);
    if (steps.length > 0) climbing.findings.push(finding('info', failure('LADDER_CHECKSUM_ACCEPTED', { ladder: name, steps })));
  }
  const direction: PlanDirection = request.kind === 'down' ? 'down' : 'up';
  const plan = { product: config.product, from: installed, to: installed, direction, transitions };
  const backup = await estimateBackup(config, adapters, plan);
  return {
    ...plan,
    hash: planHash(plan, sha256),
    graph: [],
    findings: climbing.findings,
    accepted: climbing.accepted,
    imported: climbing.imported,
    backup,
  };
}

/** The plan of an upgrade with the climbs that its versions ask for: upwards before each transition's own steps, downwards after them. */
export async function withClimbs(
  config: Config,
  plan: Plan,
  { committed, options, now }: { readonly committed: readonly CommittedHeights[]; readonly options: ClimbOptions; readonly now: string },
): Promise<{ readonly plan: Plan } & Pick<PreparedPlan, 'findings' | 'accepted' | 'imported'>> {
  if (plan.transitions.every(({ ladders }) => Object.keys(ladders).length === 0)) return { plan, findings: [], accepted: [], imported: [] };
  const climbing = begin(config, await ladderRecords(config), options, now);
  const transitions: Transition[] = [];
  for (const transition of plan.transitions) {
    const climbs: Transition[] = [];
    for (const name of Object.keys(config.ladders)) {
      const height = transition.ladders[name];
      if (height === undefined) continue;
      const opened = openedOf(climbing, name);
      const part =
        plan.direction === 'up'
          ? await planUpOrFresh(config, opened, height, { ...climbing, isFirst: transitions.every(isClimbOrEmpty) })
          : await back(climbing, opened, transition, committed);
      climbs.push(...(await climb(climbing, opened, part)));
    }
    transitions.push(...(plan.direction === 'up' ? [...climbs, transition] : [transition, ...climbs]));
  }
  const climbed = { ...plan, transitions };
  const { findings, accepted, imported } = climbing;
  return { plan: { ...climbed, hash: planHash(climbed, sha256) }, findings, accepted, imported };
}

/** Steps that wait for `upgrade up`, told where an upgrade has nothing to do. What is wrong with a ladder is for others to tell. */
export async function pendingLadders(config: Config): Promise<readonly Finding[]> {
  const records = await ladderRecords(config);
  const imported = indexImports(config, records, '');
  const { ladders } = ladderStatuses(config, [...records.steps, ...imported.flatMap(({ steps }) => steps)]);
  return ladders
    .filter(({ pending }) => pending > 0)
    .map(({ name, height, pending }) => finding('info', failure('LADDERS_PENDING', { ladder: name, height, pending })));
}

/** Some ladders to their tops, as the beginning of a plan. */
export async function climbsToTop(
  config: Config,
  names: readonly string[],
  now: string,
): Promise<Pick<PreparedPlan, 'transitions' | 'findings' | 'imported'>> {
  const climbing = begin(config, await ladderRecords(config), {}, now);
  const transitions: Transition[] = [];
  for (const name of names) {
    const opened = openedOf(climbing, name);
    transitions.push(...(await climb(climbing, opened, await up(climbing, opened, null))));
  }
  return { transitions, findings: climbing.findings, imported: climbing.imported };
}

/** A transition that was committed, the heights that its version asked for, and the run that did it; the oldest first. */
export interface CommittedHeights {
  readonly transition: string;
  readonly runId: string;
  readonly ladders: Readonly<Record<string, number>>;
}

/** Down to the height that belongs to the version below; where none names one, what the transition's own run had climbed. */
async function back(
  { config }: Climbing,
  opened: OpenedLadder,
  transition: Transition,
  committed: readonly CommittedHeights[],
): Promise<ClimbPlan> {
  const at = committed.findIndex((one) => one.transition === transition.id);
  const below = committed.slice(0, Math.max(0, at)).findLast(({ ladders }) => ladders[opened.name] !== undefined);
  const height = below?.ladders[opened.name];
  if (height !== undefined) return planDown(config, opened, height);
  const runId = committed[at]?.runId;
  const climbed = climbDown(opened.state, 0) ?? [];
  return planBack(
    config,
    opened,
    climbed.filter((number) => runId !== undefined && opened.state.applied.get(number)?.runId === runId),
  );
}

async function up(climbing: Climbing, opened: OpenedLadder, to: number | null): Promise<ClimbPlan> {
  const { name, state } = opened;
  const part = await planUpOrFresh(climbing.config, opened, to, { ...climbing, isFirst: true });
  if (to !== null && part.transitions.length === 0 && state.order.indexOf(to) < state.order.indexOf(state.height))
    throw fail('LADDER_ABOVE', { ladder: name, height: state.height, wanted: to }, { place: { file: opened.ladder.dir } });
  return part;
}

/** The last step down and up again. The way down has names of its own: the journal knows each step of a run by one. */
async function redo(climbing: Climbing, opened: OpenedLadder): Promise<readonly Transition[]> {
  const down = await climb(climbing, opened, await planDown(climbing.config, opened, null));
  const again = openedOf(climbing, opened.name);
  const [last] = down.flatMap(({ climb: climbed }) => climbed?.rungs ?? []);
  if (last === undefined) return [];
  const forth = await climb(
    climbing,
    again,
    await planUp(climbing.config, again, last.number, { ...climbing.options, outOfOrder: true }, climbing.now),
  );
  const named = down.map((part) => ({ ...part, steps: part.steps.map((step) => ({ ...step, id: `${step.id}:down` })) }));
  return [...named, ...forth];
}

/** Takes the part into the plan: whatever is planned next for the ladder goes on from there. */
async function climb(climbing: Climbing, opened: OpenedLadder, part: ClimbPlan): Promise<readonly Transition[]> {
  climbing.findings.push(...part.findings.filter((found) => !climbing.findings.some(({ message }) => message === found.message)));
  climbing.accepted.push(
    ...part.accepted.filter((one) => !climbing.accepted.some(({ ladder, number }) => ladder === one.ladder && number === one.number)),
  );
  let { state } = opened;
  for (const { climb: climbed } of part.transitions) {
    if (climbed === null) continue;
    const steps = climbed.rungs.map((rung) => ({ ...rung, ladder: opened.name, runId: null, appliedAt: climbing.now }));
    state = afterClimb(state, steps, climbed.direction);
  }
  climbing.opened.set(opened.name, { ...opened, state });
  return part.transitions;
}

function begin(config: Config, { steps, baselines }: LadderRecords, options: ClimbOptions, now: string): Climbing {
  const imported = indexImports(config, { steps, baselines }, now);
  return {
    config,
    options,
    now,
    recorded: [...steps, ...imported.flatMap((one) => one.steps)],
    baselines: [...baselines, ...imported.map(({ baseline }) => baseline)],
    opened: new Map(),
    findings: imported.map(importFinding),
    accepted: [],
    imported,
  };
}

/** Nothing that may have filled a database before the next climb, but climbs. */
function isClimbOrEmpty({ climb, steps }: Transition): boolean {
  return climb !== null || steps.length === 0;
}

function openedOf(climbing: Climbing, name: string): OpenedLadder {
  const found = climbing.opened.get(name) ?? openLadder(climbing.config, name, climbing.recorded);
  climbing.opened.set(name, found);
  return found;
}

/** One by name; all of them only where nothing else is asked than to go to the top. */
function wantedLadders(config: Config, { kind, ladder, to }: LadderRequest): readonly string[] {
  const known = Object.keys(config.ladders);
  if (ladder !== undefined) return [ladder];
  if (known.length === 0) throw fail('LADDERS_MISSING', {}, { place: { file: config.file } });
  if (known.length > 1 && (kind !== 'up' || to !== undefined)) throw fail('LADDER_WHICH', { known });
  return known;
}

interface LadderRecords {
  readonly steps: readonly LadderStep[];
  readonly baselines: readonly LadderBaseline[];
  readonly accepted: readonly AcceptedChecksum[];
}

async function ladderRecords(config: Config): Promise<LadderRecords> {
  return readJournal(config, async (journal) => ({
    steps: (await journal?.ladderSteps()) ?? [],
    baselines: (await journal?.ladderBaselines()) ?? [],
    accepted: (await journal?.acceptedChecksums()) ?? [],
  }));
}
