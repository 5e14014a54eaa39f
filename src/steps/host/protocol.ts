// What the orchestrator and the step host tell each other over IPC. JSON only; one request at a time.
import type { DatabaseConfig } from '../../model/config.ts';
import type { Failure } from '../../model/failure.ts';
import type { ModuleDescription } from '../../model/ports.ts';
import type { StepOrder, StepOutcome } from '../../model/run.ts';
import type { StrippedCode } from '../stripped-code.ts';

/** What is the same for all steps of a run. */
export interface HostRun {
  readonly runId: string;
  readonly runDir: string;
  readonly root: string;
  /** Folders that no step may touch, absolute. */
  readonly protectedPaths: readonly string[];
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  readonly busyMs: number;
  /** Marks the lines of the host's own that travel in its output. */
  readonly nonce: string;
}

/** A step order without what the host does not need: thousands of them go in one message. */
export interface HostOrder {
  readonly id: string;
  readonly kind: StepOrder['step']['kind'];
  readonly action: StepOrder['action'];
  readonly direction: StepOrder['direction'];
  /** Absolute. */
  readonly file: string;
  /** An SQL file that is all forward or all backward, `.up.sql` or `.down.sql`. */
  readonly isWhole: boolean;
  readonly database: string | null;
  readonly transaction: boolean;
  readonly isDatabaseOnly: boolean;
  /** The file's code without its types, where that was made before. */
  readonly code: string | null;
  readonly from: string;
  readonly to: string;
  /** PostgreSQL's `lock_timeout` and `statement_timeout`; `null` leaves the server's. */
  readonly lockTimeoutMs: number | null;
  readonly statementTimeoutMs: number | null;
  /** All orders of the request run in one transaction. */
  readonly isGrouped: boolean;
}

export type HostRequest =
  | { readonly type: 'execute'; readonly run: HostRun; readonly orders: readonly HostOrder[] }
  | { readonly type: 'check'; readonly run: HostRun; readonly order: HostOrder }
  | { readonly type: 'describe'; readonly files: readonly string[] }
  | { readonly type: 'release' }
  /** Between two requests, and without a reply. */
  | { readonly type: 'preload'; readonly order: HostOrder }
  | { readonly type: 'cancel'; readonly reason: CancelReason };

export type CancelReason = 'timeout' | 'cancelled';

export type HostReply =
  | { readonly type: 'settled'; readonly outcomes: readonly StepOutcome[] }
  /** Of steps that are told of only when all are done: this one runs now. */
  | { readonly type: 'begun'; readonly step: string }
  /** The request is done with. `usedChildren`: it started processes. */
  | { readonly type: 'finished'; readonly usedChildren: boolean }
  | { readonly type: 'described'; readonly answers: readonly (ModuleDescription | Failure)[]; readonly stripped: readonly StrippedCode[] }
  | { readonly type: 'checked'; readonly state: unknown; readonly failure?: Failure }
  | { readonly type: 'released' }
  | { readonly type: 'progress'; readonly step: string; readonly done: number; readonly total: number | null; readonly note: string };

/** Lines that start with this are the host's: `E` ends a step's output, `L` is a line of `ctx.log`. */
export function controlPrefix(nonce: string): string {
  return `\0rungs ${nonce} `;
}
