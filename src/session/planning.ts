// Everything that only reads: the plan from what is installed to what is wanted, and the findings about it.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { finding, preflight, type PreflightFacts } from '../../phases/preflight.ts';
import { appliedChecksums } from '../discover/applied-checksums.ts';
import { readTransitionGraph, readTransitions, type ReadTransitions, type TransitionGraph } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import type { AcceptedChecksum } from '../model/ladder.ts';
import { failure, UpgradeError, type Failure } from '../model/failure.ts';
import { type Finding, type Plan, type TransitionHeader } from '../model/plan.ts';
import { parseVersion, type Version } from '../model/version.ts';
import { choosePath } from '../plan/choose-path.ts';
import { makePlan, planHash } from '../plan/make-plan.ts';
import { serviceFindings } from '../services/service-findings.ts';
import { describeModules } from '../steps/describe.ts';
import type { ReadingPorts } from './adapters.ts';
import { estimateBackup, noBackup, type BackupEstimate } from './backup-estimate.ts';
import type { AdoptedRecord } from './adopted-records.ts';
import { withEarlierImages } from './downgrade-images.ts';
import { readJournal } from './journals.ts';
import { runDir } from './held-run.ts';
import type { ClimbOptions } from './ladder-plans.ts';

export interface PlanOptions extends ClimbOptions {
  readonly from?: string;
  readonly to?: string;
  readonly allowDowngrade?: boolean;
}

/** A plan, and what is known around it. A plan from a version to itself has nothing to do. */
export interface PreparedPlan extends Plan {
  /** All transitions there are, for drawing. */
  readonly graph: readonly TransitionHeader[];
  readonly findings: readonly Finding[];
  readonly backup: BackupEstimate;
  /** Checksums of applied steps that somebody accepts with this run. */
  readonly accepted: readonly AcceptedChecksum[];
  /** What indexes say was run before Rungs came, to be recorded with this run. */
  readonly imported: readonly AdoptedRecord[];
}

/** Throws everything that is wrong with the migrations at once, or why there is no way to the target. */
export async function preparePlan(config: Config, adapters: ReadingPorts, options: PlanOptions): Promise<PreparedPlan> {
  const from = options.from === undefined ? undefined : parseVersion(options.from, '--from');
  const to = options.to === undefined ? undefined : parseVersion(options.to, '--to');
  const [liveGraph, installed, committed] = await Promise.all([
    readTransitionGraph(config),
    adapters.installation.readVersion(),
    readJournal(config, async (journal) => (await journal?.committedPath()) ?? []),
  ]);
  const { transitions: live, problems } = liveGraph;
  if (problems.length > 0) throw new UpgradeError((await readTransitions(config, 'all', { describeModules })).problems);
  // An installation of ladders alone has no version that anything could ask for.
  const isVersionless = live.length === 0 && installed === null && from === undefined && to === undefined;
  if (isVersionless && Object.keys(config.ladders).length > 0) return nothingToDo(config, null, []);
  const archived = options.allowDowngrade === true ? await archivedHeaders(config, committed) : [];
  const graph = [...live.filter(({ id }) => !archived.some((copy) => copy.id === id)), ...archived];
  const request = {
    installed,
    from,
    to,
    allowDowngrade: options.allowDowngrade,
    committedPath: committed.map(({ transition }) => transition),
  };
  const route = choosePath({ ...request, transitions: graph });
  if (route.kind === 'nothing-to-do') return nothingToDo(config, route.version, graph);
  const read = await readSteps(config, liveGraph, route.ids, route.direction === 'down' ? committed : []);
  if (read.problems.length > 0) throw new UpgradeError(read.problems);
  const { transitions, findings: imageFindings } =
    route.direction === 'down' ? await withEarlierImages(config, read.transitions, { graph, committed }) : { ...read, findings: [] };
  const made = makePlan({ ...request, product: config.product, transitions, graph, sha256 });
  if (made.kind === 'nothing-to-do') return nothingToDo(config, made.version, graph);
  const heights = committed.map(({ transition, runId }) => ({
    transition,
    runId,
    ladders: graph.find(({ id }) => id === transition)?.ladders ?? {},
  }));
  const { withClimbs } = await import('./climbs.ts');
  const climbed = await withClimbs(config, made.plan, { committed: heights, options, now: adapters.clock.now() });
  const backup = await estimateBackup(config, adapters, climbed.plan);
  const findings = [
    ...read.findings,
    ...imageFindings,
    ...climbed.findings,
    ...targetFindings(made.plan),
    ...made.assumed.map((transition) => finding('warn', failure('DOWNGRADE_ASSUMED', { transition }))),
  ];
  return {
    ...climbed.plan,
    graph,
    findings,
    accepted: climbed.accepted,
    imported: climbed.imported,
    backup,
  };
}

/** The whole preflight: what reading found, and what the machine, databases and services say. */
export async function findingsFor(config: Config, adapters: ReadingPorts, plan: PreparedPlan): Promise<readonly Finding[]> {
  const [appliedSteps, services] = await Promise.all([
    readJournal(config, async (journal) => (await journal?.appliedSteps()) ?? []),
    serviceFindings(config, adapters.clock),
  ]);
  const facts: PreflightFacts = {
    plan,
    config,
    appliedSteps,
    checksums: appliedChecksums(config.migrations, appliedSteps),
    known: [...plan.findings, ...services],
    backupBytes: plan.backup.newBytes,
    restoreTestBytes: config.backup.restoreTest ? plan.backup.estimatedBytes : 0,
  };
  return preflight(adapters, facts);
}

/** The plan as JSON data, with the hash taken anew: whether what was read back is what was written. */
export function hasItsHash(plan: Plan): boolean {
  return planHash(plan, sha256) === plan.hash;
}

/** Just what is executed, for writing down. */
export function frozen({ product, from, to, direction, transitions, hash }: Plan): Plan {
  return { product, from, to, direction, transitions, hash };
}

export function isNothingToDo(plan: Plan): boolean {
  return plan.from === plan.to && plan.transitions.length === 0;
}

/** Findings that keep a run from beginning, as failures. */
export function blocking(findings: readonly Finding[]): readonly Failure[] {
  // Findings that block are made of the registry's failures.
  return findings.flatMap(({ level, ...problem }) => (level === 'block' ? [{ ...problem, phase: 'preflight' } as Failure] : []));
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function nothingToDo(config: Config, version: Version | null, graph: readonly TransitionHeader[]): PreparedPlan {
  const plan = { product: config.product, from: version, to: version, direction: 'up' as const, transitions: [] };
  return {
    ...plan,
    hash: planHash(plan, sha256),
    graph,
    findings: [],
    accepted: [],
    imported: [],
    backup: noBackup,
  };
}

type Committed = readonly { readonly transition: string; readonly runId: string }[];

/** The folders as they were when they were applied: what a downgrade goes by, also where the folder has changed or is gone. */
async function archivedHeaders(config: Config, committed: Committed): Promise<readonly TransitionHeader[]> {
  const read = await Promise.all(
    [...byRun(config, committed)].map(async ([copies, ids]) =>
      (await readTransitionGraph({ ...config, migrations: copies, isArchive: true })).transitions.filter(({ id }) => ids.includes(id)),
    ),
  );
  return read.flat();
}

async function readSteps(config: Config, graph: TransitionGraph, ids: readonly string[], committed: Committed): Promise<ReadTransitions> {
  const archives = [
    ...byRun(
      config,
      committed.filter(({ transition }) => ids.includes(transition)),
    ),
  ];
  const inArchives = new Set(archives.flatMap(([, found]) => found));
  const reads = await Promise.all([
    ...archives.map(([copies, found]) => readTransitions({ ...config, migrations: copies, isArchive: true }, found, { describeModules })),
    readTransitions(
      config,
      ids.filter((id) => !inArchives.has(id)),
      { describeModules, graph },
    ),
  ]);
  return {
    transitions: reads.flatMap(({ transitions }) => transitions),
    problems: reads.flatMap(({ problems }) => problems),
    findings: reads.flatMap(({ findings }) => findings),
  };
}

function byRun(config: Config, committed: Committed): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { transition, runId } of committed) {
    const copies = path.join(runDir(config, runId), 'steps');
    if (existsSync(path.join(copies, transition))) found.set(copies, [...(found.get(copies) ?? []), transition]);
  }
  return found;
}

/** A version that no transition leads to is written all the same: right for a release without migrations, and just what a slip of the pen looks like. */
function targetFindings({ direction, to, transitions }: Plan): readonly Finding[] {
  const last = transitions.at(-1)?.to ?? null;
  if (direction === 'down' || to === null || last === to) return [];
  return [finding('warn', failure('TARGET_WITHOUT_TRANSITION', { to, last }))];
}
