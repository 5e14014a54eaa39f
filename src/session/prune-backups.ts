// Lets go of backups beyond what the config keeps, and of our own keys to those that no run needs any more. Needs the lock.
import { toPrune } from '../backup/retention.ts';
import type { Config } from '../model/config.ts';
import type { Journal } from '../model/ports.ts';
import type { ReadingPorts } from './adapters.ts';

/** `runId`: a run that has just ended, whose backup stays. Gives the ids of those that went. Killed in between, the next time goes on. */
export async function pruneBackups(
  { backup: { keep, keepDays } }: Config,
  { backups, clock }: Pick<ReadingPorts, 'backups' | 'clock'>,
  journal: Journal,
  runId: string | null = null,
): Promise<readonly string[]> {
  const records = await journal.backups();
  const open = new Set((await journal.runs()).flatMap(({ id, outcome }) => (outcome === null || outcome === 'stranded' ? [id] : [])));
  const needed = records.filter((record) => record.runId !== null && open.has(record.runId)).map(({ id }) => id);
  const ofRun = records.filter((record) => record.runId !== null && record.runId === runId).map(({ id }) => id);
  const old = toPrune(records, { keep, keepDays, now: clock.now(), protectedIds: [...needed, ...ofRun] });
  for (const record of old) {
    // From here on it is not whole: killed in between, nobody takes it for a good one, and the next time it goes.
    await journal.recordBackup({ ...record, verified: false });
    await backups.remove(record);
    await journal.removeBackup(record.id);
  }
  await backups.forgetKeys(new Set(needed));
  return old.map(({ id }) => id);
}
