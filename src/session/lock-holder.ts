// Who holds the lock, as a failure for the one who did not get it.
import type { LockHolder } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { fail, failuresOf, type UpgradeError } from '../model/failure.ts';
import { readJournal } from './journals.ts';

/** LOCK_HELD, with process, phase and age. */
export async function heldBy(config: Config, holder: LockHolder): Promise<UpgradeError> {
  return fail('LOCK_HELD', { holder: describeHolder(holder), phase: await phaseOfRun(config), since: holder.since });
}

export function describeHolder({ pid, host, command, step }: LockHolder): string {
  const who = pid === null ? 'a process that cannot be seen from here' : `process ${pid}${host === null ? '' : ` on ${host}`}`;
  if (step !== null) return `${who}, which still runs step ${step} of a run that was killed`;
  return command === null ? who : `${who} (${command})`;
}

/** The phase that the unfinished run is in. The holder is naming it at the same time, so a journal that cannot be read yet says nothing. */
export async function phaseOfRun(config: Config): Promise<string | null> {
  try {
    return await readJournal(config, async (journal) => (await journal?.unfinishedRun())?.phase ?? null);
  } catch (error) {
    const [problem] = failuresOf(error);
    return problem === undefined ? null : `unknown (${problem.code})`;
  }
}
