// A plan as a page: the way, what stands in it, each step with what is to be known of it, and what it costs. Exactly what a run would do.
import { bytes, count, createInk, duration, hanging, marks, padEnd, width, type Ink } from './layout.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';
import { labelled } from './table.ts';

interface StepView {
  readonly id: string;
  readonly kind: string;
  readonly description: string;
  readonly reversible: boolean;
  readonly requiresRestart: readonly string[];
}

/** What is shown of the plan's document. */
export interface PlanView {
  readonly product: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: 'up' | 'down';
  readonly hash: string;
  readonly transitions: readonly {
    readonly id: string;
    readonly from: string;
    readonly to: string;
    readonly description: string;
    readonly breaking: boolean;
    readonly images?: Readonly<Record<string, { readonly image: string; readonly file: string | null }>>;
    readonly steps: readonly StepView[];
  }[];
  readonly restarts: readonly string[];
  readonly backup: { readonly sources: readonly string[]; readonly estimatedBytes: number };
  readonly ladders: readonly {
    readonly name: string;
    readonly from: number;
    readonly height: number;
    readonly steps: readonly StepView[];
  }[];
}

export interface StepFacts {
  readonly breaking: boolean;
  /** Paths that it wants in the backup. */
  readonly backup: readonly string[];
  /** As an earlier run took, else as the step says. */
  readonly estimatedMs: number | null;
}

export interface PlanPageStyle {
  readonly ink?: Ink;
  readonly columns?: number;
}

export function renderPlan(
  given: PlanView,
  factsOf: (step: string) => StepFacts | null,
  { ink = createInk(false), columns = 80 }: PlanPageStyle = {},
): readonly string[] {
  const view = scrubValue(given, sanitize);
  const { product, from, to, direction, transitions, ladders, restarts, backup, hash } = view;
  if (from === to && ladders.length === 0)
    return [`${ink.good(marks.done)} ${ink.strong(product)} is ${from === null ? 'up to date' : `at ${from}`}: there is nothing to do.`];
  const steps = [...transitions, ...ladders].flatMap((part) => part.steps);
  const label = (name: string, text: string) => labelled(name, text, columns, ink.quiet);
  const way = from === to ? 'ladders' : [from ?? '?', ...transitions.map((transition) => transition.to)].join(` ${marks.arrow} `);
  const heights = [...new Map(ladders.map(({ name, height }) => [name, `${name} to ${height}`])).values()];
  const stepLines = (step: StepView) => lineOf(step, factsOf(step.id), { ink, columns });
  return [
    ...hanging(`${ink.strong(product)}  `, `${way}${direction === 'down' ? `  ${badge('downgrade', ink.back)}` : ''}`, columns),
    ...(steps.length === 0 ? ['', '  No transition is needed: only the version changes.'] : []),
    ...transitions.flatMap((transition) => [
      '',
      ...hanging(
        '  ',
        [
          ink.strong(`${transition.from} ${marks.arrow} ${transition.to}`),
          ...(transition.description === '' ? [] : [transition.description]),
          ...(transition.breaking ? [badge('breaking', ink.bad)] : []),
        ].join('  '),
        columns,
      ),
      ...Object.entries(transition.images ?? {}).flatMap(([service, source]) => imageLines(service, source, { ink, columns })),
      ...(transition.steps.length === 0 ? [ink.quiet('    no steps')] : transition.steps.flatMap(stepLines)),
    ]),
    ...ladders.flatMap(({ name, from: below, height, steps: rungs }) =>
      rungs.length === 0 ? [] : ['', `  ${ink.strong(`ladder ${name}  ${below} ${marks.arrow} ${height}`)}`, ...rungs.flatMap(stepLines)],
    ),
    '',
    ...label('Steps', count(steps.length, 'step')),
    ...label('Time', timeOf(steps.map(({ id }) => factsOf(id)?.estimatedMs ?? null))),
    ...label('Backup', backup.sources.length === 0 ? 'nothing' : `about ${bytes(backup.estimatedBytes)}: ${backup.sources.join(', ')}`),
    ...label('Restarts', restarts.length === 0 ? 'none' : restarts.join(', ')),
    ...(heights.length === 0 ? [] : label('Ladders', heights.join(', '))),
    ...label('Plan', hash),
  ];
}

function imageLines(
  service: string,
  { image, file }: { readonly image: string; readonly file: string | null },
  { ink, columns }: Required<PlanPageStyle>,
): readonly string[] {
  const source = file === null ? 'from its registry' : `from ${file}`;
  return hanging(`    ${ink.quiet('image')} `, `${service} ${marks.arrow} ${image}  ${ink.quiet(source)}`, columns);
}

function lineOf(
  { id, kind, description, reversible, requiresRestart }: StepView,
  facts: StepFacts | null,
  { ink, columns }: Required<PlanPageStyle>,
) {
  const name = id.slice(id.indexOf('/') + 1);
  const badges = [
    ...(facts?.breaking === true ? [badge('breaking', ink.bad)] : []),
    ...(reversible ? [] : [badge('irreversible', ink.back)]),
    ...(requiresRestart.length === 0
      ? []
      : [badge(`restarts ${requiresRestart.map((service) => (service === '*' ? 'all' : service)).join(', ')}`, ink.quiet)]),
    // Without a backward the backup is the only way back.
    ...((facts?.backup.length ?? 0) === 0 && reversible ? [] : [badge('needs backup', ink.quiet)]),
    ...(facts?.estimatedMs === undefined || facts.estimatedMs === null ? [] : [ink.quiet(duration(facts.estimatedMs))]),
  ];
  const first = `    ${ink.quiet(padEnd(kind, 3))} `;
  const text = `${name}${description === '' ? '' : `  ${ink.quiet(description)}`}`;
  const tail = badges.join(' ');
  if (badges.length === 0 || width(first + text) + 2 + width(tail) <= columns)
    return hanging(first, badges.length === 0 ? text : `${text}  ${tail}`, columns);
  return [...hanging(first, text, columns), ...hanging(' '.repeat(10), tail, columns)];
}

/** What is not known is said. */
function timeOf(estimates: readonly (number | null)[]): string {
  const known = estimates.flatMap((ms) => ms ?? []);
  if (known.length === 0) return 'not known: no step says how long it takes, and none was run before';
  const sum = duration(known.reduce((total, ms) => total + ms, 0));
  const unknown = estimates.length - known.length;
  return unknown === 0 ? `about ${sum}` : `about ${sum}, and ${count(unknown, 'step')} of which it is not known`;
}

function badge(text: string, paint: (text: string) => string): string {
  return paint(`[${text}]`);
}
