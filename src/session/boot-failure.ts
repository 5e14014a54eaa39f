// Whether a service may start although its boot failed: only where it is known what it would start on.
import type { Failure } from '../model/failure.ts';
import type { ResultDocument } from '../model/run.ts';

// A run that stopped undecided, or that nobody could put back: somewhere between two versions.
const undecided: ReadonlySet<string> = new Set(['INTERNAL', 'JOURNAL_WRITE_FAILED', 'JOURNAL_LOST_LOCK', 'JOURNAL_GONE', 'RUN_STRANDED']);

export function isUpToDate({ outcome }: Pick<ResultDocument, 'outcome'>): boolean {
  return outcome === 'committed' || outcome === 'nothing-to-do';
}

/** Not for somebody who asked to stop, either: it is the start that was to be stopped. */
export function mayStartAnyway(
  { outcome, failures }: { readonly outcome: ResultDocument['outcome']; readonly failures: readonly Failure[] },
  signal: AbortSignal | undefined,
): boolean {
  return signal?.aborted !== true && outcome !== 'stranded' && !failures.some(({ code }) => undecided.has(code));
}
