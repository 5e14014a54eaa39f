// Puts everything back: the in-doubt or failed step first, then completed steps in reverse; then the installation is compared with the
// backup and what still differs is restored from it; then services are put back as they were and the probes run.
// Promises that the installation equals the backup's manifest, or rejects with what does not. Nothing is deleted on the way.
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { failure, failuresOf, UpgradeError, type Failure } from '../src/model/failure.ts';
import { stepsOf } from '../src/model/plan.ts';
import type { BackupRecord, Difference, Ports, RunContext } from '../src/model/ports.ts';
import type { RestoredPath } from '../src/model/run.ts';
import { servicesToRestart } from '../src/model/service-order.ts';
import { attemptsWithoutProgress, changesNothing } from './attempts.ts';
import { backupOfRun, hasBegunSteps } from './backup.ts';
import { blameFor } from './blame.ts';
import { judge, type Judge } from './drift.ts';
import { putContainersBack, replacementsOf } from './images.ts';
import { restartServices } from './restart.ts';
import { restoreHasBegun, restoreRefused, revertSteps, type Reverted } from './reverting.ts';
import { rememberServices, stopServices } from './stopping.ts';
import { runProbes } from './verify.ts';

// An effect of its own: a second attempt at the same restore may find the database in place already.
const replacedDatabase = 'replaced-database';

type Needs = Pick<Ports, 'journal' | 'events' | 'steps' | 'backups' | 'services' | 'images' | 'probes' | 'clock'>;
type RestoringPorts = Omit<Needs, 'images'>;

// A machine that dies in every rollback would go on for ever; a person may still ask for one more.
export const mostAttempts = 25;

export async function rollback(ports: Needs, run: RunContext, cause: Failure | null): Promise<void> {
  const record = await ports.journal.run(run.id);
  const attempts = record === null ? 0 : await attemptsWithoutProgress(ports, record);
  if (attempts > mostAttempts) {
    throw new UpgradeError([failure('TOO_MANY_ATTEMPTS', { id: run.id, attempts: attempts - 1 }, { phase: 'rollback' })]);
  }
  if (cause !== null) ports.events.emit({ type: 'rollback-started', failure: cause });
  // A run that never came to its steps has stopped nothing: services that run are left alone.
  if (await hasTouchedInstallation(ports, run)) {
    await rememberServices(ports, run);
    await tellFailures(ports, () => stopServices(ports, run));
    // What a new container writes while its files are put back would be lost, or in the way.
    await tellFailures(ports, () => putContainersBack(ports, run));
  }
  // Where no step was begun nothing is ours to put back: what differs from the backup was written by people and services since.
  if ((await hasBegunSteps(ports, run.id)) && !(await isProven(ports, run.id))) {
    const reverted = await revertSteps(ports, run);
    await restoreDifferences(ports, run, reverted);
    await ports.steps.removeMarkers(run);
    await recordProof(ports, run.id);
  }
  await putServicesBack(ports, run);
  await checkOldVersion(ports, run);
}

// Services run again from then on: what they write must not be taken back by whoever enters the rollback once more after a kill.
const proven = 'proven';

export async function isProven({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<boolean> {
  return (await journal.effects(runId)).some(({ key }) => key === proven);
}

export async function recordProof({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<void> {
  await journal.intend(runId, proven, null);
}

async function hasTouchedInstallation({ journal }: Needs, run: RunContext): Promise<boolean> {
  return (await journal.effects(run.id)).some((effect) => !changesNothing(effect)) || hasBegunSteps({ journal }, run.id);
}

/** Compares with the manifest, restores what differs, compares again. */
export async function restoreDifferences(ports: RestoringPorts, run: RunContext, reverted: Reverted): Promise<void> {
  const backup = await backupOfRun(ports, run.id);
  if (backup === null) {
    const untold = [...reverted.byBackup, ...(reverted.failed === null ? [] : [reverted.failed])];
    if (untold.length > 0) throw new UpgradeError([failure('NO_BACKUP_TO_RESTORE', { run: run.id }, { phase: 'rollback' })]);
    return;
  }
  const { differences, compared } = await ports.backups.compare(backup);
  const judged = await judge(ports, run, { backup, differences, reverted });
  const isLeft = await leaving(run, differences.filter(judged.isDrift), judged);
  const ours = differences.filter((difference) => !isLeft(difference));
  // Those that are left may change for ever: only what is put back is looked at again.
  const left =
    ours.length > 0 ? await restore(ports, run, { backup, differences: ours, reverted, judged, isLeft }) : differences.filter(isLeft);
  await ports.journal.settleSteps(
    run.id,
    reverted.byBackup.map((stepId) => ({ stepId, status: 'reverted' as const, durationMs: null })),
  );
  for (const step of reverted.byBackup)
    ports.events.emit({ type: 'step-finished', step, action: 'revert', status: 'reverted', durationMs: 0 });
  for (const { path: where, why } of left) ports.events.emit({ type: 'drift', drift: { path: where, why, services: judged.writers } });
  ports.events.emit({ type: 'rollback-proven', compared, restored: ours.length, ...(left.length === 0 ? {} : { drift: left.length }) });
  tellWhatIsNotProven(ports, run, reverted);
  tellWhatWasLost(ports, ours, judged);
}

/** What the config says of drift; a question is for a terminal, and nobody there to answer it leaves things as they are. */
async function leaving(
  run: RunContext,
  drift: readonly Difference[],
  { isDrift, writers }: Judge,
): Promise<(difference: Difference) => boolean> {
  const { onDrift } = run.config.backup;
  const isSetBack =
    drift.length > 0 &&
    (onDrift === 'restore' ||
      (onDrift === 'ask' &&
        ((await run.askAboutDrift?.(drift.map(({ path: where, why }) => ({ path: where, why, services: writers })))) ?? false)));
  return isSetBack ? () => false : isDrift;
}

/** A service that ran on may have written to what was set back, too: never without a word. */
function tellWhatWasLost({ events }: RestoringPorts, restored: readonly Difference[], { writers }: Judge): void {
  const replaced = restored.filter(({ kind }) => kind !== 'missing').map(({ path: where }) => where);
  if (writers.length === 0 || replaced.length === 0) return;
  const [shown, more] = [replaced.slice(0, 5).join(', '), replaced.length > 5 ? ` and ${replaced.length - 5} more` : ''];
  events.emit({
    type: 'warning',
    message: `${writers.join(', ')} ran on while this was set back: ${shown}${more}. What was there is kept in the run's folder, under aside.`,
  });
}

/** The proof reaches as far as the backup. What nobody undid outside of it may still be there. */
function tellWhatIsNotProven({ events }: RestoringPorts, { config }: RunContext, { failed, byBackup, unclean }: Reverted): void {
  const steps = [...(failed === null ? [] : [failed]), ...byBackup, ...unclean];
  if (config.backup.include === null || steps.length === 0) return;
  events.emit({
    type: 'warning',
    message: `Undone from the backup alone: ${steps.join(', ')}. Whatever was changed there outside of backup.include is not put back.`,
  });
}

interface Restoring {
  readonly backup: BackupRecord;
  readonly differences: readonly Difference[];
  readonly reverted: Reverted;
  readonly judged: Judge;
  readonly isLeft: (difference: Difference) => boolean;
}

/** Gives what is left as it is. */
async function restore(
  ports: RestoringPorts,
  run: RunContext,
  { backup, differences, reverted, judged, isLeft }: Restoring,
): Promise<readonly Difference[]> {
  const hasBegunBefore = await restoreHasBegun(ports, run.id);
  await ports.journal.intend(
    run.id,
    'restore',
    differences.map(({ path: where }) => where),
  );
  if (differences.some(({ path: where }) => isDatabase(where, run))) await ports.journal.intend(run.id, replacedDatabase, null);
  try {
    await ports.backups.restore(backup, { differences, isLeft, asideDir: path.join(run.dir, 'aside') });
  } catch (error) {
    // Found by reading it whole, before the first change: when somebody tries again, backwards are all that is left.
    const isUnusable = failuresOf(error).some(({ code }) => code === 'BACKUP_CORRUPT' || code === 'BACKUP_MISSING');
    if (isUnusable && !hasBegunBefore) await ports.journal.settle(run.id, 'restore', restoreRefused);
    throw error;
  }
  const after = await ports.backups.compare(backup);
  const wrong = after.differences.filter((difference) => !isLeft(difference));
  if (wrong.length > 0) {
    const what = wrong.map(({ path: where, why }) => `${where} (${why})`);
    throw new UpgradeError([failure('ROLLBACK_INCOMPLETE', { what }, { phase: 'rollback' })]);
  }
  await ports.journal.settle(run.id, 'restore', null);
  for (const difference of differences)
    ports.events.emit({ type: 'restored', restored: restoredPath(difference, blameFor(difference, judged, { reverted, run })) });
  return after.differences;
}

function isDatabase(where: string, { config }: RunContext): boolean {
  return Object.entries(config.databases).some(([name, database]) => {
    if (where === `database:${name}`) return true;
    return database.kind === 'sqlite' && [database.file, followed(database.file)].includes(path.join(config.root, where));
  });
}

/** Backups know a database by where it really lies. */
function followed(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function restoredPath({ path: where, kind, why }: Difference, step: string | null): RestoredPath {
  const state =
    kind === 'created' ? 'was created since the backup' : kind === 'missing' ? 'was missing' : `differs from the backup (${why})`;
  return { path: where, why: state, ...(step === null ? {} : { step }) };
}

/** Everything that a begun step names, and all that this run stopped or restarted. All is tried, and then all told that could not be done. */
async function putServicesBack(ports: Needs, run: RunContext): Promise<void> {
  const records = await ports.journal.stepRecords(run.id);
  const begun = new Set(records.filter(({ attempts }) => attempts > 0).map(({ stepId }) => stepId));
  const named = servicesToRestart(
    stepsOf(run.plan).filter(({ id }) => begun.has(id)),
    run.config,
  );
  const effects = await ports.journal.effects(run.id);
  const touched = effects.flatMap(({ key }) => (/^(?:stop|restart):/.test(key) ? [key.slice(key.indexOf(':') + 1)] : []));
  // Whoever ran on still has the database open that was replaced: what it writes from now on would be lost.
  if (effects.some(({ key }) => key === replacedDatabase)) touched.push(...Object.keys(run.config.services));
  const replaced = Object.keys((await replacementsOf(ports, run.id)) ?? {});
  const problems = await failuresOfAll([
    () => putStatesBack(ports, run),
    () => putContainersBack(ports, run),
    async () =>
      restartServices(ports, run, new Set([...named, ...touched, ...replaced, ...(await downSince(ports, run))]), { key: 'put-back' }),
    () => stopWhatDidNotRun(ports, run),
  ]);
  if (problems.length > 0) throw new UpgradeError(problems);
}

/** What starting and stopping do not restore: unit files are read again, what was enabled or masked is so again. */
async function putStatesBack({ journal, services }: Needs, run: RunContext): Promise<void> {
  const before = await journal.servicesBefore(run.id);
  const all = Object.values(run.config.services);
  const problems = await failuresOfAll([
    () => services.reload(all),
    ...all.map((service) => async () => {
      const state = before[service.name];
      if (state !== undefined) await services.putBack(service, state);
    }),
  ]);
  if (problems.length > 0) throw new UpgradeError(problems);
}

async function failuresOfAll(works: readonly (() => Promise<void>)[]): Promise<readonly Failure[]> {
  const problems: Failure[] = [];
  for (const work of works) await work().catch((error: unknown) => problems.push(...failuresOf(error)));
  return problems;
}

/** What ran before the run and does not now, whoever ended it: a step may have, without a word. */
async function downSince({ journal, services }: Needs, run: RunContext): Promise<readonly string[]> {
  const before = await journal.servicesBefore(run.id);
  const ran = Object.values(run.config.services).filter(({ name }) => before[name]?.isRunning === true);
  const states = await Promise.all(ran.map(async (service) => ({ name: service.name, ...(await services.inspect(service)) })));
  return states.flatMap(({ name, isRunning }) => (isRunning ? [] : [name]));
}

async function stopWhatDidNotRun({ journal, services, events }: Needs, run: RunContext): Promise<void> {
  const before = await journal.servicesBefore(run.id);
  for (const service of Object.values(run.config.services)) {
    if (before[service.name]?.isRunning !== false || !(await services.inspect(service)).isRunning) continue;
    events.emit({ type: 'service', service: service.name, action: 'stopping' });
    await services.stop(service);
    events.emit({ type: 'service', service: service.name, action: 'stopped' });
  }
}

/** The tree is proven by now. A probe that fails is told, and may simply have been written for the new version. */
async function checkOldVersion(ports: Needs, run: RunContext): Promise<void> {
  const before = await ports.journal.servicesBefore(run.id);
  if (Object.values(before).some(({ isRunning }) => !isRunning)) return;
  for (const { name, status, detail } of await runProbes(ports, run)) {
    if (status === 'failed')
      ports.events.emit({
        type: 'warning',
        message: `After the rollback the probe "${name}" does not pass${detail === undefined ? '' : `: ${detail}`}.`,
      });
  }
}

/** For what helps a rollback but must not keep it from going on. */
async function tellFailures({ events }: Needs, attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    for (const { code, message } of failuresOf(error)) events.emit({ type: 'warning', message: `${code}: ${message}` });
  }
}
