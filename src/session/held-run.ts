// What a process holds while it works on a run: the lock, the open journal, the step host. Promises that closing lets go of all of it,
// whatever of it fails to close.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { Journal, Ports } from '../model/ports.ts';
import type { EventBus } from '../report/event-bus.ts';
import { createLiveProgress } from '../report/live-progress.ts';
import { createRunLog } from '../report/run-log.ts';
import { createScrubber } from '../report/scrub.ts';
import { createStepExecutor } from '../steps/executor.ts';
import type { ReadingPorts } from './adapters.ts';
import { openJournalToWrite } from './journals.ts';
import { guardSteps, stepsElsewhere, tellElsewhere } from './steps-elsewhere.ts';
import { takeLock, type HeldLock, type WaitForLock } from './take-lock.ts';

export interface HeldRun {
  readonly journal: Journal;
  readonly ports: Ports;
  close(): Promise<void>;
}

// How long an event may wait before those who follow the run from another process can read it.
const flushEveryMs = 100;

/**
 * Throws LOCK_HELD with the holder (after `waitMs`), JOURNAL_…, POSTGRES_…, and CANCELLED when the signal ends the waiting; nothing is held then.
 * `held`: a lock that was taken before; it is let go of with the run, and where this throws.
 * Where hosts share the journal, a run whose lock is lost ends its steps at once, and its next write fails with JOURNAL_LOST_LOCK.
 */
export async function holdRun(
  config: Config,
  adapters: ReadingPorts,
  bus: EventBus,
  runId: string,
  { held, ...wait }: WaitForLock & { readonly held?: HeldLock } = {},
): Promise<HeldRun> {
  const lock = held ?? (await takeLock(config, adapters.clock, wait));
  let journal: Journal | null = null;
  try {
    journal = await openJournalToWrite(config, lock);
    const elsewhere = stepsElsewhere(await journal.stepRecords(runId));
    const dir = runDir(config, runId);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const scrub = createScrubber(config.secrets);
    const executor = createStepExecutor({ config, lockFd: lock.fd, events: bus, scrub, clock: adapters.clock });
    const steps = guardSteps(executor, lock.host?.lost ?? null, elsewhere);
    const log = createRunLog({ dir, scrub, warn: (message) => bus.emit({ type: 'warning', message }) });
    const unsubscribe = [log, createLiveProgress({ dir, scrub })].map((listener) => bus.subscribe(listener));
    tellElsewhere(bus, elsewhere);
    const opened = journal;
    // Where it cannot be written, the next intent or outcome meets the same problem, and tells it: events decide nothing.
    const flushing = setInterval(() => void opened.flush().catch(() => undefined), flushEveryMs).unref();
    return {
      journal,
      ports: { ...adapters, journal, events: bus, steps },
      async close() {
        clearInterval(flushing);
        try {
          await steps.close();
        } finally {
          try {
            await opened.close();
          } finally {
            await lock.release();
          }
          for (const stop of unsubscribe) stop();
        }
      },
    };
  } catch (error) {
    await journal?.close();
    await lock.release();
    throw error;
  }
}

export function runDir(config: Pick<Config, 'state'>, runId: string): string {
  return path.join(config.state, 'runs', runId);
}
