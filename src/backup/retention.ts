// Which backups may go. Pure: given what is recorded, newest first.
import type { BackupRecord } from '../model/ports.ts';

/** All beyond the newest `keep`; never a protected one, never the newest verified one. */
export function toPrune(
  backups: readonly BackupRecord[],
  keep: number,
  protectedIds: ReadonlySet<string> | readonly string[] = [],
): readonly BackupRecord[] {
  const kept = new Set(protectedIds);
  const newestGood = backups.find(({ verified }) => verified);
  if (newestGood !== undefined) kept.add(newestGood.id);
  return backups.slice(Math.max(0, keep)).filter(({ id }) => !kept.has(id));
}
