// What stands in the way of any run, whatever its plan: another that holds the lock, or one that was left unfinished. Writes nothing.
import { lockHolder } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { failuresOf } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import { readJournal } from './journals.ts';
import { refuseOpenRun } from './entry.ts';
import { heldBy } from './lock-holder.ts';

export async function obstacles(config: Config): Promise<readonly Finding[]> {
  const holder = lockHolder(config.state);
  if (holder !== null) return asFindings(await heldBy(config, holder));
  try {
    await readJournal(config, async (journal) => {
      if (journal !== null) await refuseOpenRun(journal);
    });
    return [];
  } catch (error) {
    return asFindings(error);
  }
}

function asFindings(error: unknown): readonly Finding[] {
  return failuresOf(error).map(({ code, message, hint, place }) => ({
    level: 'block',
    code,
    message,
    hint,
    ...(place === undefined ? {} : { place }),
  }));
}
