// Work outside of runs that needs the lock and the journal. Promises that both are let go of, however the work ends.
import type { Config } from '../model/config.ts';
import type { Journal } from '../model/ports.ts';
import type { ReadingPorts } from './adapters.ts';
import { openJournalToWrite } from './journals.ts';
import { takeLock, type WaitForLock } from './take-lock.ts';

/** Throws LOCK_HELD with the holder. */
export async function locked<T>(
  config: Config,
  { clock }: Pick<ReadingPorts, 'clock'>,
  work: (journal: Journal) => Promise<T>,
  wait: WaitForLock = {},
): Promise<T> {
  const lock = await takeLock(config, clock, wait);
  try {
    const journal = await openJournalToWrite(config, lock);
    try {
      return await work(journal);
    } finally {
      await journal.close();
    }
  } finally {
    await lock.release();
  }
}
