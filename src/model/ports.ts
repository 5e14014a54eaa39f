// What the phases need from the world. Adapters implement these; the composition root wires them.
import type { Config, ProbeConfig, ServiceConfig } from './config.ts';
import type { EventBody, UpgradeEvent } from './event.ts';
import type { Failure } from './failure.ts';
import type { AcceptedChecksum, LadderBaseline, LadderStep } from './ladder.ts';
import type { NewMessage, OutboxEntry } from './notification.ts';
import type { Climb, Finding, NeededImage, Plan } from './plan.ts';
import type {
  AppliedStep,
  BackupReport,
  DriftedPath,
  Outcome,
  PhaseName,
  ProbeReport,
  ResultDocument,
  RunCourse,
  RunRecord,
  ServiceReport,
  StepOrder,
  StepOutcome,
  StepRecord,
  StepStatus,
} from './run.ts';
import type { Version } from './version.ts';

/** What every phase of one run knows. */
export interface RunContext {
  readonly id: string;
  readonly plan: Plan;
  readonly config: Config;
  /** Aborted on SIGINT, SIGTERM or the caller's wish; the phase that runs settles and rejects. */
  readonly signal: AbortSignal;
  /** `state/runs/<id>`, absolute. */
  readonly dir: string;
  /** Where somebody can answer: whether what services have written since is to be set back too (`onDrift: ask`). Ends by itself. */
  readonly askAboutDrift?: AskAboutDrift;
}

export type AskAboutDrift = (drift: readonly DriftedPath[]) => Promise<boolean>;

export interface Ports {
  readonly journal: Journal;
  readonly events: EventSink;
  readonly steps: StepExecutor;
  readonly backups: BackupStore;
  readonly databases: Databases;
  readonly services: ServiceControl;
  readonly images: Images;
  readonly probes: ProbeRunner;
  readonly installation: Installation;
  readonly oldRecords: OldRecords;
  readonly clock: Clock;
}

/** What other tools keep of ladders, for those that are told to keep it up to date (`writeBack`). */
export interface OldRecords {
  /** Safe to repeat. Gives a warning for each ladder that has no record to write to. */
  write(climbs: readonly Climb[]): Promise<readonly Finding[]>;
}

export interface EventSink {
  emit(event: EventBody): void;
}

export interface Clock {
  /** ISO 8601, for people. */
  now(): string;
  /** Milliseconds that never go back, for deadlines and durations. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Installation {
  /** What is installed, from the source that the config names. `null` where the source is the journal and no run has been committed. */
  readVersion(): Promise<Version | null>;
  /** Atomic, keeps mode and owner, synced. For a `command` source it checks that the command tells the new version. */
  writeVersion(version: Version): Promise<void>;
}

/** The durable record of runs, steps, backups and events. Every method that writes has committed when it resolves. */
export interface Journal {
  createRun(run: NewRun, plan: Plan): Promise<void>;
  /** The plan of a run that is not over, where the journal itself keeps it: for a host that does not have the run's folder. */
  frozenPlan(runId: string): Promise<Plan | null>;
  run(id: string): Promise<RunRecord | null>;
  unfinishedRun(): Promise<RunRecord | null>;
  /** Newest first. */
  runs(limit?: number): Promise<readonly RunRecord[]>;
  /** Without its result, which is long. */
  latestRun(): Promise<Pick<RunRecord, 'id' | 'outcome'> | null>;
  /** A text that is another one after anything was written that others look at. */
  mark(): Promise<string>;
  /** Counts another attempt. `isAskedFor`: a person asks for it by hand, so a stranded run is opened again and its count begins anew. */
  takeUp(runId: string, who: { readonly host: string; readonly pid: number; readonly isAskedFor: boolean }): Promise<void>;
  enterPhase(runId: string, phase: PhaseName, course: RunCourse, failure?: Failure): Promise<void>;
  /** Also ties it to its run, as long as it is good. */
  recordBackup(backup: BackupRecord): Promise<void>;
  removeBackup(id: string): Promise<void>;
  /** Newest first. */
  backups(): Promise<readonly BackupRecord[]>;
  stepRecords(runId: string): Promise<readonly StepRecord[]>;
  /** The intents of a batch, in one commit. */
  intendSteps(runId: string, stepIds: readonly string[], action: 'apply' | 'revert'): Promise<void>;
  /** The outcomes of a batch, in one commit. */
  settleSteps(runId: string, outcomes: readonly SettledStep[]): Promise<void>;
  /** The outcomes of some steps and the intents of those that come next, in one commit. */
  settleAndIntend(runId: string, outcomes: readonly SettledStep[], stepIds: readonly string[], action: 'apply' | 'revert'): Promise<void>;
  appliedSteps(): Promise<readonly AppliedStep[]>;
  /** The transitions that led here, the oldest first, and the runs that hold their copies: what a downgrade goes back. */
  committedPath(): Promise<readonly { readonly transition: string; readonly runId: string }[]>;
  /** What each service was before the run. Told once: later calls for the same run and service are ignored. */
  rememberServices(runId: string, states: Readonly<Record<string, ServiceState>>): Promise<void>;
  servicesBefore(runId: string): Promise<Readonly<Record<string, ServiceState>>>;
  /** An effect other than a step: a restart, a swap. Returned while it has no outcome. */
  intend(runId: string, key: string, intent: unknown): Promise<void>;
  settle(runId: string, key: string, outcome: unknown): Promise<void>;
  effects(runId: string): Promise<readonly EffectRecord[]>;
  /**
   * Ends the run. The plan that was committed moves its steps into `applied_steps` (out of it, for a downgrade) and sets the version, in the
   * same commit; what its climbs hold goes into the ladders' steps (out of them, downwards).
   */
  finishRun(runId: string, outcome: Outcome, result: ResultDocument, committed?: Plan, messages?: readonly NewMessage[]): Promise<void>;
  /** Who is told about ends of runs, the newest first; also what was delivered lately. */
  outbox(): Promise<readonly OutboxEntry[]>;
  version(): Promise<Version | null>;
  /** Ladders that were taken over from another tool. */
  ladderBaselines(): Promise<readonly LadderBaseline[]>;
  /** The steps of ladders that are applied now, by ladder and number. */
  ladderSteps(): Promise<readonly LadderStep[]>;
  /** Records ladders with the steps that they begin with, in one commit: what was recorded of them is replaced. */
  adoptLadders(ladders: readonly { readonly baseline: LadderBaseline; readonly steps: readonly LadderStep[] }[]): Promise<void>;
  /** Records that somebody has accepted what a ladder's applied steps are now, in one commit: their SHA-256 count from then on. */
  acceptChecksums(accepted: readonly AcceptedChecksum[]): Promise<void>;
  /** The newest first. */
  acceptedChecksums(): Promise<readonly AcceptedChecksum[]>;
  events(runId: string, afterSeq?: number): Promise<readonly UpgradeEvent[]>;
  /** Kept in memory until the next commit, or `flush`. */
  appendEvent(event: UpgradeEvent): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

export type NewRun = Pick<RunRecord, 'id' | 'product' | 'from' | 'to' | 'direction' | 'planHash' | 'startedAt' | 'host' | 'pid'>;

export interface SettledStep {
  readonly stepId: string;
  readonly status: StepStatus;
  /** `null` leaves what is recorded. */
  readonly durationMs: number | null;
  readonly failure?: Failure;
}

export interface EffectRecord {
  readonly key: string;
  readonly intent: unknown;
  readonly outcome: unknown;
  readonly isSettled: boolean;
}

/** Runs steps outside this process. */
export interface StepExecutor {
  /** Gets ready to execute (this order, where it is known), while something else still goes on. What it runs into is told by the order itself. */
  prepare(run: RunContext, next?: StepOrder): void;
  /**
   * Runs the orders in turn and stops at the first failure; gives an outcome for each one that was begun. Only transactional SQL steps may come several at once.
   * `onDone` hears of those that were done while others of the batch still run, in their order; not of all, and of none that failed.
   */
  execute(orders: readonly StepOrder[], run: RunContext, onDone?: (outcome: StepOutcome) => void): Promise<readonly StepOutcome[]>;
  /** What happened to an order whose outcome is not known: the marker row decides, else `check()`, else `unknown`. `done` means that the order's action took effect. */
  examine(order: StepOrder, run: RunContext): Promise<'done' | 'not-done' | 'partial' | 'unknown'>;
  /** Whether a checkpoint was saved by this order, so that it can be taken up again. */
  hasCheckpoint(order: StepOrder, run: RunContext): Promise<boolean>;
  /** Takes back what the order recorded (`ctx.files`), in reverse. Safe to repeat. Says whether that is all the step did. */
  undoRecorded(order: StepOrder, run: RunContext): Promise<{ readonly undone: number; readonly isComplete: boolean }>;
  /** What these orders can have changed, and when they were at work. */
  reach(orders: readonly StepOrder[], run: RunContext): { readonly steps: readonly StepReach[]; readonly windows: readonly StepWindow[] };
  /** Removes marker tables from the databases, after the journal holds all outcomes. */
  removeMarkers(run: RunContext): Promise<void>;
  /** Ends the step host. */
  close(): Promise<void>;
}

/** What one step can have changed. */
export interface StepReach {
  readonly stepId: string;
  /** Relative to the root: what was recorded, and what the step says of itself. */
  readonly paths: readonly string[];
  readonly databases: readonly string[];
  /** It may have changed anything else too. */
  readonly isOpen: boolean;
}

/** When a step was at work, in nanoseconds of the file system's clock. */
export interface StepWindow {
  readonly steps: readonly string[];
  readonly work: 'apply' | 'revert' | 'undo';
  readonly begin: bigint;
  /** `null`: nobody saw it end. */
  readonly end: bigint | null;
}

/** A backup that was read back and found equal to its manifest. */
export interface BackupRecord extends BackupReport {
  readonly manifest: string;
  readonly createdAt: string;
  readonly runId: string | null;
  readonly version: string | null;
  /** Other backups whose archives it needs; of whole ones, and those of earlier versions of Rungs, none. */
  readonly needs?: readonly string[];
  /** Whether nothing that is in it could change while it was made; not known of those of earlier versions of Rungs. */
  readonly simultaneous?: boolean;
  /** What was noticed while it was made. */
  readonly warnings?: readonly string[];
}

export interface Difference {
  /** Relative to the root, or `database:<name>`. */
  readonly path: string;
  readonly kind: 'missing' | 'created' | 'differs';
  /** `content`, `mode`, `owner`, `type`, `link target`, `rows`… for people. */
  readonly why: string;
  /** When what is there was last changed (and made, where it was created), in nanoseconds of the file system's clock; empty where nothing tells. */
  readonly times?: readonly string[];
}

export interface RestoreReport {
  readonly restored: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: number;
}

export interface BackupStore {
  /** Sources and bytes, all of them and those that none of the `earlier` backups has; writes nothing. */
  estimate(
    extraPaths: readonly string[],
    earlier?: readonly BackupRecord[],
  ): Promise<{ readonly sources: readonly string[]; readonly bytes: number; readonly newBytes: number; readonly files: number }>;
  /** Packs, syncs, reads back and compares. A half backup is never left behind under its final name. */
  create(request: {
    readonly id: string;
    readonly runId: string | null;
    readonly version: string | null;
    readonly extraPaths: readonly string[];
    /** What is recorded, newest first: the newest good one is continued, unless `isFull`. */
    readonly earlier?: readonly BackupRecord[];
    readonly isFull?: boolean;
    /** Whether nothing that is taken can change meanwhile. */
    readonly isSimultaneous?: boolean;
    readonly signal?: AbortSignal;
    readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  }): Promise<BackupRecord>;
  /** Reads its archive whole, and a sample of the archives that it needs of others: all that it needs of them if `isDeep`. Throws BACKUP_CORRUPT with what is wrong. */
  verify(backup: BackupRecord, options?: { readonly isDeep?: boolean }): Promise<void>;
  /** Of an encrypted backup: whether its files are as they were written, which takes no key; false where it is not encrypted. Throws BACKUP_CORRUPT. */
  verifySealed(backup: BackupRecord): Promise<boolean>;
  /** Remembers which of the keys that were named opens the backup. */
  noteProof(backup: BackupRecord): Promise<void>;
  /** Recipients of the config that nobody has proven to hold the key of. */
  unprovenRecipients(): readonly string[];
  /** Deletes our own keys of encrypted backups, but of these: from then on only their recipients open the others. */
  forgetKeys(except: ReadonlySet<string>): Promise<void>;
  /** The live installation against the manifest. */
  compare(
    backup: BackupRecord,
    options?: { readonly paths?: readonly string[] },
  ): Promise<{ readonly differences: readonly Difference[]; readonly compared: number }>;
  /** Sets back what differs, by staging beside and renaming, and puts aside (into `asideDir`) what was created since. Safe to repeat after a kill. */
  restore(
    backup: BackupRecord,
    request: {
      readonly differences?: readonly Difference[];
      readonly paths?: readonly string[];
      /** What is to stay as it is. */
      readonly isLeft?: (difference: Difference) => boolean;
      readonly asideDir: string;
      readonly signal?: AbortSignal;
      /** Called once, when all that comes is staged and proven, before the first change. */
      readonly beforeChange?: () => Promise<void>;
    },
  ): Promise<RestoreReport>;
  /** Bytes that have to be free for setting these back: where the staged files will lie, and how many of their bytes. */
  roomFor(backup: BackupRecord, differences: readonly Difference[]): Promise<readonly { readonly path: string; readonly bytes: number }[]>;
  /** Everything, or some paths, into an empty or new folder: databases as files and dumps. Nothing of the installation is touched. */
  extractTo(backup: BackupRecord, request: { readonly dir: string; readonly paths?: readonly string[] }): Promise<RestoreReport>;
  /** One self-contained file. */
  exportTo(backup: BackupRecord, file: string): Promise<void>;
  /** Takes such a file in, whole or not at all; the caller records it. Throws BACKUP_CORRUPT, BACKUP_IMPORT_…, before anything is written. */
  importFrom(file: string, isKnown: (id: string) => boolean): Promise<BackupRecord>;
  /** Hands the backup to the command of `backup.afterBackup`. Throws AFTER_BACKUP_FAILED. */
  afterBackup(backup: BackupRecord, signal?: AbortSignal): Promise<void>;
  /** Deletes archive and manifest. */
  remove(backup: Pick<BackupRecord, 'path' | 'manifest'>): Promise<void>;
  /** Deletes whatever there is of a backup that was never recorded. */
  discard(id: string): Promise<void>;
}

export interface Databases {
  /** `integrity_check`, `foreign_key_check`, reachability: findings for each problem. */
  check(): Promise<readonly Finding[]>;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export interface ServiceState {
  readonly isRunning: boolean;
  /** A value that changes when the process or container is a new one; `null` where it is not known. */
  readonly identity: string | null;
  /** What only its kind understands, and needs to put the service back: whether a unit is enabled, which container it was. */
  readonly kept?: Json;
  /** Where it does not run and its engine will not start it again by itself: how it ended, to follow its name. */
  readonly ended?: string;
}

/** One look at a service, for probes, for the soak and for `status`. */
export interface ServiceSight {
  readonly status: 'healthy' | 'running' | 'unhealthy' | 'stopped';
  readonly identity: string | null;
  /** What is wrong, to follow the service's name: `"bin/proxy health" exited with 1`. */
  readonly account: string | null;
}

/** That a service comes up after another, and who says so: `after:`, or an engine's own setting. */
export interface ServiceEdge {
  readonly service: string;
  readonly after: string;
  /** For people: `depends_on of db in compose.yaml`. `null`: it is `after:` in upgrade.yaml. */
  readonly source: string | null;
}

/** With the identity that it was well as. */
export type WellReport = ServiceReport & { readonly identity?: string };

export interface ServiceControl {
  inspect(service: ServiceConfig, signal?: AbortSignal): Promise<ServiceState>;
  /** Never throws for a service that is not well; it does for an engine that cannot be asked. Over within `limitMs`. */
  look(service: ServiceConfig, limitMs: number, signal?: AbortSignal): Promise<ServiceSight>;
  restart(service: ServiceConfig, signal?: AbortSignal): Promise<void>;
  stop(service: ServiceConfig, signal?: AbortSignal): Promise<void>;
  /** `before`: what it was when it ran, for what was stopped together with it. */
  start(service: ServiceConfig, signal?: AbortSignal, before?: ServiceState): Promise<void>;
  /** Makes the engines read again what steps (or a restore) changed: unit files. Before services are ordered, restarted or put back. Safe to repeat. */
  reload(services: readonly ServiceConfig[], signal?: AbortSignal): Promise<void>;
  /** Restores what starting and stopping do not: enabled, masked. Before the service is started or stopped. Safe to repeat. */
  putBack(service: ServiceConfig, before: ServiceState, signal?: AbortSignal): Promise<void>;
  /** What comes after what, of these services: `after:`, and what engines order by themselves. An engine that cannot be asked has no say. */
  order(services: readonly ServiceConfig[], signal?: AbortSignal): Promise<readonly ServiceEdge[]>;
  /** Until it is a new process (another identity than `before`) and healthy for `stableFor`, or the deadline passes. Never throws for a service that is not well: see the report. */
  waitUntilWell(
    service: ServiceConfig,
    request: { readonly before: ServiceState | null; readonly signal?: AbortSignal },
  ): Promise<WellReport>;
  /** The last lines that it wrote. Never fails. */
  lastOutput(service: ServiceConfig): Promise<readonly string[]>;
}

/** A container image as the engine knows it: the name that was asked for, and the id that it stood for when the run pinned it. */
export interface PinnedImage {
  readonly image: string;
  readonly id: string;
}

/** What a container was before it was replaced: enough to find it again, whatever it is called since. */
export interface ContainerBefore {
  readonly id: string;
  readonly name: string;
  readonly image: PinnedImage;
  readonly restartPolicy: { readonly Name: string; readonly MaximumRetryCount: number };
}

/** Compose's file of images: what it held and what it is to hold. */
export interface ComposeOverride {
  readonly file: string;
  readonly before: string | null;
  readonly after: string;
  /** The container was what its Compose file says, but for the image. */
  readonly isCurrent: boolean;
}

/** One container that a run makes again. */
export interface Replacement {
  readonly before: ContainerBefore;
  readonly image: PinnedImage;
  /** Services whose network or processes it shares: they come first. */
  readonly after: readonly string[];
  /** `null` where the service is none of Compose's. */
  readonly override: ComposeOverride | null;
}

export type Replacements = Readonly<Record<string, Replacement>>;

/** Gives services new images, by making their containers again. All that changes something may be repeated at any point after a kill. */
export interface Images {
  /** What keeps these images from being used, of all transitions at once. Changes nothing. */
  findings(images: readonly NeededImage[]): Promise<readonly Finding[]>;
  /** Pulled, or loaded from its file, where it is not there. */
  fetch(
    needed: NeededImage,
    request: { readonly signal?: AbortSignal; readonly onProgress?: (doneBytes: number, totalBytes: number | null) => void },
  ): Promise<PinnedImage>;
  /** What has to be made again for these images: their services' containers, and those that share such a container's network. Changes nothing. */
  describe(images: Readonly<Record<string, PinnedImage>>): Promise<Replacements>;
  /** The old container is stopped and kept under another name; the new one is as it was but for the image. */
  replace(
    service: string,
    all: Replacements,
    request: { readonly runId: string; readonly isStarted: boolean; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** The new container goes; the old one is what and as it was, stopped. */
  putBack(service: string, replacement: Replacement, runId: string): Promise<void>;
  /** Removes the container that was kept: after the commit. */
  drop(replacement: Replacement, runId: string): Promise<void>;
}

export interface ProbeRunner {
  run(probe: ProbeConfig, signal?: AbortSignal): Promise<ProbeReport>;
}

/** What a module step says of itself, read by loading it outside this process. */
export interface ModuleDescription {
  /** Everything of the default export (or of the named exports) that is data, not yet checked. */
  readonly metadata: unknown;
  readonly hasForward: boolean;
  readonly hasBackward: boolean;
  readonly hasCheck: boolean;
}

/** Loads `.ts`, `.js` and `.mjs` step files in a process of their own; one answer per file, in order. */
export type DescribeModules = (files: readonly string[]) => Promise<readonly (ModuleDescription | Failure)[]>;
