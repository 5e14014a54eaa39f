// Who is told about a run's end: what is sent, and what the journal keeps of it until it is delivered.
import type { Failure } from './failure.ts';
import type { Outcome } from './run.ts';
import type { Version } from './version.ts';

/** What everybody is told, before a template makes it fit. */
export interface Notification {
  /** The same in every attempt to deliver it. */
  readonly id: string;
  readonly product: string;
  readonly runId: string;
  readonly outcome: Outcome;
  readonly from: Version | null;
  readonly to: Version | null;
  /** What is installed now. */
  readonly version: Version | null;
  readonly host: string;
  readonly finishedAt: string;
  readonly durationMs: number;
  readonly failure: Pick<Failure, 'code' | 'message' | 'hint' | 'phase' | 'step'> | null;
  readonly next: string | null;
}

/** Recorded in the commit that ends the run. */
export interface NewMessage {
  readonly id: string;
  /** The key of the entry in upgrade.yaml. */
  readonly target: string;
  readonly notification: Notification;
}

/** How many that are over are kept, to be looked at. */
export const keptMessages = 200;

export interface OutboxEntry extends NewMessage {
  readonly attempts: number;
  /** Nobody tries before then; `null`: it is over. */
  readonly nextAt: string | null;
  readonly sentAt: string | null;
  /** Why the last attempt failed. */
  readonly failure: Failure | null;
}

/** The part of the journal that may be written without the lock: nothing else depends on it. */
export interface Outbox {
  entries(): Promise<readonly OutboxEntry[]>;
  /** Takes it for one attempt, until `until`; `false`: somebody else has. */
  claim(entry: Pick<OutboxEntry, 'id' | 'nextAt'>, until: string): Promise<boolean>;
  settle(id: string, outcome: Pick<OutboxEntry, 'nextAt' | 'sentAt' | 'failure'>): Promise<void>;
  close(): Promise<void>;
}
