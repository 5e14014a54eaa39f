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

export function renderSummary(result: ResultDocument, options: SummaryOptions): readonly string[] {
  const { ink, columns } = options;
  const lines = ['', spread(headline(result, ink), ink.quiet(duration(result.durationMs)), columns)];
  const details = result.outcome === 'committed' ? committed(result) : [];
  for (const text of details) lines.push(...hanging('  ', text, columns).map(ink.quiet));
  if (result.failures.length > 0 || result.failure !== null) lines.push('', ...failed(result, options));
  lines.push(...putBack(result, options));
  for (const warning of result.warnings) lines.push(...hanging(`${ink.back(marks.warning)} `, warning, columns));
  const kept = result.outcome === 'stranded' && result.backup !== null ? [label('Backup', `${result.backup.path} (${result.backup.verified ? 'good' : 'not verified'}); it is kept`, options)] : [];
  lines.push(...kept.flat());
  if (result.next !== null) lines.push('', ...label('Next', ink.strong(result.next), options));
  return lines;
}

function headline(result: ResultDocument, ink: Ink): string {
  const { product, from, to, version } = result;
  const isDown = from !== null && to !== null && compareVersions(from, to) > 0;
  const way = `${isDown ? 'downgrade' : 'upgrade'}${to === null ? '' : ` to ${to}`}`;
  const isCancelled = result.failure?.code === 'CANCELLED';
  const at = (text: string) => ink.strong(`${product} ${text}`);
  switch (result.outcome) {
    case 'committed':
      return `${ink.good(marks.done)} ${at(`is at ${version ?? to} now`)}${from === null ? '' : `, was at ${from}`}`;
    case 'nothing-to-do':
      return `${ink.good(marks.done)} ${at(`is at ${version ?? to}`)}: nothing to do`;
    case 'refused':
      return `${ink.bad(marks.failed)} ${at(version === null ? 'was not touched' : `stays at ${version}`)}: the ${way} was refused, nothing was changed`;
    case 'rolled-back':
      return `${ink.back(marks.back)} ${at(`is at ${version ?? from}, as before`)}: the ${way} ${isCancelled ? 'was cancelled' : 'failed'} and was rolled back`;
    case 'stopped':
      return `${ink.bad(marks.failed)} ${at(version === null ? 'stopped on its way' : `is at ${version}`)}: the ${way} stopped at a failing step; the steps before it stay`;
    case 'stranded':
      return `${ink.bad(`${marks.failed} STRANDED`)}  ${at(`is between ${from} and ${to}`)}: the ${way} failed, and could not be rolled back`;
  }
}

function committed({ steps, services, probes, backup }: ResultDocument): readonly string[] {
  const parts = [
    steps.length > 0 ? count(steps.length, 'step') : null,
    services.length > 0 ? `${count(services.length, 'service')} well` : null,
    probes.length > 0 ? `${count(probes.length, 'probe')} passed` : null,
    backup === null ? null : `backup ${backup.id} (${bytes(backup.bytes)})`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? [] : [parts.join(', ')];
}

function failed({ failure, failures }: ResultDocument, { ink, columns, hasEvidence }: SummaryOptions): readonly string[] {
  const all = failures.length > 0 ? failures : failure === null ? [] : [failure];
  return all.flatMap((one, index) => [...(index === 0 ? [] : ['']), ...renderFailure(one, { ink, columns, hasLog: !hasEvidence })]);
}

function putBack({ restored }: ResultDocument, options: SummaryOptions): readonly string[] {
  if (restored.length === 0) return [];
  const { ink, columns } = options;
  const shown = restored.slice(0, shownRestored).flatMap(({ path, why, step }) => hanging('    ', `${path}  ${ink.quiet(`${why}${step === undefined ? '' : ` (${step})`}`)}`, columns));
  const more = restored.length > shownRestored ? [ink.quiet(`    … and ${restored.length - shownRestored} more`)] : [];
  return ['', `  ${ink.strong('Put back from the backup')}`, ...shown, ...more];
}

function label(name: string, text: string, { ink, columns }: SummaryOptions): readonly string[] {
  return hanging(`  ${ink.quiet(name.padEnd(labelColumns))}`, text, columns);
}
