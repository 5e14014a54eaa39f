// The composition root: opens an installation, plans, and runs. The library's one class, and what every command goes through.
import { EventEmitter } from 'node:events';
import { loadConfig } from './config/load-config.ts';
import type { Config } from './model/config.ts';
import type { UpgradeEvent } from './model/event.ts';
import type { Outlook } from './model/outlook.ts';
import { failuresOf, UpgradeError, type Failure } from './model/failure.ts';
import type { OutboxEntry } from './model/notification.ts';
import type { Delivery } from './notify/deliver.ts';
import type { Finding } from './model/plan.ts';
import type { AskAboutDrift, BackupRecord, RestoreReport } from './model/ports.ts';
import type { ResultDocument, RunRecord } from './model/run.ts';
import type { Version } from './model/version.ts';
import type { AdoptOptions, AdoptReport } from './session/adopt.ts';
import type { ReadingPorts } from './session/adapters.ts';
import type { CreateOptions, KeyOptions, VerifyOptions } from './session/backups.ts';
import type { RestoreOptions, RestorePreview } from './session/restores.ts';
import type { BaselineOptions, BaselineReport } from './session/baseline.ts';
import type { LadderRequest } from './session/climbs.ts';
import type { BootNote } from './session/boot-notes.ts';
import type { BootWishes } from './session/boot-settings.ts';
import type { CheckReport } from './session/check.ts';
import type { FreshCheckOptions, FreshLadder } from './session/check-fresh.ts';
import type { DeliverOptions, TriedTarget } from './session/deliver-messages.ts';
import type { FollowRequest } from './session/follow.ts';
import type { ResumeCourse, RunEntry } from './session/entry.ts';
import type { KnownWord, KnownWords } from './session/known-words.ts';
import type { LogLine } from './report/log-lines.ts';
import type { LogsRequest } from './session/logs.ts';
import type { MigrationsStatus } from './session/migrations-status.ts';
import type { Observer } from './session/observe.ts';
import type { PlanOptions, PreparedPlan } from './session/planning.ts';
import type { RunDetails } from './session/run-details.ts';
import type { RunSoFar } from './session/run-so-far.ts';
import type { ServicesReport } from './session/service-states.ts';
import type { RunSummary, StatusDocument } from './session/status.ts';
import type { VersionGraph } from './session/version-graph.ts';
import { systemClock } from './system-clock.ts';

export type { Observer } from './session/observe.ts';

export interface OpenOptions {
  /** Path of `upgrade.yaml`; default: the nearest one, from `cwd` upwards. */
  readonly config?: string;
  /** Takes the place of `root` in the config. */
  readonly root?: string;
  /** Default: the process's. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export type BootOptions = RunOptions & BootWishes & { readonly onNote?: (note: BootNote) => void };

export interface RunOptions {
  /** Aborting it stops the run at the next safe point and rolls back. */
  readonly signal?: AbortSignal;
}

// A receiver that is away must not keep the caller for long: the journal remembers.
const tellWithinMs = 10_000;

export class UpdateManager {
  readonly config: Config;
  #adapters: Promise<ReadingPorts> | null = null;
  readonly #emitter = new EventEmitter<{ event: [UpgradeEvent] }>();
  /** How it was opened: a run in a process of its own is opened in the same way. */
  readonly #options: OpenOptions;

  #askAboutDrift: AskAboutDrift | null = null;

  private constructor(config: Config, options: OpenOptions) {
    this.config = config;
    this.#options = options;
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

  /** Whom a rollback asks about what services have written since the backup, where the config says `onDrift: ask`. He has to answer in time. */
  answerDrift(ask: AskAboutDrift): this {
    this.#askAboutDrift = ask;
    return this;
  }

  /** Writes nothing. A plan from a version to itself has nothing to do. Throws what is wrong with migrations or target, all at once. */
  async plan(options: PlanOptions = {}): Promise<PreparedPlan> {
    const { isNothingToDo, preparePlan } = await import('./session/planning.ts');
    const plan = await preparePlan(this.config, await this.#open(), options);
    if (!isNothingToDo(plan) || Object.keys(this.config.ladders).length === 0) return plan;
    const { pendingLadders } = await import('./session/climbs.ts');
    return { ...plan, findings: [...plan.findings, ...(await pendingLadders(this.config))] };
  }

  /** A plan of ladders alone: it is run like any other. Throws LADDERS_MISSING, LADDER_…, and everything that is wrong with the steps. */
  async planLadders(request: LadderRequest): Promise<PreparedPlan> {
    const { prepareLadderPlan } = await import('./session/climbs.ts');
    return prepareLadderPlan(this.config, await this.#open(), request);
  }

  /** Records that a ladder stands at a height; nothing is run. Throws LADDER_…, LOCK_HELD, RUN_UNFINISHED. */
  async baseline(height: number, options: BaselineOptions = {}): Promise<BaselineReport> {
    const { setBaseline } = await import('./session/baseline.ts');
    return setBaseline(this.config, await this.#open(), height, options);
  }

  /** What speaks against a plan. Writes nothing. */
  async preflight(plan: PreparedPlan): Promise<readonly Finding[]> {
    const [{ obstacles }, { leftBehind }, { findingsFor }, { insideFindings }, adapters] = await Promise.all([
      import('./session/obstacles.ts'),
      import('./session/left-behind.ts'),
      import('./session/planning.ts'),
      import('./session/inside-service.ts'),
      this.#open(),
    ]);
    const [standing, left, found, inside] = await Promise.all([
      obstacles(this.config),
      leftBehind(this.config),
      findingsFor(this.config, adapters, plan),
      insideFindings({ config: this.config, services: adapters.services, plan, purpose: 'look' }),
    ]);
    return [...standing, ...inside, ...found, ...left];
  }

  /** The preflight of the upgrade to the highest version. */
  async doctor(): Promise<readonly Finding[]> {
    return this.preflight(await this.plan());
  }

  /** Never throws for an upgrade that failed: see the result's outcome. Throws where the journal cannot be written any more; the run is resumable then. */
  async run(plan: PreparedPlan, options: RunOptions & { readonly runId?: string } = {}): Promise<ResultDocument> {
    const [{ newRun }, { ulid }] = await Promise.all([import('./session/entry.ts'), import('ulid')]);
    return this.#session(newRun(this.config, await this.#open(), plan, options.runId ?? ulid()), options.signal);
  }

  /** Finishes the unfinished run. Throws NO_UNFINISHED_RUN, RUN_STRANDED, LOCK_HELD, and with `onlyForward` RUN_ROLLING_BACK and ROLLBACK_NEEDED. */
  async resume(options: RunOptions & { readonly onlyForward?: boolean } = {}): Promise<ResultDocument> {
    return this.#session(await this.#unfinished(options.onlyForward === true ? 'only-forward' : 'as-recorded'), options.signal);
  }

  /** Undoes the unfinished run, or tries again to undo a stranded one. */
  async rollback(): Promise<ResultDocument> {
    return this.#session(await this.#unfinished('backward'), undefined);
  }

  /** A run that was committed and killed has nothing left to finish but the removal of containers. */
  async #unfinished(course: ResumeCourse): Promise<RunEntry> {
    const { resumedRun } = await import('./session/entry.ts');
    try {
      return await resumedRun(this.config, course);
    } catch (error) {
      if (failuresOf(error)[0]?.code !== 'NO_UNFINISHED_RUN') throw error;
      const { removeLeftBehind } = await import('./session/left-behind.ts');
      const problems = await removeLeftBehind(this.config, await this.#open()).catch(failuresOf);
      throw problems.length === 0 ? error : new UpgradeError([...failuresOf(error), ...problems], { cause: error });
    }
  }

  /**
   * Brings the installation up to date before its service starts: waits for whoever else does, finishes an unfinished run, then goes to the
   * highest version and to the tops of all ladders. Reads `MIGRATION_TIMEOUT_MS` and `MIGRATION_LOCK_TIMEOUT_MS`; `AUTO_MIGRATE` is for the
   * caller to heed. Throws what keeps it from beginning; for a run that failed see the result's outcome.
   */
  async boot(options: BootOptions = {}): Promise<ResultDocument> {
    const { env = process.env } = this.#options;
    const [{ boot }, { bootSettings, isBootWanted }, adapters] = await Promise.all([
      import('./session/boot.ts'),
      import('./session/boot-settings.ts'),
      this.#open(),
    ]);
    isBootWanted(env);
    const { signal, onNote = () => undefined } = options;
    const result = await this.#traced(async () =>
      boot({
        config: this.config,
        adapters,
        settings: bootSettings(this.config, env, options),
        onEvent: (event) => void this.#emitter.emit('event', event),
        onNote,
        ...(signal === undefined ? {} : { signal }),
      }),
    );
    return this.#told(result, signal);
  }

  /** What a boot would run now. Writes nothing. */
  async planBoot(): Promise<PreparedPlan> {
    const { prepareBootPlan } = await import('./session/boot-plan.ts');
    return prepareBootPlan(this.config, await this.#open());
  }

  /** `null` where nothing tells yet. Throws VERSION_UNREADABLE. */
  async installedVersion(): Promise<Version | null> {
    const { openInstallation } = await import('./session/journals.ts');
    return openInstallation(this.config).readVersion();
  }

  async status(): Promise<StatusDocument> {
    const [{ statusDocument }, { openInstallation }] = await Promise.all([import('./session/status.ts'), import('./session/journals.ts')]);
    return statusDocument(this.config, { installation: openInstallation(this.config) });
  }

  /** What can be told of a run to those who watch it: of a plan that is about to be run, or of a run (the latest where no id is given). */
  async outlook(of?: PreparedPlan | string): Promise<Outlook | null> {
    const { outlookOf } = await import('./session/outlook.ts');
    return outlookOf(this.config, of);
  }

  /** All runs, the newest first. */
  async history(): Promise<readonly RunRecord[]> {
    const { readJournal } = await import('./session/journals.ts');
    return readJournal(this.config, async (journal) => (await journal?.runs()) ?? []);
  }

  /** One run with its steps and events. Throws RUN_UNKNOWN. */
  async runDetails(runId: string): Promise<RunDetails> {
    const { runDetails } = await import('./session/run-details.ts');
    return runDetails(this.config, runId);
  }

  /** So many runs, the newest first, without their results. */
  async recentRuns(limit: number): Promise<readonly RunSummary[]> {
    const [{ readJournal }, { summary }] = await Promise.all([import('./session/journals.ts'), import('./session/status.ts')]);
    return readJournal(this.config, async (journal) => ((await journal?.runs(limit)) ?? []).map(summary));
  }

  /** Whether the journal knows the run. */
  async hasRun(runId: string): Promise<boolean> {
    const { readJournal } = await import('./session/journals.ts');
    return readJournal(this.config, async (journal) => ((await journal?.run(runId)) ?? null) !== null);
  }

  /** One run as it stands, also in the middle. Throws RUN_UNKNOWN. */
  async runSoFar(runId: string): Promise<RunSoFar> {
    const { runSoFar } = await import('./session/run-so-far.ts');
    return runSoFar(this.config, runId);
  }

  /** For looking on for a long time; whoever opens it closes it. Writes nothing. */
  async observe(): Promise<Observer> {
    const { observe } = await import('./session/observe.ts');
    return observe(this.config);
  }

  /** All versions and transitions, with the way to the latest. */
  async versionGraph(): Promise<VersionGraph> {
    const [{ versionGraph }, { openInstallation }] = await Promise.all([
      import('./session/version-graph.ts'),
      import('./session/journals.ts'),
    ]);
    return versionGraph(this.config, openInstallation(this.config));
  }

  /** In the text format of Prometheus. */
  async metrics(): Promise<string> {
    const { metricsOf } = await import('./session/metrics.ts');
    return metricsOf(this.config);
  }

  /** Which services run now, and how the probes of the last run ended. Changes nothing. */
  async serviceStates(): Promise<ServicesReport> {
    const { serviceStates } = await import('./session/service-states.ts');
    return serviceStates(this.config, (await this.#open()).services);
  }

  /** Where a ladder stands, in the shape of M.O.S.S. Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_WHICH. */
  async migrationsStatus(ladder?: string): Promise<MigrationsStatus> {
    const { migrationsStatus } = await import('./session/migrations-status.ts');
    return migrationsStatus(this.config, ladder);
  }

  /** Lints the migrations. */
  async check(): Promise<CheckReport> {
    const { checkMigrations } = await import('./session/check.ts');
    return checkMigrations(this.config);
  }

  /** Whether fresh installations and ladders lead to the same schemas, tried on scratch databases. Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_FRESH_NONE. */
  async checkFresh(options: FreshCheckOptions = {}): Promise<readonly FreshLadder[]> {
    const { checkFresh } = await import('./session/check-fresh.ts');
    return checkFresh(this.config, options);
  }

  /** Takes over what another tool recorded of ladders. Throws LADDERS_MISSING, LADDER_UNKNOWN, LOCK_HELD, RUN_UNFINISHED; what is wrong with a ladder is in the report. */
  async adopt(options: AdoptOptions = {}): Promise<AdoptReport> {
    const { adoptLadders } = await import('./session/adopt.ts');
    return adoptLadders(this.config, await this.#open(), options);
  }

  /**
   * Hands the plan to a process of its own: the caller may be restarted by the run. Resolves once the run is recorded. Throws what the preflight
   * has against it, LOCK_HELD, NOTHING_TO_START, DETACHED_RUN_DID_NOT_START.
   */
  async start(plan: PreparedPlan): Promise<{ readonly runId: string }> {
    const { startDetached } = await import('./session/detach.ts');
    return startDetached(this.config, systemClock, this.#options, plan);
  }

  /**
   * The events of a run (the latest, where none is named) out of the journal, live or past, from the first or after `afterSeq`; the last is
   * `run-finished` with the result. Progress and output are not among them: they are not kept. Throws RUN_UNKNOWN, and RUN_UNFINISHED once
   * nobody works on it any more although it is not over: it was killed.
   */
  async *follow(runId?: string, options: Omit<FollowRequest, 'runId'> = {}): AsyncGenerator<UpgradeEvent> {
    const { followRun } = await import('./session/follow.ts');
    yield* followRun(this.config, systemClock, { ...options, ...(runId === undefined ? {} : { runId }) });
  }

  /** Tells whom the journal says is still to be told. Needs no lock. */
  async deliverMessages(options: DeliverOptions): Promise<Delivery> {
    const { deliverMessages } = await import('./session/deliver-messages.ts');
    return deliverMessages(this.config, systemClock, options);
  }

  /** What waits to be delivered and what was delivered lately, the newest first. */
  async listMessages(): Promise<readonly OutboxEntry[]> {
    const { listMessages } = await import('./session/deliver-messages.ts');
    return listMessages(this.config);
  }

  /** Sends a message that says nothing to each that upgrade.yaml names. */
  async testMessages(): Promise<readonly TriedTarget[]> {
    const { testMessages } = await import('./session/deliver-messages.ts');
    return testMessages(this.config, systemClock);
  }

  /** The run's log, or all that one of its steps printed; followed, until the run is over. Throws RUN_UNKNOWN, LOG_MISSING, LOG_STEP_UNKNOWN. */
  async *logs(request: LogsRequest = {}): AsyncGenerator<LogLine> {
    const { readLogs } = await import('./session/logs.ts');
    yield* readLogs(this.config, systemClock, request);
  }

  /** What a command line may name, for completing it. */
  async knownWords(kind: KnownWords): Promise<readonly KnownWord[]> {
    const { knownWords } = await import('./session/known-words.ts');
    return knownWords(this.config, kind);
  }

  /** The newest first. */
  async listBackups(): Promise<readonly BackupRecord[]> {
    const { listBackups } = await import('./session/backups.ts');
    return listBackups(this.config);
  }

  async createBackup(options: CreateOptions = {}): Promise<BackupRecord> {
    const { createBackup } = await import('./session/backups.ts');
    return createBackup(this.config, await this.#open(), options);
  }

  /** The newest where no id is given. Throws BACKUP_UNKNOWN, BACKUP_ENCRYPTED, or what is wrong with it. */
  async verifyBackup(id?: string, options: VerifyOptions = {}): Promise<BackupRecord> {
    const { verifyBackup } = await import('./session/backups.ts');
    return verifyBackup(this.config, await this.#open(), id, options);
  }

  /** Sets the installation, or some paths of it, back to a backup; or writes it into a folder of its own (`to`). Throws what keeps it from beginning, and RESTORE_FAILED. */
  async restoreBackup(id: string, options: RestoreOptions = {}): Promise<RestoreReport> {
    const { restoreBackup } = await import('./session/restores.ts');
    return restoreBackup(this.config, await this.#open(), id, options);
  }

  /** What that would change. Writes nothing. */
  async previewRestore(id: string, options: Pick<RestoreOptions, 'paths' | 'identities'> = {}): Promise<RestorePreview> {
    const { previewRestore } = await import('./session/restores.ts');
    return previewRestore(this.config, await this.#open(), id, options);
  }

  /** Finishes a restore by hand that was interrupted; `null` where there is none. */
  async resumeRestore(
    options: Pick<RestoreOptions, 'events' | 'signal' | 'identities'> = {},
  ): Promise<{ readonly backup: string; readonly report: RestoreReport } | null> {
    const { resumeRestore, unfinishedRestore } = await import('./session/restores.ts');
    if ((await unfinishedRestore(this.config)) === null) return null;
    return resumeRestore(this.config, await this.#open(), options);
  }

  async exportBackup(id: string, file: string, options: KeyOptions = {}): Promise<BackupRecord> {
    const { exportBackup } = await import('./session/backups.ts');
    return exportBackup(this.config, await this.#open(), id, file, options);
  }

  /** Takes in a file that `exportBackup` made, on whichever host. Throws BACKUP_CORRUPT, BACKUP_ENCRYPTED, BACKUP_IMPORT_EXISTS, BACKUP_IMPORT_FOREIGN; then nothing was written. */
  async importBackup(file: string, options: KeyOptions = {}): Promise<BackupRecord> {
    const { importBackup } = await import('./session/backups.ts');
    return importBackup(this.config, await this.#open(), file, options);
  }

  async #session(entry: RunEntry, signal: AbortSignal | undefined): Promise<ResultDocument> {
    const [{ runSession }, { withTotalTimeout }, adapters] = await Promise.all([
      import('./session/run-session.ts'),
      import('./session/total-timeout.ts'),
      this.#open(),
    ]);
    const result = await this.#traced(async () =>
      withTotalTimeout(this.config.timeouts.totalMs, signal, (limited) =>
        runSession({
          ...entry,
          config: this.config,
          adapters,
          signal: limited,
          ...(this.#askAboutDrift === null ? {} : { askAboutDrift: this.#askAboutDrift }),
          listeners: [(event) => void this.#emitter.emit('event', event)],
        }),
      ),
    );
    return this.#told(result, signal);
  }

  /** Lets whoever collects spans hear the run. */
  async #traced(work: () => Promise<ResultDocument>): Promise<ResultDocument> {
    const { env = process.env } = this.#options;
    const isWanted = Symbol.for('opentelemetry.js.api.1') in globalThis || Object.keys(env).some((name) => name.startsWith('OTEL_'));
    if (!isWanted) return work();
    const [{ startTracing }, { createScrubber }] = await Promise.all([import('./session/tracing.ts'), import('./report/scrub.ts')]);
    const tracing = await startTracing(env, createScrubber(this.config.secrets));
    if (tracing === null) return work();
    this.on('event', tracing.onEvent);
    try {
      const result = await work();
      const problem = await tracing.finish();
      return problem === null
        ? result
        : { ...result, warnings: [...result.warnings, `The spans of the run could not be sent: ${problem}.`] };
    } catch (error) {
      // The run's own error counts for more than what became of its spans.
      await tracing.finish();
      throw error;
    } finally {
      this.off('event', tracing.onEvent);
    }
  }

  /** The run is over and recorded, and so are the messages about it: whoever is not told now is told by whoever comes next. */
  async #told(result: ResultDocument, signal: AbortSignal | undefined): Promise<ResultDocument> {
    const { notify, metrics } = this.config;
    const problems: (readonly Failure[])[] = [];
    if (metrics.textfile !== null && result.runId !== null) {
      const { writeMetrics } = await import('./session/metrics.ts');
      problems.push(await writeMetrics(this.config, metrics.textfile).then(() => [], failuresOf));
    }
    if (notify.length > 0) {
      const options = { budgetMs: tellWithinMs, ...(signal === undefined ? {} : { signal }) };
      problems.push(await this.deliverMessages(options).then((delivery) => delivery.failures, failuresOf));
    }
    const warnings = problems.flat().map(({ message, hint }) => `${message} ${hint}`);
    return warnings.length === 0 ? result : { ...result, warnings: [...result.warnings, ...warnings] };
  }

  // What a command does not use it does not load: `status` is asked often, and by scripts that wait for it.
  #open(): Promise<ReadingPorts> {
    this.#adapters ??= import('./session/adapters.ts').then(({ createAdapters }) => createAdapters(this.config));
    return this.#adapters;
  }
}
