// Stops the services that must not run during the upgrade, archives what the config and the steps name, reads it back, and records it.
// Given the plan; promises that a verified backup of this run exists, and that it holds the installation as it is before the first step, all
// of one moment: one that an earlier attempt made is good only as long as nobody has changed anything since.
import { failuresOf } from '../src/model/failure.ts';
import { stepsOf } from '../src/model/plan.ts';
import type { Ports, RunContext, BackupRecord } from '../src/model/ports.ts';
import { afterBackupPrefix } from './attempts.ts';
import { checkNotCancelled } from './cancelling.ts';
import { replacementsOf } from './images.ts';
import { restartServices } from './restart.ts';
import { areStopped, rememberServices, stopServices } from './stopping.ts';

type Needs = Pick<Ports, 'journal' | 'backups' | 'events' | 'services'>;

export async function backup(ports: Needs, run: RunContext): Promise<void> {
  // As early as this: a machine that reboots during a long backup must not have its services taken for ones that did not run before.
  await rememberServices(ports, run);
  const known = await backupOfRun(ports, run.id);
  const hasBegun = await hasBegunSteps(ports, run.id);
  if (known !== null && hasBegun) return;
  if (!hasBegun) await stopServices(ports, run, run.signal);
  if (known === null || !(await isUpToDate(ports, known))) await replace(ports, run, known);
  await copyAway(ports, run);
}

/** Gives the verified backup to `backup.afterBackup`. Before it is recorded as done a kill repeats it. */
async function copyAway({ journal, backups, events }: Needs, run: RunContext): Promise<void> {
  const { afterBackup } = run.config.backup;
  const record = await backupOfRun({ journal }, run.id);
  if (afterBackup === null || record === null) return;
  const key = `${afterBackupPrefix}${record.id}`;
  if ((await journal.effects(run.id)).some((effect) => effect.key === key && effect.isSettled)) return;
  await journal.intend(run.id, key, null);
  try {
    await backups.afterBackup(record, run.signal);
  } catch (error) {
    checkNotCancelled(run.signal);
    if (afterBackup.onFailure === 'fail') throw error;
    for (const { code, message } of failuresOf(error)) events.emit({ type: 'warning', message: `${code}: ${message}` });
  }
  await journal.settle(run.id, key, null);
}

/** For a run that ends before its first step: what it stopped for the backup runs again, and stays well. */
export async function startAgain(ports: Pick<Ports, 'journal' | 'events' | 'services'>, run: RunContext): Promise<void> {
  const stopped = (await ports.journal.effects(run.id)).flatMap(({ key }) => (key.startsWith('stop:') ? [key.slice('stop:'.length)] : []));
  await restartServices(ports, run, new Set(stopped), { key: 'put-back' });
}

/** A backup of the installation as it is now, in place of the run's earlier one where that says something else. */
export async function backupAnew(ports: Needs, run: RunContext): Promise<void> {
  const known = await backupOfRun(ports, run.id);
  if (known === null || !(await isUpToDate(ports, known))) await replace(ports, run, known);
}

async function replace(ports: Needs, run: RunContext, known: BackupRecord | null): Promise<void> {
  // The host that began the run has it. One of the installation as it is now would say nothing of how it was.
  if (known === null && (await hasBegunSteps(ports, run.id))) {
    ports.events.emit({
      type: 'warning',
      message: 'The backup of this run lies on the host that began it: from here, only steps can be undone.',
    });
    return;
  }
  const record = await create(
    ports,
    run,
    (await ports.journal.backups()).filter(({ id }) => id !== known?.id),
  );
  await ports.journal.recordBackup(record);
  const { id, path, bytes, files, verified } = record;
  ports.events.emit({ type: 'backup-verified', backup: { id, path, bytes, files, verified } });
  if (known === null) return;
  // Its replacement is proven and recorded, and only now this one is no longer good: killed anywhere in here, the run has a backup. The preflight has counted room for one.
  await ports.journal.recordBackup({ ...known, verified: false });
  await ports.backups.remove(known);
  await ports.journal.removeBackup(known.id);
}

async function isUpToDate({ backups }: Needs, known: BackupRecord): Promise<boolean> {
  return (await backups.compare(known)).differences.length === 0;
}

/** The verified backup that was made for this run, if there is one: the newest, where there are several. */
export async function backupOfRun({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<BackupRecord | null> {
  const backups = await journal.backups();
  return backups.find((record) => record.runId === runId && record.verified) ?? null;
}

/** Whether a step of the run may have changed anything, or a new container: the intent comes before the effect. */
export async function hasBegunSteps({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<boolean> {
  const hasBegun = (await journal.stepRecords(runId)).some(({ attempts }) => attempts > 0);
  return hasBegun || (await replacementsOf({ journal }, runId)) !== null;
}

// A run that is taken up more often than this without coming to its steps is given up before.
const mostBackups = 20;

/** Under the run's own id, so that whoever finds the archive finds its run. One that is outdated is left there, and the next gets a number. */
async function create({ backups, services, events }: Needs, run: RunContext, earlier: readonly BackupRecord[]): Promise<BackupRecord> {
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? run.id : `${run.id}-${number}`;
    try {
      return await backups.create({
        id,
        runId: run.id,
        version: run.plan.from,
        extraPaths: [...new Set(stepsOf(run.plan).flatMap((step) => step.backup))],
        // The one that it takes the place of is no ground to build on.
        earlier,
        isSimultaneous: await areStopped({ services }, run.config),
        signal: run.signal,
        onProgress: (doneBytes, totalBytes) => events.emit({ type: 'backup-progress', doneBytes, totalBytes, transient: true }),
      });
    } catch (error) {
      const isOutdated = failuresOf(error).some(({ code }) => code === 'BACKUP_EXISTS');
      if (!isOutdated || number >= mostBackups) throw error;
    }
  }
}
