// Who holds the lock, as a failure for the one who did not get it.
import type { Config } from '../model/config.ts';
import { fail, failuresOf, type UpgradeError } from '../model/failure.ts';
import type { Holder } from './journal-target.ts';
import { readJournal } from './journals.ts';

/** LOCK_HELD, with process, phase and age. */
export async function heldBy(config: Config, holder: Holder): Promise<UpgradeError> {
  return fail('LOCK_HELD', { holder: describeHolder(holder), phase: await phaseOf(config, holder), since: holder.since });
}

export function describeHolder({ pid, host, command, step }: Holder): string {
  const who = pid === null ? 'a process that cannot be seen from here' : `process ${pid}${host === null ? '' : ` on ${host}`}`;
  if (step !== null) return `${who}, which still runs step ${step} of a run that was killed`;
  return command === null ? who : `${who} (${command})`;
}

/** The phase that the holder is in, as the holder itself tells it where hosts share a journal. */
export async function phaseOf(config: Config, { phase }: Holder): Promise<string | null> {
  return phase === undefined ? phaseOfRun(config) : phase;
}

/** The phase that the unfinished run is in. The holder is naming it at the same time, so a journal that cannot be read yet says nothing. */
async function phaseOfRun(config: Config): Promise<string | null> {
  try {
    return await readJournal(config, async (journal) => (await journal?.unfinishedRun())?.phase ?? null);
  } catch (error) {
    const [problem] = failuresOf(error);
    return problem === undefined ? null : `unknown (${problem.code})`;
  }
}
