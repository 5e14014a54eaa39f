// Which differences from the backup are not this run's: what a service that ran on has written since. Given what the steps can have changed and when they
// were at work; promises to call nothing drift that only a step can have done. In doubt, a path is the steps'.
import type { Difference, Ports, RunContext, StepReach, StepWindow } from '../src/model/ports.ts';
import { ordersOf } from '../src/plan/orders.ts';
import { copiesDir } from './discovery.ts';
import { restoreHasBegun, type Reverted } from './reverting.ts';

type Needs = Pick<Ports, 'journal' | 'steps' | 'backups' | 'clock'>;

export interface Judge {
  readonly isDrift: (difference: Difference) => boolean;
  /** Services that ran on. */
  readonly writers: readonly string[];
  readonly reach: readonly StepReach[];
  readonly windows: readonly StepWindow[];
}

/** How long to look whether somebody writes to a path right now. */
const watchedMs = 1_000;
const mostWatched = 200;

export async function judge(
  ports: Needs,
  run: RunContext,
  {
    backup,
    differences,
    reverted,
  }: {
    readonly backup: Parameters<Ports['backups']['compare']>[0];
    readonly differences: readonly Difference[];
    readonly reverted: Reverted;
  },
): Promise<Judge> {
  const before = await ports.journal.servicesBefore(run.id);
  const writers = Object.values(run.config.services).filter(
    ({ name, stopDuringUpgrade }) => !stopDuringUpgrade && before[name]?.isRunning === true,
  );
  const begun = new Set((await ports.journal.stepRecords(run.id)).flatMap(({ stepId, attempts }) => (attempts > 0 ? [stepId] : [])));
  const orders = ordersOf(run.plan, copiesDir(run), 'apply').filter(({ step }) => begun.has(step.id));
  const { steps: reach, windows } = ports.steps.reach(orders, run);
  const unfinished = new Set([...reverted.byBackup, ...reverted.unclean, ...(reverted.failed === null ? [] : [reverted.failed])]);
  // What an earlier attempt at this restore has touched bears the time of that attempt.
  const isTimeTelling = !(await restoreHasBegun(ports, run.id)) && isWhole(windows);
  const declared = writers.flatMap(({ writes = [] }) => writes);

  const byTime = (difference: Difference): boolean =>
    isTimeTelling && (difference.times ?? []).length > 0 && (difference.times ?? []).every((time) => !isWithin(BigInt(time), windows));
  const certain = (difference: Difference): boolean | null => {
    // Putting back what is gone loses nothing.
    if (writers.length === 0 || difference.kind === 'missing') return false;
    const database = databaseAt(difference.path, run);
    if (database !== null && !/^(?:rows of|locked)/.test(difference.why)) return false;
    const suspects = reach.filter((step) => reaches(step, difference.path, database));
    if (
      suspects.some(
        ({ stepId, paths, databases }) =>
          touches(paths, difference.path) || (database !== null && databases.includes(database) && unfinished.has(stepId)),
      )
    )
      return false;
    if (suspects.length === 0) return true;
    if (declared.some((path) => touches([path], difference.path) || (database !== null && path === `database:${database}`))) return true;
    return byTime(difference) ? true : null;
  };
  const open = differences.filter((difference) => certain(difference) === null).slice(0, mostWatched);
  const seen = open.length === 0 ? new Set<string>() : await changing(ports, backup, open);
  return {
    isDrift: (difference) => certain(difference) ?? seen.has(difference.path),
    writers: writers.map(({ name }) => name),
    reach,
    windows,
  };
}

/** Which of them somebody writes to while no step is at work. */
async function changing(
  { backups, clock }: Needs,
  backup: Parameters<Ports['backups']['compare']>[0],
  open: readonly Difference[],
): Promise<ReadonlySet<string>> {
  await clock.sleep(watchedMs);
  const { differences } = await backups.compare(backup, { paths: open.map(({ path }) => path) });
  const now = new Map(differences.map((difference) => [difference.path, difference.times?.join()]));
  return new Set(
    open.filter(({ path, times }) => times !== undefined && now.has(path) && now.get(path) !== times.join()).map(({ path }) => path),
  );
}

function reaches({ paths, databases, isOpen }: StepReach, path: string, database: string | null): boolean {
  return isOpen || touches(paths, path) || (database !== null && databases.includes(database));
}

/** The path itself, what is in it, or what it is in. */
export function touches(paths: readonly string[], path: string): boolean {
  return paths.some((one) => one === path || one.startsWith(`${path}/`) || path.startsWith(`${one}/`));
}

export function databaseAt(path: string, { config }: Pick<RunContext, 'config'>): string | null {
  const found = Object.entries(config.databases).find(
    ([name, database]) => path === `database:${name}` || (database.kind === 'sqlite' && database.file === `${config.root}/${path}`),
  );
  return found?.[0] ?? null;
}

/** Whether all of them were seen to their end, and the clock never went back: else times tell nothing. */
export function isWhole(windows: readonly StepWindow[]): boolean {
  return (
    windows.length > 0 && windows.every(({ begin, end }, index) => end !== null && end >= begin && begin >= (windows[index - 1]?.end ?? 0n))
  );
}

export function isWithin(time: bigint, windows: readonly StepWindow[]): boolean {
  return windows.some(({ begin, end }) => time >= begin && (end === null || time <= end));
}
