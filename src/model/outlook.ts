// What can be known of a run before it: what it is going to do, and how long that took before. For those who watch; nothing is decided by it.
import type { PhaseName } from './run.ts';

export interface OutlookStep {
  readonly id: string;
  readonly description: string;
  /** As the last run took that had it, else as the step says of itself; `null` where neither is known. */
  readonly estimatedMs: number | null;
  /** An earlier attempt of the run has applied it. */
  readonly isDone: boolean;
}

export interface OutlookTransition {
  readonly id: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly steps: readonly OutlookStep[];
}

export interface Outlook {
  readonly transitions: readonly OutlookTransition[];
  /** Of the last run that was committed. */
  readonly phaseMs: Readonly<Partial<Record<PhaseName, number>>>;
}
