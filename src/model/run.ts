// A run is one execution of a plan: its records in the journal and the result document that a user gets.
import type { Failure } from './failure.ts';
import type { PlanDirection, Step } from './plan.ts';
import type { Version } from './version.ts';

export const phaseNames = ['preflight', 'backup', 'discovery', 'orchestration', 'restart', 'verify', 'commit', 'rollback'] as const;
export type PhaseName = (typeof phaseNames)[number];

export type Outcome = 'committed' | 'nothing-to-do' | 'refused' | 'rolled-back' | 'stopped' | 'stranded';

export type StepStatus = 'pending' | 'running' | 'applied' | 'failed' | 'reverting' | 'reverted' | 'revert-failed' | 'not-run' | 'in-doubt';

/** `forwards` until a rollback begins; a rollback never turns round again. */
export type RunCourse = 'forwards' | 'backwards';

export interface RunRecord {
  /** ULID */
  readonly id: string;
  readonly product: string;
  readonly from: Version | null;
  readonly to: Version | null;
  readonly direction: PlanDirection;
  readonly planHash: string;
  readonly course: RunCourse;
  /** The phase that runs or ran last. */
  readonly phase: PhaseName;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** `null`: unfinished. */
  readonly outcome: Outcome | null;
  readonly failure: Failure | null;
  readonly backupId: string | null;
  /** How often a process took it up: 1 for the first, more after resumes. */
  readonly attempts: number;
  readonly host: string;
  readonly pid: number;
  readonly result: ResultDocument | null;
}

export interface StepRecord {
  readonly stepId: string;
  readonly position: number;
  readonly status: StepStatus;
  readonly attempts: number;
  readonly startedAt: string | null;
  readonly durationMs: number | null;
  readonly failure: Failure | null;
  /** The host that ran it last, where that is another one: what it did to files is not here. */
  readonly elsewhere?: string;
}

/** A step that is applied now, and the run that did it. */
export interface AppliedStep {
  readonly stepId: string;
  readonly sha256: string;
  readonly runId: string;
  readonly appliedAt: string;
}

export interface PhaseReport {
  readonly name: PhaseName;
  readonly status: 'done' | 'failed' | 'skipped' | 'running';
  readonly durationMs: number;
}

export interface StepReport {
  readonly id: string;
  readonly status: StepStatus;
  readonly durationMs: number;
  readonly attempts: number;
}

export interface ServiceReport {
  readonly name: string;
  readonly status: 'healthy' | 'unhealthy' | 'running' | 'stopped' | 'not-restarted';
  readonly durationMs: number;
  /** Where nothing was done, or not the usual: why. */
  readonly why?: string;
  /** Its container was made again with this image. */
  readonly image?: string;
  readonly failure?: Failure;
}

export interface ProbeReport {
  readonly name: string;
  readonly status: 'passed' | 'failed';
  readonly attempts: number;
  readonly durationMs: number;
  readonly detail?: string;
}

export interface BackupReport {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  readonly files: number;
  readonly verified: boolean;
}

export interface RestoredPath {
  readonly path: string;
  readonly why: string;
  /** The step whose backward is to blame, where that is known. */
  readonly step?: string;
}

/** Left as it is by a rollback: a service that ran on has written to it since the backup. */
export interface DriftedPath {
  readonly path: string;
  readonly why: string;
  /** Those that ran on. */
  readonly services: readonly string[];
}

/** Of `--json` and `UpdateManager.run()`: success and failure have the same shape. */
export interface ResultDocument {
  readonly outcome: Outcome;
  readonly runId: string | null;
  readonly product: string;
  readonly from: Version | null;
  readonly to: Version | null;
  /** What is installed now. */
  readonly version: Version | null;
  readonly durationMs: number;
  readonly planHash: string | null;
  readonly phases: readonly PhaseReport[];
  readonly steps: readonly StepReport[];
  readonly services: readonly ServiceReport[];
  readonly probes: readonly ProbeReport[];
  readonly backup: BackupReport | null;
  readonly restored: readonly RestoredPath[];
  readonly drift: readonly DriftedPath[];
  readonly failure: Failure | null;
  /** Where there is more than one problem, all of them; the first is `failure`. */
  readonly failures: readonly Failure[];
  readonly warnings: readonly string[];
  /** The command to type next. */
  readonly next: string | null;
}

/** What a step is told to do, in which direction, by which file. */
export interface StepOrder {
  readonly step: Step;
  /** `apply` takes the run onwards (the backward, in a downgrade); `revert` takes it back. */
  readonly action: 'apply' | 'revert';
  /** Which half of the step that is. */
  readonly direction: 'forward' | 'backward';
  /** The verified private copy of the transition folder, absolute. */
  readonly dir: string;
  /** Versions of the step's transition, in the direction in which it runs; of a ladder's step those of the run. */
  readonly from: Version | null;
  readonly to: Version | null;
  /** All orders of its folder run in one transaction: all of them take effect, or none. */
  readonly isGrouped: boolean;
}

export interface StepOutcome {
  readonly stepId: string;
  readonly status: 'done' | 'failed';
  readonly durationMs: number;
  readonly failure?: Failure;
  /** What it left behind: processes that outlived it. */
  readonly survivors?: readonly Survivor[];
}

export interface Survivor {
  readonly pid: number;
  readonly command: string;
}
