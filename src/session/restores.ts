// Restores by hand: looked at beforehand, with a copy of the present state, services that use the data stopped, an intent in the journal before the first change.
// Promises that one that was killed is ended by repeating it or by `upgrade resume`, and that nothing is lost: what stood in the way lies in `state/aside`.
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ulid } from 'ulid';
import { restartServices } from '../../phases/restart.ts';
import { rememberServices, stopServices } from '../../phases/stopping.ts';
import { freeDisk } from '../discover/host-facts.ts';
import type { Config } from '../model/config.ts';
import { fail, failuresOf } from '../model/failure.ts';
import type { BackupRecord, Difference, EventSink, Journal, RestoreReport } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import type { ReadingPorts } from './adapters.ts';
import { makeByHand } from './backups-by-hand.ts';
import { findBackup, withKeys, type KeyOptions } from './backups.ts';
import { openRun } from './entry.ts';
import { readJournal } from './journals.ts';
import { locked } from './locked.ts';
import { openRestores, restoresByHand, type OpenRestore } from './open-restores.ts';

export interface RestoreOptions extends KeyOptions {
  /** Relative to the root, or `database:<name>`; all where it is left out. */
  readonly paths?: readonly string[];
  /** Into this folder, empty or new, for looking; the installation is not touched. */
  readonly to?: string;
  /** Go without a backup of the present state. */
  readonly noSafetyCopy?: boolean;
  /** Asked before anything is changed, where something would be lost or put aside. Default: yes. */
  readonly confirm?: (preview: RestorePreview) => Promise<boolean>;
  /** Told on the way: warnings, and services that stop and start. */
  readonly events?: EventSink;
  readonly signal?: AbortSignal;
}

export interface RestorePreview {
  readonly backup: BackupRecord;
  /** `missing` comes back, `differs` is set back, `created` is put aside. */
  readonly differences: readonly Difference[];
  readonly unchanged: number;
  /** Services that run now: those that are stopped for it, and those that go on. */
  readonly stopped: readonly string[];
  readonly running: readonly string[];
}

const silent: EventSink = { emit: () => undefined };

/** What `restore` would do, by the same rules. Writes nothing. Throws RESTORE_PATH_UNKNOWN. */
export async function previewRestore(
  config: Config,
  plain: ReadingPorts,
  id: string,
  { paths = [], ...keys }: Pick<RestoreOptions, 'paths' | 'identities'> = {},
): Promise<RestorePreview> {
  const adapters = withKeys(config, plain, keys);
  const backup = await findBackup(config, id);
  const { differences, compared } = await adapters.backups.compare(backup, { paths });
  const changed = differences.filter(({ kind }) => kind !== 'created').length;
  const states = await Promise.all(
    Object.values(config.services).map(async (service) => ({ service, ...(await adapters.services.inspect(service)) })),
  );
  const running = states.filter(({ isRunning }) => isRunning).map(({ service }) => service);
  return {
    backup,
    differences,
    unchanged: compared - changed,
    stopped: running.filter(({ stopDuringUpgrade }) => stopDuringUpgrade).map(({ name }) => name),
    running: running.filter(({ stopDuringUpgrade }) => !stopDuringUpgrade).map(({ name }) => name),
  };
}

/** Throws NOT_CONFIRMED, RUN_UNFINISHED, RESTORE_UNFINISHED, RESTORE_NO_SPACE, RESTORE_TARGET, LOCK_HELD and what a backup throws before any change; RESTORE_FAILED and RESTORE_INCOMPLETE after one. */
export async function restoreBackup(config: Config, plain: ReadingPorts, id: string, options: RestoreOptions = {}): Promise<RestoreReport> {
  const adapters = withKeys(config, plain, options);
  const { paths = [], to, confirm } = options;
  if (to !== undefined) return restoreTo(config, adapters, id, path.resolve(to), paths);
  if (confirm !== undefined) {
    const preview = await previewRestore(config, adapters, id, { paths });
    if (preview.differences.length > 0 && !(await confirm(preview))) throw fail('NOT_CONFIRMED', {});
  }
  const backup = await findBackup(config, id);
  return locked(config, adapters, async (journal) => {
    const run = await openRun(journal);
    if (run !== null && run.outcome === null) throw fail('RUN_UNFINISHED', run);
    const interrupted = await openRestores(journal);
    const same = interrupted.find(({ intent }) => intent.backup === id && sameList(intent.paths, paths));
    const [other] = interrupted;
    // All of a backup ends whatever was begun before it.
    if (same === undefined && other !== undefined && paths.length > 0)
      throw fail('RESTORE_UNFINISHED', { backup: other.intent.backup, startedAt: other.intent.startedAt });
    const restore = same ?? {
      id: ulid(),
      intent: {
        backup: id,
        paths: [...paths],
        startedAt: adapters.clock.now(),
        host: os.hostname(),
        withSafetyCopy: options.noSafetyCopy !== true && interrupted.length === 0,
      },
    };
    const report = await work(config, adapters, { journal, backup, restore, options });
    // All of them began before it, and their paths are in it.
    for (const one of interrupted) await journal.settle(restoresByHand, one.id, `ended by ${restore.id}`);
    // Somebody decided which state it goes back to, and it was compared: the run that was stranded has found its end.
    if (paths.length === 0 && run !== null) await closeStranded(journal, run, backup);
    return report;
  });
}

/** The restore that was interrupted on this host, if there is one. */
export async function unfinishedRestore(config: Config): Promise<OpenRestore | null> {
  return readJournal(config, async (journal) => (journal === null ? null : ((await openRestores(journal))[0] ?? null)));
}

/** Finishes it. Throws NO_UNFINISHED_RUN where there is none, and what a restore throws. */
export async function resumeRestore(
  config: Config,
  adapters: ReadingPorts,
  options: Pick<RestoreOptions, 'events' | 'signal' | 'identities'> = {},
): Promise<{ readonly backup: string; readonly report: RestoreReport }> {
  const open = await unfinishedRestore(config);
  if (open === null) throw fail('NO_UNFINISHED_RUN', {});
  const { backup, paths } = open.intent;
  return { backup, report: await restoreBackup(config, adapters, backup, { ...options, paths }) };
}

async function restoreTo(
  config: Config,
  { backups }: ReadingPorts,
  id: string,
  dir: string,
  paths: readonly string[],
): Promise<RestoreReport> {
  const isWithin = (folder: string): boolean => dir === folder || dir.startsWith(`${folder}${path.sep}`);
  if ([config.root, config.state, config.backup.dir].some(isWithin))
    throw fail('RESTORE_TARGET', { dir, problem: 'it lies in the installation' });
  return backups.extractTo(await findBackup(config, id), { dir, paths });
}

interface Work {
  readonly journal: Journal;
  readonly backup: BackupRecord;
  readonly restore: OpenRestore;
  readonly options: RestoreOptions;
}

async function work(config: Config, adapters: ReadingPorts, { journal, backup, restore, options }: Work): Promise<RestoreReport> {
  const { paths } = restore.intent;
  const { events = silent, signal } = options;
  const { backups } = adapters;
  const inScope = paths.length === 0 ? {} : { paths };
  // Found out before anything is stopped.
  const first = await backups.compare(backup, inScope);
  const hasSafetyCopy = (await journal.effects(restore.id)).some(({ key }) => key === safetyCopy);
  const takesCopy = restore.intent.withSafetyCopy && !hasSafetyCopy && first.differences.length > 0;
  await requireSpace(config, adapters, backup, { differences: first.differences, takesCopy });

  await journal.intend(restoresByHand, restore.id, restore.intent);
  const ports = { journal, events, services: adapters.services };
  // The phases know a run by its id and its config; a restore has both.
  const asRun = { id: restore.id, config };
  const hasBegun = async (): Promise<boolean> => (await journal.effects(restore.id)).some(({ key }) => key === swapping);
  const putServicesBack = async (replaced: readonly string[]): Promise<void> => {
    const effects = await journal.effects(restore.id);
    const stopped = effects.flatMap(({ key }) => (key.startsWith('stop:') ? [key.slice('stop:'.length)] : []));
    // Whoever ran on still has the database open that was replaced: what it writes from now on would be lost.
    const wanted = replaced.some((shown) => isDatabase(shown, config)) ? Object.keys(config.services) : stopped;
    try {
      await restartServices(ports, asRun, new Set(wanted), { key: 'put-back' });
    } catch (error) {
      for (const { code, message } of failuresOf(error)) events.emit({ type: 'warning', message: `${code}: ${message}` });
    }
  };
  try {
    if (first.differences.length > 0) {
      await rememberServices(ports, asRun);
      await stopServices(ports, asRun, signal);
    }
    if (takesCopy) await takeSafetyCopy(adapters, journal, { backup, restore, options });
    const asideDir = path.join(config.state, 'aside', restore.id);
    mkdirSync(asideDir, { recursive: true, mode: 0o700 });
    const report = await backups.restore(backup, {
      asideDir,
      ...inScope,
      ...(signal === undefined ? {} : { signal }),
      beforeChange: () => journal.intend(restore.id, swapping, null),
    });
    await putServicesBack(report.restored);
    await journal.settle(restoresByHand, restore.id, { restored: report.restored.length, removed: report.removed.length });
    return report;
  } catch (error) {
    // Half done: services stay down until it is finished, so that none of them works with half of its data.
    if (await hasBegun()) throw error;
    await putServicesBack([]);
    await journal.settle(restoresByHand, restore.id, 'refused');
    throw asRefusal(error, backup.id);
  }
}

/** Nothing was changed: that is what whoever reads it has to know first. */
function asRefusal(error: unknown, id: string): unknown {
  const [problem, ...others] = failuresOf(error);
  if (problem?.code !== 'RESTORE_FAILED' || others.length > 0) return error;
  const cause = error instanceof Error ? error.cause : null;
  if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT'))
    return fail('RESTORE_DISK_FULL', { id, problem: problem.message }, {}, error);
  return fail('RESTORE_NOT_BEGUN', { id, problem: problem.message }, {}, error);
}

const safetyCopy = 'safety-copy';
const swapping = 'swapping';

async function takeSafetyCopy(
  { backups, installation }: ReadingPorts,
  journal: Journal,
  { backup, restore, options: { events = silent, signal } }: Pick<Work, 'backup' | 'restore' | 'options'>,
): Promise<void> {
  // A version that cannot be read is what somebody may be restoring for.
  const version = await installation.readVersion().catch(() => null);
  const record = await wanted(backup.id, () =>
    makeByHand(journal, backups, (id) =>
      backups.create({ id, runId: null, version, extraPaths: [], ...(signal === undefined ? {} : { signal }) }),
    ),
  );
  await journal.intend(restore.id, safetyCopy, record.id);
  const { id, path: file, bytes, files, verified } = record;
  events.emit({ type: 'backup-verified', backup: { id, path: file, bytes, files, verified } });
}

/** A present state that cannot be copied may be the very reason for the restore: that is for a person to say. */
async function wanted<T>(id: string, copy: () => Promise<T>): Promise<T> {
  try {
    return await copy();
  } catch (error) {
    const problems = failuresOf(error).filter(({ code }) =>
      /^(BACKUP_(UNREADABLE|FILE_CHANGED|WRITE_FAILED|NO_SPACE)|DATABASE_|POSTGRES_)/.test(code),
    );
    if (problems.length === 0) throw error;
    throw fail('RESTORE_NO_SAFETY_COPY', { id, problem: problems.map(({ message }) => message).join(' ') }, {}, error);
  }
}

/** All demands on one file system together. Throws RESTORE_NO_SPACE. */
async function requireSpace(
  config: Config,
  { backups }: ReadingPorts,
  backup: BackupRecord,
  { differences, takesCopy }: { readonly differences: readonly Difference[]; readonly takesCopy: boolean },
): Promise<void> {
  const copy = takesCopy ? [{ path: config.backup.dir, bytes: (await wanted(backup.id, () => backups.estimate([]))).bytes }] : [];
  const demands = [...copy, ...(await backups.roomFor(backup, differences))].map((want) => ({ ...want, free: freeDisk(want.path) }));
  for (const sharing of Map.groupBy(demands, ({ free }) => free.device).values()) {
    const neededBytes = sharing.reduce((sum, { bytes }) => sum + bytes, 0);
    const [first] = sharing;
    if (first !== undefined && first.free.bytes < neededBytes)
      throw fail('RESTORE_NO_SPACE', { path: first.path, neededBytes, freeBytes: first.free.bytes });
  }
}

function isDatabase(shown: string, { databases, root }: Config): boolean {
  return Object.entries(databases).some(
    ([name, database]) => shown === `database:${name}` || (database.kind === 'sqlite' && database.file === path.join(root, shown)),
  );
}

async function closeStranded(journal: Journal, run: RunRecord, { id }: BackupRecord): Promise<void> {
  if (run.result === null) return;
  const warnings = [...run.result.warnings, `Put back by hand, from backup ${id}.`];
  await journal.finishRun(run.id, 'rolled-back', { ...run.result, outcome: 'rolled-back', warnings, next: `upgrade history ${run.id}` });
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}
