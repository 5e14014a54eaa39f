// One process's work on one run: lets the machine go through the phases, and records how it ended.
// Promises a result document for every end that is decided; a run that had to stop undecided stays unfinished, and the reason is thrown.
import { dropKept } from '../../phases/images.ts';
import { runMachine } from '../machine/run-machine.ts';
import type { PreflightVerdict, UpgradeInput } from '../machine/upgrade.machine.ts';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import { fail, failuresOf, UpgradeError, type Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { AskAboutDrift, Journal } from '../model/ports.ts';
import type { Outcome, ResultDocument } from '../model/run.ts';
import type { Version } from '../model/version.ts';
import { createEventBus, type EventBus } from '../report/event-bus.ts';
import { createScrubber, scrubValue } from '../report/scrub.ts';
import { appliedPart } from '../plan/remaining.ts';
import type { ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';
import { holdRun, runDir, type HeldRun } from './held-run.ts';
import { messagesFor } from './messages.ts';
import { phaseActors } from './phase-actors.ts';
import { pruneBackups } from './prune-backups.ts';
import { pruneRunFiles } from './prune-runs.ts';
import { createResultBuilder } from './result.ts';
import type { HeldLock } from './take-lock.ts';

/** Takes the lock and opens the journal; called once, by the preflight, when nothing speaks against the run. */
export type Hold = () => Promise<Journal>;

export interface RunRequest {
  readonly config: Config;
  readonly adapters: ReadingPorts;
  readonly plan: Plan;
  readonly runId: string;
  readonly input: UpgradeInput;
  readonly canTurnBack: boolean;
  readonly askAboutDrift?: AskAboutDrift;
  /** Taken by the caller, who lets go of it afterwards too: the run may end before it begins. */
  readonly lock?: HeldLock;
  readonly signal: AbortSignal;
  readonly listeners: readonly ((event: UpgradeEvent) => void)[];
  /** Everything up to the run's record in the journal; for a resumed run, its taking up. */
  readonly prepare: (hold: Hold, events: EventBus) => Promise<PreflightVerdict & { readonly isTriedTooOften?: boolean }>;
}

export async function runSession(request: RunRequest): Promise<ResultDocument> {
  const { config, adapters, plan, runId, input } = request;
  const startedAt = adapters.clock.monotonic();
  const scrub = config.secrets.length === 0 ? null : createScrubber(config.secrets);
  const result = createResultBuilder();
  const earlier = await readJournal(config, async (journal) => (await journal?.events(runId)) ?? []);
  for (const event of earlier) result.onEvent(event);

  const failures: Failure[] = [];
  let held: HeldRun | null = null;
  const beforeTheJournal: UpgradeEvent[] = [];
  const bus = createEventBus({
    runId,
    now: adapters.clock.now,
    append: (event) => {
      if (held === null) beforeTheJournal.push(event);
      else held.journal.appendEvent(event);
    },
    firstSeq: (earlier.at(-1)?.seq ?? 0) + 1,
    ...(scrub === null ? {} : { scrub }),
  });
  for (const listener of [result.onEvent, ...request.listeners]) bus.subscribe(listener);

  const hold: Hold = async () => {
    const holding = await holdRun(config, adapters, bus, runId, request.lock === undefined ? {} : { held: request.lock });
    held = holding;
    for (const event of beforeTheJournal.splice(0)) holding.journal.appendEvent(event);
    return holding.journal;
  };
  const opened = (): HeldRun => {
    if (held === null) throw fail('INTERNAL', { error: 'a phase began without the lock' });
    return held;
  };

  try {
    const taken = input.entry === 'resumed' ? await request.prepare(hold, bus) : null;
    const output = await runMachine({
      input: { ...input, isTriedTooOften: taken?.isTriedTooOften ?? input.isTriedTooOften },
      onFailures: (_, problems) => failures.push(...problems),
      phases: phaseActors({
        run: {
          id: runId,
          plan,
          config,
          signal: request.signal,
          dir: runDir(config, runId),
          ...(request.askAboutDrift === undefined ? {} : { askAboutDrift: request.askAboutDrift }),
        },
        events: bus,
        clock: adapters.clock,
        ports: () => opened().ports,
        preflight: () => request.prepare(hold, bus),
        canTurnBack: request.canTurnBack,
      }),
    });
    if (output.outcome === null) throw new UpgradeError(failures);
    return await conclude(output.outcome, output.rollbackFailure);
  } finally {
    // TypeScript does not see that `hold` assigns it.
    const holding = held as HeldRun | null;
    // What was decided stands: a story that cannot be written to its end does not undo it, nor hide why the run had to stop.
    await holding?.close().catch((error: unknown) => {
      for (const { message } of failuresOf(error)) bus.emit({ type: 'warning', message });
    });
  }

  async function conclude(outcome: Outcome, rollbackFailure: Failure | null): Promise<ResultDocument> {
    const journal = held?.journal ?? null;
    const isRecorded = journal !== null && (await journal.run(runId)) !== null;
    const version = await versionNow();
    const steps = isRecorded ? await journal.stepRecords(runId) : [];
    const causes = input.failure === null ? failures : [input.failure, ...failures];
    const document = result.document({
      outcome,
      runId: isRecorded ? runId : null,
      product: config.product,
      plan,
      version,
      durationMs: adapters.clock.monotonic() - startedAt,
      // A rollback that failed is what somebody has to see to; its cause comes after it.
      failures:
        outcome === 'committed'
          ? []
          : rollbackFailure === null
            ? causes
            : [rollbackFailure, ...causes.filter((cause) => cause !== rollbackFailure)],
      steps,
    });
    const told = scrub === null ? document : scrubValue(document, scrub);
    bus.emit({ type: 'run-finished', outcome, result: told });
    if (!isRecorded) {
      if (journal !== null) await removeKept(journal);
      return told;
    }
    await journal.finishRun(
      runId,
      outcome,
      told,
      outcome === 'committed' ? plan : outcome === 'stopped' ? appliedPart(plan, steps) : undefined,
      messagesFor(config, runId, told, adapters.clock),
    );
    // The commit is durable: nobody will need what was kept for going back.
    await removeKept(journal);
    await prune(journal);
    return told;
  }

  async function removeKept(journal: Journal): Promise<void> {
    for (const { message } of await dropKept({ journal, images: adapters.images }))
      bus.emit({ type: 'warning', message: `An old container could not be removed: ${message}` });
  }

  async function versionNow(): Promise<Version | null> {
    try {
      return await adapters.installation.readVersion();
    } catch (error) {
      failures.push(...failuresOf(error));
      return null;
    }
  }

  /** Old backups and old runs' files beyond `keep`. One that cannot be deleted does not undo a run that came to its end. */
  async function prune(journal: Journal): Promise<void> {
    try {
      for (const id of await pruneBackups(config, adapters, journal, runId)) bus.emit({ type: 'backup-pruned', id });
      await pruneRunFiles(config, journal);
    } catch (error) {
      for (const { message } of failuresOf(error)) bus.emit({ type: 'warning', message });
    }
  }
}
