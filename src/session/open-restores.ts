// Restores by hand that were interrupted, as the journal has them: an intent without an outcome.
import os from 'node:os';
import type { Journal } from '../model/ports.ts';

/** Under this in place of a run's id, each with its own id as the key. */
export const restoresByHand = 'restores-by-hand';

interface RestoreIntent {
  readonly backup: string;
  /** Empty: all of it. */
  readonly paths: readonly string[];
  readonly startedAt: string;
  /** Backups and installation are those of this host. */
  readonly host: string;
  readonly withSafetyCopy: boolean;
}

export interface OpenRestore {
  readonly id: string;
  readonly intent: RestoreIntent;
}

/** Of this host, the newest first. */
export async function openRestores(journal: Journal): Promise<readonly OpenRestore[]> {
  return (await journal.effects(restoresByHand))
    .filter(({ isSettled }) => !isSettled)
    .map(({ key, intent }) => ({ id: key, intent: intent as RestoreIntent }))
    .filter(({ intent }) => intent.host === os.hostname())
    .toSorted((a, b) => (a.id < b.id ? 1 : -1));
}
