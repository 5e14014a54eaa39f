// The composition root: opens an installation, plans, and runs. The library's one class, and what every command goes through.
import { EventEmitter } from 'node:events';
import { ulid } from 'ulid';
import { loadConfig } from './config/load-config.ts';
import type { Config } from './model/config.ts';
import type { UpgradeEvent } from './model/event.ts';
import type { Finding } from './model/plan.ts';
import type { BackupRecord, RestoreReport } from './model/ports.ts';
import type { ResultDocument, RunRecord } from './model/run.ts';
import type { Version } from './model/version.ts';
import { adoptLadders, type AdoptOptions, type AdoptReport } from './session/adopt.ts';
import { createAdapters, readJournal, type ReadingPorts } from './session/adapters.ts';
import { createBackup, exportBackup, listBackups, restoreBackup, verifyBackup, type RestoreOptions } from './session/backups.ts';
import { checkMigrations, type CheckReport } from './session/check.ts';
import { startDetached } from './session/detach.ts';
import { followRun, type FollowRequest } from './session/follow.ts';
import { newRun, resumedRun, type RunEntry } from './session/entry.ts';
import { obstacles } from './session/obstacles.ts';
import { findingsFor, preparePlan, type PlanOptions, type PreparedPlan } from './session/planning.ts';
import { runDetails, type RunDetails } from './session/run-details.ts';
import { runSession } from './session/run-session.ts';
import { statusDocument, type StatusDocument } from './session/status.ts';
import { withTotalTimeout } from './session/total-timeout.ts';

export interface OpenOptions {
  /** Path of `upgrade.yaml`; default: the nearest one, from `cwd` upwards. */
  readonly config?: string;
  /** Takes the place of `root` in the config. */
  readonly root?: string;
  /** Default: the process's. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface RunOptions {
  /** Aborting it stops the run at the next safe point and rolls back. */
  readonly signal?: AbortSignal;
}

export class UpdateManager {
  readonly config: Config;
  readonly #adapters: ReadingPorts;
  readonly #emitter = new EventEmitter<{ event: [UpgradeEvent] }>();
  /** How it was opened: a run in a process of its own is opened in the same way. */
  readonly #options: OpenOptions;

  private constructor(config: Config, options: OpenOptions) {
    this.config = config;
    this.#options = options;
    this.#adapters = createAdapters(config);
  }

  /** Throws an UpgradeError with every problem of the config. */
  static async open(options: OpenOptions = {}): Promise<UpdateManager> {
    const { config: file, root, cwd = process.cwd(), env = process.env } = options;
    return new UpdateManager(await loadConfig({ file, root, cwd, env }), options);
  }

  on(name: 'event', listener: (event: UpgradeEvent) => void): this {
    this.#emitter.on(name, listener);
    return this;
  }

  off(name: 'event', listener: (event: UpgradeEvent) => void): this {
    this.#emitter.off(name, listener);
    return this;
  }

  /** Writes nothing. A plan from a version to itself has nothing to do. Throws what is wrong with migrations or target, all at once. */
  async plan(options: PlanOptions = {}): Promise<PreparedPlan> {
    return preparePlan(this.config, this.#adapters, options);
  }

  /** What speaks against a plan. Writes nothing. */
  async preflight(plan: PreparedPlan): Promise<readonly Finding[]> {
    const [standing, found] = await Promise.all([obstacles(this.config), findingsFor(this.config, this.#adapters, plan)]);
    return [...standing, ...found];
  }

  /** The preflight of the upgrade to the highest version. */
  async doctor(): Promise<readonly Finding[]> {
    return this.preflight(await this.plan());
  }

  /** Never throws for an upgrade that failed: see the result's outcome. Throws where the journal cannot be written any more; the run is resumable then. */
  async run(plan: PreparedPlan, options: RunOptions & { readonly runId?: string } = {}): Promise<ResultDocument> {
    return this.#session(newRun(this.config, this.#adapters, plan, options.runId ?? ulid()), options.signal);
  }

  /** Finishes the unfinished run. Throws NO_UNFINISHED_RUN, RUN_STRANDED, LOCK_HELD, and with `onlyForward` RUN_ROLLING_BACK and ROLLBACK_NEEDED. */
  async resume(options: RunOptions & { readonly onlyForward?: boolean } = {}): Promise<ResultDocument> {
    return this.#session(await resumedRun(this.config, options.onlyForward === true ? 'only-forward' : 'as-recorded'), options.signal);
  }

  /** Undoes the unfinished run, or tries again to undo a stranded one. */
  async rollback(): Promise<ResultDocument> {
    return this.#session(await resumedRun(this.config, 'backward'), undefined);
  }

  /** `null` where nothing tells yet. Throws VERSION_UNREADABLE. */
  async installedVersion(): Promise<Version | null> {
    return this.#adapters.installation.readVersion();
  }

  async status(): Promise<StatusDocument> {
    return statusDocument(this.config, this.#adapters);
  }

  /** All runs, the newest first. */
  async history(): Promise<readonly RunRecord[]> {
    return readJournal(this.config, async (journal) => (await journal?.runs()) ?? []);
  }

  /** One run with its steps and events. Throws RUN_UNKNOWN. */
  async runDetails(runId: string): Promise<RunDetails> {
    return runDetails(this.config, runId);
  }

  /** Lints the migrations. */
  async check(): Promise<CheckReport> {
    return checkMigrations(this.config);
  }

  /** Takes over what another tool recorded of ladders. Throws LADDERS_MISSING, LADDER_UNKNOWN, LOCK_HELD, RUN_UNFINISHED; what is wrong with a ladder is in the report. */
  async adopt(options: AdoptOptions = {}): Promise<AdoptReport> {
    return adoptLadders(this.config, this.#adapters, options);
  }

  /** Hands the plan to a process of its own: the caller may be restarted by the run. Resolves once the run is recorded. */
  async start(plan: PreparedPlan): Promise<{ readonly runId: string }> {
    return startDetached(this.config, this.#adapters.clock, this.#options, plan);
  }

  /** The events of a run out of the journal, live or past; the last is `run-finished` with the result. */
  follow(runId?: string, options: Omit<FollowRequest, 'runId'> = {}): AsyncGenerator<UpgradeEvent> {
    return followRun(this.config, this.#adapters.clock, { ...options, ...(runId === undefined ? {} : { runId }) });
  }

  /** The newest first. */
  async listBackups(): Promise<readonly BackupRecord[]> {
    return listBackups(this.config);
  }

  async createBackup(options: RunOptions = {}): Promise<BackupRecord> {
    return createBackup(this.config, this.#adapters, options.signal);
  }

  /** The newest where no id is given. Throws BACKUP_UNKNOWN, or what is wrong with it. */
  async verifyBackup(id?: string): Promise<BackupRecord> {
    return verifyBackup(this.config, this.#adapters, id);
  }

  async restoreBackup(id: string, options: RestoreOptions = {}): Promise<RestoreReport> {
    return restoreBackup(this.config, this.#adapters, id, options);
  }

  async exportBackup(id: string, file: string): Promise<BackupRecord> {
    return exportBackup(this.config, this.#adapters, id, file);
  }

  async #session(entry: RunEntry, signal: AbortSignal | undefined): Promise<ResultDocument> {
    return withTotalTimeout(this.config.timeouts.totalMs, signal, (limited) =>
      runSession({ ...entry, config: this.config, adapters: this.#adapters, signal: limited, listeners: [(event) => void this.#emitter.emit('event', event)] }),
    );
  }
}
