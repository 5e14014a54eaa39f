// Work outside of runs that needs the lock and the journal. Promises that both are let go of, however the work ends.
import os from 'node:os';
import { acquireLock } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import type { Journal } from '../model/ports.ts';
import type { ReadingPorts } from './adapters.ts';
import { openJournalToWrite } from './journals.ts';
import { heldBy } from './lock-holder.ts';

/** Throws LOCK_HELD with the holder. */
export async function locked<T>(config: Config, { clock }: ReadingPorts, work: (journal: Journal) => Promise<T>): Promise<T> {
  const lock = await acquireLock(config.state, { pid: process.pid, host: os.hostname(), since: clock.now() });
  if ('holder' in lock) throw await heldBy(config, lock.holder);
  try {
    const journal = openJournalToWrite(config);
    try {
      return await work(journal);
    } finally {
      await journal.close();
    }
  } finally {
    lock.release();
  }
}
