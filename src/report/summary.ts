// The end of a run for people: what is installed now first, then what failed and why, what was put back, and what to do next.
import type { ResultDocument } from '../model/run.ts';
import { compareVersions } from '../model/version.ts';
import { renderFailure } from './failures.ts';
import { bytes, count, duration, hanging, marks, spread } from './layout.ts';
import type { Ink } from './layout.ts';

export interface SummaryOptions {
  readonly ink: Ink;
  readonly columns: number;
  /** The failing step's output was printed already, while it ran. */
  readonly hasEvidence: boolean;
}

const labelColumns = 11;
const shownRestored = 12;
/** Whatever took less is not what anybody waited for. */
const leastToldMs = 100;
const shownSteps = 3;
const fewSteps = 4;

export function renderSummary(result: ResultDocument, options: SummaryOptions): readonly string[] {
  const { ink, columns } = options;
  const { mark, now, how } = headline(result, ink);
  const title = hanging(`${mark} `, ink.strong(`${result.product} ${now}`), columns - 10);
  const lines = [spread(title[0] ?? '', ink.quiet(duration(result.durationMs)), columns), ...title.slice(1)];
  const details = result.outcome === 'committed' ? committed(result) : [how];
  for (const text of details) lines.push(...hanging('  ', text, columns));
  lines.push(...took(result, options));
  if (result.failures.length > 0 || result.failure !== null) lines.push('', ...failed(result, options));
  lines.push(...putBack(result, options), ...leftAsItIs(result, options));
  for (const warning of result.warnings) lines.push(...hanging(`${ink.back(marks.warning)} `, warning, columns));
  const kept =
    result.outcome === 'stranded' && result.backup !== null
      ? [label('Backup', `${result.backup.path} (${conditionOf(result.backup, result)}); it is kept`, options)]
      : [];
  lines.push(...kept.flat());
  if (result.next !== null) lines.push('', ...label('Next', ink.strong(result.next), options));
  return lines;
}

/** What is installed now comes first; how it came to that is the second line. */
function headline(result: ResultDocument, ink: Ink): { readonly mark: string; readonly now: string; readonly how: string } {
  const { from, to, version } = result;
  const isDown = from !== null && to !== null && compareVersions(from, to) > 0;
  // A run of ladders begins and ends at one version.
  const isClimb = from === to;
  const way = isClimb ? 'The climb' : `The ${isDown ? 'downgrade' : 'upgrade'} to ${to}`;
  const ended = /^(STEP_)?CANCELLED$/.test(result.failure?.code ?? '') ? 'was cancelled' : 'failed';
  switch (result.outcome) {
    case 'committed':
      return { mark: ink.good(marks.done), now: isClimb ? 'has climbed its ladders' : `is at ${version ?? to} now`, how: '' };
    case 'nothing-to-do':
      return { mark: ink.good(marks.done), now: version === null ? 'is up to date' : `is at ${version}`, how: 'Nothing to do.' };
    case 'refused':
      return {
        mark: ink.bad(marks.failed),
        now: version === null ? 'was not touched' : `stays at ${version}`,
        how: `${way} was refused. Nothing was changed.`,
      };
    case 'rolled-back':
      return {
        mark: ink.back(marks.back),
        now: version === null ? 'is as before' : `is at ${version}, as before`,
        how: `${way} ${ended} and was rolled back.`,
      };
    case 'stopped':
      return {
        mark: ink.bad(marks.failed),
        now: version === null ? 'stopped on its way' : `is at ${version}`,
        how: `${way} stopped at a failing step. The steps before it stay; the next run goes on from there.`,
      };
    case 'stranded':
      return {
        mark: ink.bad(`${marks.failed} STRANDED:`),
        now: isClimb ? 'is in between' : `is between ${from} and ${to}`,
        how: `${way} ${ended}, and the way back could not be completed. Everything that tells of it is kept; change nothing by hand before you have read on.`,
      };
  }
}

/** What took how long: the phases, and of the steps those that took most of it. */
function took({ phases, steps }: ResultDocument, { ink, columns }: SummaryOptions): readonly string[] {
  const told = phases.filter(({ durationMs }) => durationMs >= leastToldMs);
  if (told.length === 0) return [];
  const longest = steps
    .filter(({ durationMs }) => durationMs >= leastToldMs)
    .toSorted((a, b) => b.durationMs - a.durationMs)
    .slice(0, shownSteps);
  const parts = told.map(({ name, durationMs }) => `${name} ${duration(durationMs)}`);
  return [
    ...hanging(`  ${ink.quiet('Took'.padEnd(labelColumns))}`, parts.join(', '), columns),
    ...(steps.length < fewSteps
      ? []
      : longest.flatMap(({ id, durationMs }, at) =>
          hanging(`  ${ink.quiet((at === 0 ? 'Longest' : '').padEnd(labelColumns))}`, `${id} ${duration(durationMs)}`, columns),
        )),
  ];
}

function committed({ from, to, steps, services, probes, backup }: ResultDocument): readonly string[] {
  const parts = [
    count(steps.length, 'step'),
    services.length > 0 ? `${count(services.length, 'service')} up` : null,
    probes.length > 0 ? `${count(probes.length, 'probe')} passed` : null,
    backup === null ? null : `backup ${backup.id} (${bytes(backup.bytes)})`,
  ].filter((part) => part !== null);
  return [`${from === null || from === to ? '' : `Was at ${from}. `}${parts.join(', ')}.`];
}

function failed({ failure, failures }: ResultDocument, { ink, columns, hasEvidence }: SummaryOptions): readonly string[] {
  const all = failures.length > 0 ? failures : failure === null ? [] : [failure];
  return all.flatMap((one, index) => [...(index === 0 ? [] : ['']), ...renderFailure(one, { ink, columns, hasLog: !hasEvidence })]);
}

function putBack({ restored }: ResultDocument, { ink, columns }: SummaryOptions): readonly string[] {
  if (restored.length === 0) return [];
  // One step is mostly to blame for all of it: said once, the paths can be read.
  const steps = new Set(restored.map(({ step }) => step));
  const [only] = steps.size === 1 ? steps : [];
  const blame = (step: string | undefined) => (step === undefined || step === only ? '' : ` (${step})`);
  const shown = restored
    .slice(0, shownRestored)
    .flatMap(({ path, why, step }) => hanging('    ', `${path}  ${ink.quiet(`${why}${blame(step)}`)}`, columns));
  const more = restored.length > shownRestored ? [ink.quiet(`    … and ${restored.length - shownRestored} more`)] : [];
  return [
    '',
    ...hanging('  ', `${ink.strong('Put back from the backup')}${only === undefined ? '' : `, after ${only}`}`, columns),
    ...shown,
    ...more,
  ];
}

function leftAsItIs({ drift }: ResultDocument, { ink, columns }: SummaryOptions): readonly string[] {
  const [first] = drift;
  if (first === undefined) return [];
  const shown = drift.slice(0, shownRestored).flatMap(({ path, why }) => hanging('    ', `${path}  ${ink.quiet(why)}`, columns));
  const more = drift.length > shownRestored ? [ink.quiet(`    … and ${drift.length - shownRestored} more`)] : [];
  const whose = `${ink.strong('Left as it is')}, written to since the backup while ${first.services.join(', ')} ran on`;
  return ['', ...hanging('  ', whose, columns), ...shown, ...more];
}

/** It was good when it was written; what the way back found out since counts for more. */
function conditionOf({ verified }: NonNullable<ResultDocument['backup']>, { failures }: ResultDocument): string {
  if (failures.some(({ code }) => code === 'BACKUP_CORRUPT' || code === 'BACKUP_MISSING')) return 'not to be trusted, see above';
  return verified ? 'good' : 'not verified';
}

function label(name: string, text: string, { ink, columns }: SummaryOptions): readonly string[] {
  return hanging(`  ${ink.quiet(name.padEnd(labelColumns))}`, text, columns);
}
