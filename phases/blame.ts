// Which step is to blame for a path that its backward did not put back. Given what the steps can have changed and when; promises to name a step only where
// no other can have done it.
import type { Difference, RunContext } from '../src/model/ports.ts';
import { databaseAt, isWhole, touches, type Judge } from './drift.ts';
import type { Reverted } from './reverting.ts';

export function blameFor(
  difference: Difference,
  { reach, windows, writers }: Pick<Judge, 'reach' | 'windows' | 'writers'>,
  { reverted, run }: { readonly reverted: Reverted; readonly run: Pick<RunContext, 'config'> },
): string | null {
  // It ended the backwards: what the steps before it had changed was left to the backup because of it.
  if (reverted.failed !== null) return reverted.failed;
  const database = databaseAt(difference.path, run);
  const suspects = reach.filter(
    ({ paths, databases, isOpen }) => isOpen || touches(paths, difference.path) || (database !== null && databases.includes(database)),
  );
  const [only] = suspects;
  if (only === undefined) return null;
  // Somebody else may have written there as well.
  const isRecorded = touches(only.paths, difference.path) || (database !== null && only.databases.includes(database));
  if (suspects.length === 1) return writers.length === 0 || isRecorded ? only.stepId : null;
  return writers.length === 0 ? lastToTouch(difference, windows, new Set(suspects.map(({ stepId }) => stepId))) : null;
}

/** What was last changed while one step went forward was touched by no backward since: its own has not undone it. */
function lastToTouch({ times = [] }: Difference, windows: Judge['windows'], suspects: ReadonlySet<string>): string | null {
  const [time] = times;
  if (time === undefined || !isWhole(windows)) return null;
  const at = BigInt(time);
  // The clock of files ticks: one moment may be the end of a step and the beginning of the next.
  const found = windows.filter(({ begin, end }) => at >= begin && end !== null && at <= end);
  const [window] = found;
  if (window === undefined || found.length > 1 || window.work !== 'apply' || window.steps.length !== 1) return null;
  const [step] = window.steps;
  return step !== undefined && suspects.has(step) ? step : null;
}
