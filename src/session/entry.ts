// How a run comes in: a new one through its preflight, an unfinished one as the journal left it.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { attemptsWithoutProgress, changesNothing, noteProgress } from '../../phases/attempts.ts';
import { copiesDir } from '../../phases/discovery.ts';
import type { PreflightVerdict } from '../machine/upgrade.machine.ts';
import type { Config } from '../model/config.ts';
import { fail, failuresOf, messageOf, UpgradeError } from '../model/failure.ts';
import { climbsOf, type Finding, type Plan, type Transition } from '../model/plan.ts';
import type { EventSink, Journal } from '../model/ports.ts';
import type { RunRecord, StepRecord } from '../model/run.ts';
import type { ReadingPorts } from './adapters.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';
import { runDir } from './held-run.ts';
import { leftBehind } from './left-behind.ts';
import { heldBy } from './lock-holder.ts';
import { savedProgress } from '../steps/examine.ts';
import { keepsWhatIsDone, ordersOf } from '../plan/orders.ts';
import { blocking, findingsFor, frozen, hasItsHash, isNothingToDo, sha256, type PreparedPlan } from './planning.ts';
import type { RunRequest } from './run-session.ts';
import { openRestores } from './open-restores.ts';
import { refuseRunningElsewhere, refuseUndoingElsewhere } from './steps-elsewhere.ts';

export type RunEntry = Pick<RunRequest, 'plan' | 'runId' | 'input' | 'canTurnBack' | 'prepare'>;

// A forward that was taken up this often without coming to its end is given up.
const mostForwardAttempts = 10;

/** `hasLock`: the caller holds the lock, and has seen under it that no run is open. */
export function newRun(config: Config, adapters: ReadingPorts, prepared: PreparedPlan, runId: string, hasLock = false): RunEntry {
  const plan = frozen(prepared);
  return {
    plan,
    runId,
    canTurnBack: true,
    input: {
      entry: 'new',
      course: 'forwards',
      hasTouchedInstallation: false,
      isTriedTooOften: false,
      keepsWhatIsDone: keepsWhatIsDone(plan),
      failure: null,
    },
    async prepare(hold, events): Promise<PreflightVerdict> {
      if (!hasLock) await refuseWhileUnfinished(config);
      const nothing = isNothingToDo(plan);
      const findings = nothing
        ? prepared.findings
        : [...(await findingsFor(config, adapters, prepared)), ...(hasLock ? [] : await wouldEndItself(config, adapters, plan))];
      for (const finding of findings) events.emit({ type: 'finding', finding });
      const problems = blocking(findings);
      if (problems.length > 0) throw new UpgradeError(problems);
      if (nothing && prepared.accepted.length + prepared.imported.length + (await tellLeftBehind(config, events)) === 0)
        return { kind: 'nothing-to-do' };
      // Up to here nothing was written, not even the state folder.
      const journal = await hold();
      await refuseOpenRun(journal);
      if (prepared.imported.length > 0) await (await import('./adopted-records.ts')).recordImports(journal, prepared.imported);
      if (climbsOf(plan).length > 0) await (await import('./stale-climbs.ts')).refuseStaleClimbs(config, plan, journal);
      const installed = await adapters.installation.readVersion();
      if (prepared.accepted.length > 0) await journal.acceptChecksums(prepared.accepted);
      if (nothing) return { kind: 'nothing-to-do' };
      if (installed !== null && installed !== plan.from)
        throw fail('VERSION_CHANGED', { expected: plan.from ?? 'none', actual: installed }, { phase: 'preflight' });
      writeDurably(path.join(runDir(config, runId), 'plan.json'), JSON.stringify(plan));
      await journal.createRun(
        { ...plan, id: runId, planHash: plan.hash, startedAt: adapters.clock.now(), host: os.hostname(), pid: process.pid },
        plan,
      );
      events.emit({ type: 'run-started', product: plan.product, from: plan.from, to: plan.to, steps: countSteps(plan), resumed: false });
      return { kind: 'go' };
    },
  };
}

/** How many earlier runs have left containers: they are removed at the end of this one, for which it needs the lock. */
async function tellLeftBehind(config: Config, events: EventSink): Promise<number> {
  const findings = await leftBehind(config);
  for (const finding of findings) events.emit({ type: 'finding', finding });
  return findings.length;
}

/** A boot is a part of its service by nature: it is what comes before it. */
async function wouldEndItself(config: Config, { services }: ReadingPorts, plan: Plan): Promise<readonly Finding[]> {
  if (Object.keys(config.services).length === 0) return [];
  const { insideFindings } = await import('./inside-service.ts');
  return insideFindings({ config, services, plan, purpose: 'run' });
}

export type ResumeCourse = 'as-recorded' | 'only-forward' | 'backward';

/** `isUnattended`: nobody has looked whether a step that ran on another host has ended there. */
export async function resumedRun(
  config: Config,
  course: ResumeCourse,
  { isUnattended = false }: { readonly isUnattended?: boolean } = {},
): Promise<RunEntry> {
  const { run, records, hasBegunSteps, kept } = await readJournal(config, async (journal) => {
    const open = journal === null ? null : await openRun(journal);
    if (journal === null || open === null) throw fail('NO_UNFINISHED_RUN', {});
    const records = await journal.stepRecords(open.id);
    const effects = await journal.effects(open.id);
    const hasBegun = effects.some((effect) => !changesNothing(effect)) || records.some(({ attempts }) => attempts > 0);
    return { run: open, records, hasBegunSteps: hasBegun, kept: await journal.frozenPlan(open.id) };
  });
  if (run.outcome === 'stranded' && course !== 'backward') throw fail('RUN_STRANDED', { id: run.id });
  if (run.course === 'backwards' && course === 'only-forward') throw fail('RUN_ROLLING_BACK', { id: run.id });
  const plan = readPlan(config, run, kept);
  if (course === 'backward' || run.course === 'backwards') refuseUndoingElsewhere(plan, records);
  if (isUnattended) refuseRunningElsewhere(plan, records);
  const noteProgressOrTell = async (journal: Journal, events: EventSink): Promise<void> => {
    try {
      await noteProgress({ journal }, run, await markOf(config, plan, run.id, records));
    } catch (error) {
      // A database that is noise by now must not stand in the way of whoever puts it back: the attempt just counts.
      const [problem] = failuresOf(error);
      if (problem === undefined || problem.code.startsWith('JOURNAL_')) throw error;
      events.emit({ type: 'warning', message: `How far the run had come cannot be read: ${problem.message}` });
    }
  };
  return {
    plan,
    runId: run.id,
    canTurnBack: course !== 'only-forward',
    input: {
      entry: 'resumed',
      course: course === 'backward' ? 'backwards' : run.course,
      hasTouchedInstallation: hasBegunSteps,
      isTriedTooOften: false,
      keepsWhatIsDone: keepsWhatIsDone(plan),
      failure: run.failure,
    },
    async prepare(hold, events) {
      const journal = await hold();
      // Another process may have ended it between the look above and the lock.
      const open = await openRun(journal);
      if (open?.id !== run.id) throw fail('NO_UNFINISHED_RUN', {});
      // Or taken it up, turned it round, and been killed: what was decided above goes by an old record.
      if (open.attempts !== run.attempts || open.course !== run.course) throw fail('RUN_UNFINISHED', open);
      await journal.takeUp(run.id, { host: os.hostname(), pid: process.pid, isAskedFor: course === 'backward' });
      events.emit({ type: 'run-started', product: run.product, from: run.from, to: run.to, steps: countSteps(plan), resumed: true });
      if (run.course === 'forwards' && course !== 'backward') await noteProgressOrTell(journal, events);
      return { kind: 'go', isTriedTooOften: (await attemptsWithoutProgress({ journal }, run)) >= mostForwardAttempts };
    },
  };
}

/** Steps that are applied, and what those that were interrupted have saved of how far they are. */
async function markOf(config: Config, plan: Plan, runId: string, records: readonly StepRecord[]): Promise<string> {
  const dir = runDir(config, runId);
  const run = { id: runId, plan, config, dir, signal: new AbortController().signal };
  const begun = new Set(records.filter(({ status }) => status !== 'applied' && status !== 'pending').map(({ stepId }) => stepId));
  const orders = ordersOf(plan, copiesDir({ dir }), 'apply').filter(({ step }) => begun.has(step.id));
  return sha256(JSON.stringify([records.map(({ status }) => status), await savedProgress(orders, config, run)]));
}

/** The run that stands in the way of another: unfinished, or stranded. */
export async function openRun(journal: Journal): Promise<RunRecord | null> {
  const unfinished = await journal.unfinishedRun();
  if (unfinished !== null) return unfinished;
  const [last] = await journal.runs(1);
  return last?.outcome === 'stranded' ? last : null;
}

async function refuseWhileUnfinished(config: Config): Promise<void> {
  // First who is at work: the run that he has in hand is not one to be resumed.
  const holder = await currentHolder(config);
  // Ours: a boot waits for it before it plans. Whether the run gets it is decided when it asks for it.
  const isOurs = holder?.pid === process.pid && holder.host === os.hostname();
  if (holder !== null && !isOurs) throw await heldBy(config, holder);
  await readJournal(config, async (journal) => {
    if (journal !== null) await refuseOpenRun(journal);
  });
}

/** A restore by hand that was interrupted stands in the way too: half of the installation is the backup's. */
export async function refuseOpenRun(journal: Journal): Promise<void> {
  const [restore] = await openRestores(journal);
  if (restore !== undefined) throw fail('RESTORE_UNFINISHED', restore.intent, { phase: 'preflight' });
  const open = await openRun(journal);
  if (open === null) return;
  if (open.outcome === 'stranded') throw fail('RUN_STRANDED', { id: open.id }, { phase: 'preflight' });
  throw fail('RUN_UNFINISHED', open, { phase: 'preflight' });
}

/** `kept`: as the journal has it, for a run that was begun on another host. */
function readPlan(config: Config, run: RunRecord, kept: Plan | null): Plan {
  const file = path.join(runDir(config, run.id), 'plan.json');
  try {
    const plan = kept !== null && !existsSync(file) ? asHere(config, kept) : (JSON.parse(readFileSync(file, 'utf8')) as Plan);
    if (plan.hash === run.planHash && hasItsHash(plan)) return plan;
    throw new Error('it is not the plan that the journal names');
  } catch (error) {
    throw fail('PLAN_LOST', { file, run: run.id, reason: messageOf(error) }, {}, error);
  }
}

/** Another host's plan with this host's folders: discovery compares every file in them with the plan. */
function asHere(config: Config, plan: Plan): Plan {
  const dirOf = ({ id, dir, climb }: Transition): string =>
    climb === null ? path.join(config.migrations, id) : (config.ladders[climb.ladder]?.dir ?? dir);
  return { ...plan, transitions: plan.transitions.map((transition) => ({ ...transition, dir: dirOf(transition) })) };
}

function writeDurably(file: string, text: string): void {
  const beside = `${file}.partial`;
  const fd = openSync(beside, 'w', 0o600);
  try {
    // Not `writeSync`: on a full disk that may write a part and be content.
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(beside, file);
  const folder = openSync(path.dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function countSteps(plan: Plan): number {
  return plan.transitions.reduce((sum, { steps }) => sum + steps.length, 0);
}
