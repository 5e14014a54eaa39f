// How often a run was taken up without getting any further: what ends a loop of crashes, and leaves alone a long step that is killed many times
// and comes further each time.
import type { Ports } from '../src/model/ports.ts';
import type { RunRecord } from '../src/model/run.ts';
import { isPin } from './images.ts';

interface Progress {
  /** Whatever tells one state of the run's work from another. */
  readonly mark: string;
  /** How often the run had been taken up when it was first seen. */
  readonly attempts: number;
}

const key = 'progress';

/** Notes how far the run is: `mark` is equal for two attempts only where nothing was done between them. */
export async function noteProgress(
  { journal }: Pick<Ports, 'journal'>,
  { id, attempts }: Pick<RunRecord, 'id' | 'attempts'>,
  mark: string,
): Promise<void> {
  if ((await progressOf(journal, id))?.mark !== mark) await journal.intend(id, key, { mark, attempts } satisfies Progress);
}

export async function attemptsWithoutProgress(
  { journal }: Pick<Ports, 'journal'>,
  { id, attempts }: Pick<RunRecord, 'id' | 'attempts'>,
): Promise<number> {
  return attempts - ((await progressOf(journal, id))?.attempts ?? 0);
}

/** Begins the key of the effect of a command that is given a backup. */
export const afterBackupPrefix = 'after-backup:';

/** Of all effects these change nothing of the installation. */
export function changesNothing(effect: { readonly key: string }): boolean {
  return isProgress(effect) || isPin(effect) || effect.key.startsWith(afterBackupPrefix);
}

function isProgress(effect: { readonly key: string }): boolean {
  return effect.key === key;
}

async function progressOf(journal: Ports['journal'], runId: string): Promise<Progress | null> {
  return ((await journal.effects(runId)).find((effect) => effect.key === key)?.intent ?? null) as Progress | null;
}
