// The runs so far, and one run with everything that is known of it, for people.
import type { UpgradeEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { RunRecord, StepRecord } from '../model/run.ts';
import { renderFailure } from './failures.ts';
import { count, createInk, duration, hanging, marks, moment, padEnd, spread, wayOf, width } from './layout.ts';
import type { Ink } from './layout.ts';
import { outcomeMark, outcomeText, stepMark } from './outcome-text.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';
import { labelled } from './table.ts';
import { renderTimeline } from './timeline.ts';

type Run = Pick<RunRecord, 'id' | 'from' | 'to' | 'phase' | 'course' | 'startedAt' | 'finishedAt' | 'outcome' | 'failure' | 'attempts'>;
type Style = { readonly ink?: Ink; readonly columns?: number };

export interface RunView {
  readonly run: Run & Partial<Pick<RunRecord, 'host' | 'pid' | 'backupId' | 'result'>>;
  readonly steps: readonly StepRecord[];
  readonly events: readonly UpgradeEvent[];
  /** Files with what the run and its steps printed, absolute. */
  readonly logs?: readonly string[];
}

/** Two lines a run: what came of it, and the id to ask for more with. */
export function renderHistory(runs: readonly Run[], { ink = createInk(false), columns = 80 }: Style = {}): readonly string[] {
  if (runs.length === 0) return ['Nothing was run yet.'];
  const ways = runs.map(wayOf);
  const widest = Math.max(...ways.map(width));
  return runs.flatMap((run, index) => {
    const took = tookMs(run);
    const first = `${outcomeMark(run.outcome, ink)} ${padEnd(ways[index] ?? '', widest)}  ${padEnd(outcomeText(run.outcome), 13)}  ${ink.quiet(moment(run.startedAt))}`;
    const why = run.failure === null ? '' : `  ${run.failure.step ?? run.failure.code}`;
    return [
      ...hanging('', spread(first, took === null ? '' : ink.quiet(duration(took)), Math.min(columns, 80)), columns),
      ...hanging('  ', `${run.id}${why}`, columns).map(ink.quiet),
    ];
  });
}

/** Steps with their times, what was put back, warnings, and each failure with the last lines of its output. */
export function renderRun(view: RunView, { ink = createInk(false), columns = 80 }: Style = {}): readonly string[] {
  const { run, steps, events, logs = [] } = scrubValue(view, sanitize);
  const label = (name: string, text: string) => labelled(name, text, columns, ink.quiet);
  const section = (title: string, lines: readonly string[]) => (lines.length === 0 ? [] : ['', `  ${ink.strong(title)}`, ...lines]);
  const took = tookMs(run);
  const stopped = run.outcome === null ? `, in phase ${run.phase}${run.course === 'backwards' ? ', rolling back' : ''}` : '';
  const failures = failuresOf(run, steps);
  return [
    ...hanging(`${outcomeMark(run.outcome, ink)} `, `${ink.strong(wayOf(run))}  ${outcomeText(run.outcome)}${stopped}`, columns),
    ...label('Run', run.id),
    ...label('Started', `${moment(run.startedAt)}${run.host === undefined ? '' : ` on ${run.host}`}`),
    ...(took === null ? [] : label('Took', duration(took))),
    ...(run.attempts > 1 ? label('Taken up', `${run.attempts} times`) : []),
    ...(run.backupId === undefined || run.backupId === null ? [] : label('Backup', run.backupId)),
    ...section('Phases', phaseLines(events, ink, columns)),
    ...section('Timeline', renderTimeline(events, { ink, columns })),
    ...section(
      'Steps',
      steps.flatMap((step) => stepLines(step, ink, columns)),
    ),
    ...section('Services and probes', checkLines(events, ink, columns)),
    ...section(
      'Put back from the backup',
      events.flatMap((event) =>
        event.type === 'restored' ? hanging('    ', `${event.restored.path}  ${ink.quiet(event.restored.why)}`, columns) : [],
      ),
    ),
    ...section(
      'Warnings',
      events.flatMap((event) => (event.type === 'warning' ? hanging(`  ${ink.back(marks.warning)} `, event.message, columns) : [])),
    ),
    // A path that is broken in two cannot be copied.
    ...section(
      'Logs',
      logs.map((file) => `    ${file}`),
    ),
    ...failures.flatMap((failure) => ['', ...renderFailure(failure, { ink, columns })]),
  ];
}

/** From clock to clock, for people; nothing is decided by it. */
function tookMs({ startedAt, finishedAt }: Run): number | null {
  return finishedAt === null ? null : Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt));
}

function phaseLines(events: readonly UpgradeEvent[], ink: Ink, columns: number): readonly string[] {
  return events.flatMap((event) => {
    if (event.type !== 'phase-finished') return [];
    const mark =
      event.status === 'failed' ? ink.bad(marks.failed) : event.phase === 'rollback' ? ink.back(marks.back) : ink.good(marks.done);
    return [spread(`  ${mark} ${event.phase}`, ink.quiet(duration(event.durationMs)), columns)];
  });
}

function stepLines({ stepId, status, attempts, durationMs }: StepRecord, ink: Ink, columns: number): readonly string[] {
  const unusual = status === 'applied' || status === 'reverted' ? '' : `  ${ink.quiet(status)}`;
  const again = attempts > 1 ? ink.quiet(`  ${count(attempts, 'attempt')}`) : '';
  return [
    spread(`  ${stepMark(status, ink)} ${stepId}${unusual}${again}`, durationMs === null ? '' : ink.quiet(duration(durationMs)), columns),
  ];
}

function checkLines(events: readonly UpgradeEvent[], ink: Ink, columns: number): readonly string[] {
  return events.flatMap((event) => {
    if (event.type !== 'service-settled' && event.type !== 'probe-settled') return [];
    const { name, status, durationMs } = event.report;
    const isWell = event.type === 'probe-settled' ? event.report.status === 'passed' : event.report.failure === undefined;
    const line = spread(
      `  ${isWell ? ink.good(marks.done) : ink.bad(marks.failed)} ${name}  ${ink.quiet(status)}`,
      ink.quiet(duration(durationMs)),
      columns,
    );
    const detail = event.type === 'probe-settled' && !isWell ? event.report.detail : undefined;
    return [line, ...(detail === undefined ? [] : hanging('    ', detail, columns))];
  });
}

/** The cause first; the same failure is kept by the run and by its step. */
function failuresOf(run: RunView['run'], steps: readonly StepRecord[]): readonly Failure[] {
  const all = [...(run.result?.failures ?? []), run.failure, ...steps.map(({ failure }) => failure)].filter(
    (one) => one !== null && one !== undefined,
  );
  const seen = new Set<string>();
  return all.filter(({ code, message, step }) => {
    const key = JSON.stringify([code, message, step]);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}
