// Everything that a run tells while it goes on: one union, for reporters, the journal and `UpdateManager.on('event')`.
import type { Failure } from './failure.ts';
import type { Finding } from './plan.ts';
import type {
  BackupReport,
  DriftedPath,
  Outcome,
  PhaseName,
  ProbeReport,
  ResultDocument,
  RestoredPath,
  ServiceReport,
  Survivor,
} from './run.ts';

/** What a phase hands over; the journal adds `seq`, `at` and `runId`. */
export type EventBody =
  | {
      readonly type: 'run-started';
      readonly from: string | null;
      readonly to: string | null;
      readonly product: string;
      readonly steps: number;
      readonly resumed: boolean;
    }
  | { readonly type: 'phase-started'; readonly phase: PhaseName }
  | { readonly type: 'phase-finished'; readonly phase: PhaseName; readonly status: 'done' | 'failed'; readonly durationMs: number }
  | { readonly type: 'finding'; readonly finding: Finding }
  | { readonly type: 'backup-progress'; readonly doneBytes: number; readonly totalBytes: number; readonly transient: true }
  | { readonly type: 'backup-verified'; readonly backup: BackupReport }
  | { readonly type: 'backup-pruned'; readonly id: string }
  | { readonly type: 'transition-started'; readonly transition: string; readonly from: string | null; readonly to: string | null }
  | {
      readonly type: 'step-started';
      readonly step: string;
      readonly action: 'apply' | 'revert';
      readonly description: string;
      /** One of many that take no time: the end of the one before tells that it has begun. */
      readonly transient?: true;
    }
  | {
      readonly type: 'step-progress';
      readonly step: string;
      readonly done: number;
      readonly total: number | null;
      readonly note: string;
      readonly transient: true;
    }
  | {
      readonly type: 'step-output';
      readonly step: string;
      readonly stream: 'stdout' | 'stderr' | 'log';
      readonly line: string;
      readonly transient: true;
    }
  | {
      readonly type: 'step-finished';
      readonly step: string;
      readonly action: 'apply' | 'revert';
      readonly status: 'applied' | 'failed' | 'reverted' | 'revert-failed' | 'in-doubt';
      readonly durationMs: number;
      readonly failure?: Failure;
      /** One of a long group, which took effect together: the last one is told for all, and the journal has each one's record. */
      readonly transient?: true;
    }
  | { readonly type: 'step-survivors'; readonly step: string; readonly survivors: readonly Survivor[] }
  | {
      readonly type: 'image-progress';
      readonly service: string;
      readonly image: string;
      readonly doneBytes: number;
      readonly totalBytes: number | null;
      readonly transient: true;
    }
  /** The image is there, and this is the one that the run uses. */
  | { readonly type: 'image-ready'; readonly service: string; readonly image: string; readonly id: string }
  | {
      readonly type: 'service';
      readonly service: string;
      readonly action: 'stopping' | 'stopped' | 'starting' | 'restarting' | 'recreating' | 'waiting';
    }
  | { readonly type: 'service-settled'; readonly report: ServiceReport }
  | { readonly type: 'probe-settled'; readonly report: ProbeReport }
  /** Everything was well, and is watched on. */
  | { readonly type: 'soak-started'; readonly durationMs: number }
  | { readonly type: 'rollback-started'; readonly failure: Failure }
  | { readonly type: 'restored'; readonly restored: RestoredPath }
  | { readonly type: 'drift'; readonly drift: DriftedPath }
  /** `drift`: how many paths were left to those who had written to them. */
  | { readonly type: 'rollback-proven'; readonly compared: number; readonly restored: number; readonly drift?: number }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'version-written'; readonly version: string }
  | { readonly type: 'run-finished'; readonly outcome: Outcome; readonly result: ResultDocument };

/** `seq` orders events, never the clock. Transient events (progress, output) are not kept in the journal; their seq is that of the last kept one. */
export type UpgradeEvent = EventBody & { readonly seq: number; readonly at: string; readonly runId: string };
