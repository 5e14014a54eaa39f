// Problems for people: each with its message, where it lies, its code, and what to do. All of them, in one go.
import type { Failure, Place } from '../model/failure.ts';
import { count, createInk, hanging, marks } from './layout.ts';
import type { Ink } from './layout.ts';

export interface FailureStyle {
  readonly ink?: Ink;
  readonly columns?: number;
  /** Whether the last output lines of what failed are shown. */
  readonly hasLog?: boolean;
}

/** Several are counted at the end: a long list scrolls its beginning away. */
export function renderFailures(failures: readonly Failure[], style: FailureStyle = {}): readonly string[] {
  const lines = failures.flatMap((failure, index) => [...(index === 0 ? [] : ['']), ...renderFailure(failure, style)]);
  return failures.length > 1 ? [...lines, '', `${count(failures.length, 'problem')}.`] : lines;
}

export function renderFailure({ code, message, hint, place, phase, step, log }: Failure, { ink = createInk(false), columns = 80, hasLog = true }: FailureStyle = {}): readonly string[] {
  const where = [place === undefined ? null : placeText(place), step ?? null, phase === undefined ? null : `in ${phase}`, code].filter((part) => part !== null);
  return [
    ...hanging(`${ink.bad(marks.failed)} `, message, columns),
    ...hanging('  ', where.join(` ${marks.note} `), columns).map(ink.quiet),
    ...(hasLog ? (log ?? []).map((line) => `  ${ink.quiet(marks.output)} ${line}`) : []),
    ...hanging(`  ${ink.quiet(marks.arrow)} `, hint, columns),
  ];
}

/** `file:line:column`, as editors and terminals know it. */
export function placeText({ file, line, column }: Place): string {
  return [file, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':');
}
