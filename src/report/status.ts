// Where an installation stands, for people: what is installed, then what needs a hand, then what is pending, then the rest.
import type { Failure } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import { renderFailures } from './failures.ts';
import { bytes, count, createInk, hanging, marks, moment, wayOf } from './layout.ts';
import type { Ink } from './layout.ts';
import { outcomeText } from './outcome-text.ts';
import { labelled } from './table.ts';

type Run = Pick<RunRecord, 'id' | 'from' | 'to' | 'phase' | 'course' | 'startedAt' | 'finishedAt' | 'outcome'>;

/** What is shown of the status document. */
export interface StatusView {
  readonly product: string;
  readonly version: string | null;
  readonly latest: string | null;
  /** Ids of transitions. */
  readonly pending: readonly string[];
  readonly state: 'up-to-date' | 'pending' | 'unfinished' | 'error';
  readonly run: Run | null;
  readonly lock: {
    readonly host: string | null;
    readonly pid: number | null;
    readonly since: string | null;
    readonly phase: string | null;
  } | null;
  readonly lastRun: Run | null;
  readonly backups: readonly Pick<BackupRecord, 'id' | 'createdAt' | 'bytes'>[];
  readonly ladders: readonly { readonly name: string; readonly height: number; readonly latest: number; readonly pending: number }[];
  readonly services?: readonly { readonly name: string; readonly status: string; readonly account: string | null }[];
  readonly problems?: readonly Failure[];
}

const shownTransitions = 8;

export function renderStatus(
  status: StatusView,
  { ink = createInk(false), columns = 80 }: { readonly ink?: Ink; readonly columns?: number } = {},
): readonly string[] {
  const { product, version, run, lock, lastRun, backups, ladders, services = [], problems = [] } = status;
  const label = (name: string, text: string) => labelled(name, text, columns, ink.quiet);
  const upToDate = status.state === 'up-to-date' ? `  ${ink.quiet('up to date')}` : '';
  // Of ladders alone, which have none to be known.
  const isVersionless = version === null && ladders.length > 0 && status.pending.length === 0 && problems.length === 0;
  const [newest] = backups;
  const facts = [
    ...(lastRun === null || lastRun.id === run?.id
      ? []
      : label('Last run', `${wayOf(lastRun)}, ${outcomeText(lastRun.outcome)} ${moment(lastRun.finishedAt ?? lastRun.startedAt)}`)),
    ...(newest === undefined
      ? []
      : label('Backups', `${backups.length}, the newest of ${moment(newest.createdAt)} (${bytes(newest.bytes)})`)),
    ...ladders.flatMap(({ name, height, latest, pending }) =>
      label('Ladder', `${name}  ${height} of ${latest}${pending === 0 ? '' : `, ${pending} pending`}`),
    ),
    ...services.flatMap(({ name, status: state, account }) =>
      label('Service', `${name}  ${state}${account === null || state === 'stopped' ? '' : `: ${account}`}`),
    ),
  ];
  return [
    `${ink.strong(isVersionless ? product : `${product} is at ${version ?? 'an unknown version'}`)}${upToDate}`,
    ...runLines(run, lock, ink, columns),
    ...(problems.length === 0 ? [] : ['', ...renderFailures(problems, { ink, columns })]),
    ...pendingLines(status, ink, columns),
    ...(facts.length === 0 ? [] : ['', ...facts]),
  ];
}

function runLines(run: Run | null, lock: StatusView['lock'], ink: Ink, columns: number): readonly string[] {
  const way = run === null ? '' : wayOf(run);
  if (lock !== null) {
    const who = [
      lock.pid === null ? 'a process' : `PID ${lock.pid}`,
      lock.host === null ? null : `on ${lock.host}`,
      lock.since === null ? null : `since ${moment(lock.since)}`,
    ].filter((part) => part !== null);
    const what = run === null ? 'A run is going on' : `Run ${run.id} (${way}) is going on`;
    return [
      '',
      ...hanging(
        `${ink.back(marks.going)} `,
        `${what}${lock.phase === null ? '' : `, in phase ${lock.phase}`}: ${who.join(' ')}.`,
        columns,
      ),
      ...hanging(`  ${ink.quiet(marks.arrow)} `, '"upgrade follow" watches it.', columns),
    ];
  }
  if (run === null) return [];
  const back = run.course === 'backwards' ? ', while rolling back' : '';
  if (run.outcome === 'stranded') {
    return [
      '',
      ...hanging(`${ink.bad(marks.failed)} `, `Run ${run.id} (${way}) is stranded: its rollback could not be completed.`, columns),
      ...hanging(
        `  ${ink.quiet(marks.arrow)} `,
        `"upgrade history ${run.id}" tells why. When the cause is mended, "upgrade rollback" tries again.`,
        columns,
      ),
    ];
  }
  return [
    '',
    ...hanging(`${ink.back(marks.warning)} `, `Run ${run.id} (${way}) is unfinished: it stopped in phase ${run.phase}${back}.`, columns),
    ...hanging(`  ${ink.quiet(marks.arrow)} `, '"upgrade resume" finishes it, "upgrade rollback" undoes it.', columns),
  ];
}

function pendingLines({ pending, latest, run }: StatusView, ink: Ink, columns: number): readonly string[] {
  if (pending.length === 0) return [];
  const shown = pending.slice(0, shownTransitions).flatMap((id) => hanging('    ', id, columns));
  const more = pending.length > shownTransitions ? [ink.quiet(`    … and ${pending.length - shownTransitions} more`)] : [];
  return [
    '',
    ...hanging('  ', `${ink.strong(`${latest}`)} can be reached by ${count(pending.length, 'transition')}:`, columns),
    ...shown,
    ...more,
    ...(run === null
      ? hanging(`  ${ink.quiet(marks.arrow)} `, '"upgrade plan" shows what would be done, "upgrade" does it.', columns)
      : []),
  ];
}
