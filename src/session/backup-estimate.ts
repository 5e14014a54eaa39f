// What the backup of a plan would take.
import type { Config } from '../model/config.ts';
import { stepsOf } from '../model/plan.ts';
import type { Plan } from '../model/plan.ts';
import type { ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';

export interface BackupEstimate {
  readonly sources: readonly string[];
  readonly estimatedBytes: number;
  /** What no earlier backup has: so much is written. */
  readonly newBytes: number;
}

export const noBackup: BackupEstimate = { sources: [], estimatedBytes: 0, newBytes: 0 };

export async function estimateBackup(
  config: Config,
  { backups }: Pick<ReadingPorts, 'backups'>,
  plan: Omit<Plan, 'hash'>,
): Promise<BackupEstimate> {
  const earlier = await readJournal(config, async (journal) => (await journal?.backups()) ?? []);
  const { sources, bytes, newBytes } = await backups.estimate(
    stepsOf({ ...plan, hash: '' }).flatMap((step) => step.backup),
    earlier,
  );
  return { sources, estimatedBytes: bytes, newBytes };
}
