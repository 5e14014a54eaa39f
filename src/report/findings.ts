// What the preflight found, for people: what blocks first, then what to think about, then what is good to know; each with its remedy.
import type { Finding, FindingLevel } from '../model/plan.ts';
import { placeText } from './failures.ts';
import { createInk, hanging, marks } from './layout.ts';
import type { Ink } from './layout.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';

const order: readonly FindingLevel[] = ['block', 'warn', 'info'];

export function renderFindings(
  findings: readonly Finding[],
  { ink = createInk(false), columns = 80 }: { readonly ink?: Ink; readonly columns?: number } = {},
): readonly string[] {
  if (findings.length === 0) return [`${ink.good(marks.done)} Nothing stands in the way.`];
  const mark = { block: ink.bad(marks.failed), warn: ink.back(marks.warning), info: ink.quiet(marks.note) };
  const sorted = order.flatMap((level) => findings.filter((finding) => finding.level === level));
  return scrubValue(sorted, sanitize).flatMap(({ level, code, message, hint, place }, index) => [
    ...(index === 0 ? [] : ['']),
    ...hanging(`${mark[level]} `, message, columns),
    ...hanging(
      '  ',
      [place === undefined ? null : placeText(place), code].filter((part) => part !== null).join(` ${marks.note} `),
      columns,
    ).map(ink.quiet),
    ...(hint === '' ? [] : hanging(`  ${ink.quiet(marks.arrow)} `, hint, columns)),
  ]);
}
