// What stands in the way of any run, whatever its plan: another that holds the lock, or one that was left unfinished. Writes nothing.
import type { Config } from '../model/config.ts';
import { failuresOf } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';
import { refuseOpenRun } from './entry.ts';
import { heldBy } from './lock-holder.ts';

export async function obstacles(config: Config): Promise<readonly Finding[]> {
  try {
    const holder = await currentHolder(config);
    if (holder !== null) return asFindings(await heldBy(config, holder));
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
