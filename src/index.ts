// The public API.
export { UpdateManager, type BootOptions, type OpenOptions, type RunOptions } from './update-manager.ts';
export { migrateOnBoot, type MigrateOnBootOptions } from './boot.ts';
export { defineStep } from './step-api.ts';
export type * from './step-api.ts';
export { UpgradeError, type Failure, type FailureCode, type Place } from './model/failure.ts';
export type { EventBody, UpgradeEvent } from './model/event.ts';
export type { Finding, Plan, Step, Transition } from './model/plan.ts';
export type { BackupRecord, RestoreReport } from './model/ports.ts';
export type {
  Outcome,
  PhaseName,
  PhaseReport,
  ProbeReport,
  ResultDocument,
  RunRecord,
  ServiceReport,
  StepRecord,
  StepReport,
  StepStatus,
} from './model/run.ts';
export type { Version } from './model/version.ts';
export type { AdoptedLadder, AdoptOptions, AdoptReport } from './session/adopt.ts';
export type { BootNote } from './session/boot-notes.ts';
export type { CheckReport } from './session/check.ts';
export type { PlanOptions, PreparedPlan } from './session/planning.ts';
export type { RunDetails } from './session/run-details.ts';
export type { StatusDocument } from './session/status.ts';
