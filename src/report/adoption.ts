// What was found of each ladder, for people: where it was recorded, how high it stands, what is odd, and whether it was taken over.
import type { Failure } from '../model/failure.ts';
import type { BookkeepingSource, RecordedStep } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';
import { renderFindings } from './findings.ts';
import { count, createInk, hanging, marks, type Ink } from './layout.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';
import { labelled } from './table.ts';

export interface AdoptionView {
  readonly dryRun: boolean;
  readonly ladders: readonly {
    readonly name: string;
    readonly status: 'adopted' | 'already-adopted' | 'nothing-recorded' | 'blocked';
    readonly source: BookkeepingSource | null;
    readonly height: number;
    readonly steps: readonly RecordedStep[];
    readonly problems: readonly Finding[];
  }[];
  readonly failures: readonly Failure[];
}

const shownSteps = 8;

export function renderAdoption(
  given: AdoptionView,
  { ink = createInk(false), columns = 80 }: { readonly ink?: Ink; readonly columns?: number } = {},
): readonly string[] {
  const view = scrubValue(given, sanitize);
  const isRefused = view.failures.length > 0;
  return view.ladders.flatMap(({ name, status, source, height, steps, problems }, index) => {
    const label = (title: string, text: string) => labelled(title, text, columns, ink.quiet);
    const mark =
      status === 'blocked'
        ? ink.bad(marks.failed)
        : status === 'nothing-recorded' || isRefused
          ? ink.quiet(marks.note)
          : ink.good(marks.done);
    const unshown = Math.max(0, steps.length - shownSteps);
    return [
      ...(index === 0 ? [] : ['']),
      ...hanging(`${mark} `, `${ink.strong(`Ladder ${name}`)}  ${said(status, view.dryRun, isRefused)}`, columns),
      ...(source === null ? [] : label('Source', sourceText(source))),
      ...(source === null ? [] : label('Height', `${height}, ${count(steps.length, 'step')} applied`)),
      ...(unshown === 0 ? [] : [ink.quiet(`    … ${count(unshown, 'step')} before`)]),
      ...steps
        .slice(unshown)
        .flatMap((step) =>
          hanging('    ', `${step.number}  ${step.name}${step.appliedAt === null ? '' : `  ${ink.quiet(step.appliedAt)}`}`, columns),
        ),
      ...(problems.length === 0 ? [] : ['', ...renderFindings(problems, { ink, columns })]),
    ];
  });
}

function sourceText(source: BookkeepingSource): string {
  if (source.kind === 'index') return source.file;
  return `${source.kind === 'sqlite' ? source.file : source.server} (${source.tables.join(', ')})`;
}

function said(status: AdoptionView['ladders'][number]['status'], isDryRun: boolean, isRefused: boolean): string {
  if (status === 'already-adopted') return 'was adopted before, and its old record still says the same.';
  if (status === 'nothing-recorded') return 'has no old record: it begins at 0.';
  if (status === 'blocked') return isDryRun ? 'could not be adopted.' : 'was not adopted. Nothing was recorded.';
  if (isDryRun) return isRefused ? 'could be adopted by itself.' : 'would be adopted.';
  return isRefused
    ? 'was not adopted, because another one could not be. Nothing was recorded.'
    : 'was adopted. The old record was left as it is.';
}
