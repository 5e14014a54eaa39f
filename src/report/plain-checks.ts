// The lines about what was looked at: findings, services, probes, paths put back.
import type { Finding } from '../model/plan.ts';
import type { ProbeReport, RestoredPath, ServiceReport } from '../model/run.ts';
import { hanging, marks } from './layout.ts';
import type { Screen } from './screen.ts';

const shownOutput = 10;

export function findingLine(screen: Screen, { level, message, hint }: Finding): void {
  const { ink, columns, verbosity } = screen;
  if (level === 'info' && verbosity !== 'verbose') return;
  const mark = { block: ink.bad(marks.failed), warn: ink.back(marks.warning), info: ink.quiet(marks.note) }[level];
  screen.line(2, mark, message);
  // The hint of what blocks a run is told at its end.
  if (level === 'warn') for (const one of hanging('    ', hint, columns)) screen.print(ink.quiet(one));
}

export function serviceLine(screen: Screen, { name, status, durationMs, why, failure }: ServiceReport): void {
  const { ink } = screen;
  const state = status === 'not-restarted' ? (failure === undefined ? 'left alone' : 'not restarted') : status;
  const mark = failure !== undefined ? ink.bad(marks.failed) : status === 'not-restarted' ? ink.quiet(marks.note) : ink.good(marks.done);
  screen.line(2, mark, `${name}  ${ink.quiet(why === undefined ? state : `${state}: ${why}`)}`, durationMs);
  if (failure?.log !== undefined) screen.output(4, failure.log.slice(-shownOutput));
}

export function probeLine(screen: Screen, { name, status, attempts, durationMs, detail }: ProbeReport): void {
  const { ink, columns } = screen;
  const hasPassed = status === 'passed';
  const tries = attempts > 1 ? ink.quiet(`  ${attempts} attempts`) : '';
  screen.line(2, hasPassed ? ink.good(marks.done) : ink.bad(marks.failed), `${name}${tries}`, durationMs);
  if (detail !== undefined && !hasPassed) for (const one of hanging('    ', detail, columns)) screen.print(one);
}

export function restoredLine(screen: Screen, { path, why }: RestoredPath): void {
  screen.line(2, screen.ink.back(marks.back), `${path}  ${screen.ink.quiet(why)}`);
}
