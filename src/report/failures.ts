// Problems for people: each with its message, where it lies, its code, and what to do. All of them, in one go.
import type { Failure, Place } from '../model/failure.ts';
import { createInk, hanging, marks } from './layout.ts';
import type { Ink } from './layout.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';

export interface FailureStyle {
  readonly ink?: Ink;
  readonly columns?: number;
  /** Whether the last output lines of what failed are shown. */
  readonly hasLog?: boolean;
}

export function renderFailures(failures: readonly Failure[], style: FailureStyle = {}): readonly string[] {
  return failures.flatMap((failure, index) => [...(index === 0 ? [] : ['']), ...renderFailure(failure, style)]);
}

/** Its text may come from anywhere (a step's output, a file's name), so it is made harmless for the terminal here. */
export function renderFailure(
  given: Failure,
  { ink = createInk(false), columns = 80, hasLog = true }: FailureStyle = {},
): readonly string[] {
  const { code, message, hint, place, phase, step, log } = scrubValue(given, sanitize);
  const where = [place === undefined ? null : placeText(place), step ?? null, phase === undefined ? null : `in ${phase}`, code].filter(
    (part) => part !== null,
  );
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
