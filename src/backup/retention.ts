// Which backups may go. Pure: given what is recorded, newest first.
import type { BackupRecord } from '../model/ports.ts';

export interface Retention {
  /** The newest so many stay. */
  readonly keep: number;
  /** So do those that are younger; `null`: none for its age. */
  readonly keepDays: number | null;
  /** ISO 8601. */
  readonly now: string;
  readonly protectedIds?: ReadonlySet<string> | readonly string[];
}

const dayMs = 86_400_000;

/** Never a protected one, never the newest verified one, never one that a kept one needs. An age that cannot be told keeps a backup. */
export function toPrune(backups: readonly BackupRecord[], retention: Retention): readonly BackupRecord[] {
  const { keep, keepDays, now, protectedIds = [] } = retention;
  const needs = new Map(backups.map((backup) => [backup.id, backup.needs ?? []]));
  const kept = new Set(protectedIds);
  for (const { id } of backups.slice(0, Math.max(0, keep))) kept.add(id);
  if (keepDays !== null) {
    const oldest = Date.parse(now) - keepDays * dayMs;
    for (const { id, createdAt } of backups) if (!(Date.parse(createdAt) < oldest)) kept.add(id);
  }
  const newestGood = backups.find(({ verified }) => verified);
  if (newestGood !== undefined) kept.add(newestGood.id);
  // A set may grow while it is walked: what is needed is looked at in its turn.
  for (const id of kept) for (const needed of needs.get(id) ?? []) kept.add(needed);
  return backups.filter(({ id }) => !kept.has(id));
}
