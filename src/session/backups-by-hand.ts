// Makes backups outside of runs. Given the journal, under the lock; promises that one that was finished and never recorded, because of a kill in between, does not
// stay on the disk for ever.
import { ulid } from 'ulid';
import type { BackupRecord, BackupStore, Journal } from '../model/ports.ts';

/** Under this in place of a run's id, each with its own id as the key. */
const backupsByHand = 'backups-by-hand';

/** `make` gets an id that is in the journal before the first byte of the backup is on the disk. */
export async function makeByHand(
  journal: Journal,
  backups: Pick<BackupStore, 'discard'>,
  make: (id: string) => Promise<BackupRecord>,
): Promise<BackupRecord> {
  const recorded = new Set((await journal.backups()).map(({ id }) => id));
  for (const { key, isSettled } of await journal.effects(backupsByHand)) {
    if (isSettled) continue;
    if (!recorded.has(key)) await backups.discard(key);
    await journal.settle(backupsByHand, key, recorded.has(key) ? 'made' : 'discarded');
  }
  const id = ulid();
  await journal.intend(backupsByHand, id, null);
  const record = await make(id);
  await journal.recordBackup(record);
  await journal.settle(backupsByHand, id, 'made');
  return record;
}
