// What a process holds while it works on a run: the lock, the open journal, the step host. Promises that closing lets go of all of it,
// whatever of it fails to close.
import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { acquireLock } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import type { Journal, Ports } from '../model/ports.ts';
import type { EventBus } from '../report/event-bus.ts';
import { createRunLog } from '../report/run-log.ts';
import { createScrubber } from '../report/scrub.ts';
import { createStepExecutor } from '../steps/executor.ts';
import type { ReadingPorts } from './adapters.ts';
import { openJournalToWrite } from './journals.ts';
import { heldBy } from './lock-holder.ts';

export interface HeldRun {
  readonly journal: Journal;
  readonly ports: Ports;
  close(): Promise<void>;
}

// How long an event may wait before those who follow the run from another process can read it.
const flushEveryMs = 100;

/** Throws LOCK_HELD with the holder, JOURNAL_…; nothing is held then. */
export async function holdRun(config: Config, adapters: ReadingPorts, bus: EventBus, runId: string): Promise<HeldRun> {
  const lock = await acquireLock(config.state, { pid: process.pid, host: os.hostname(), since: adapters.clock.now() });
  if ('holder' in lock) throw await heldBy(config, lock.holder);
  let journal: Journal | null = null;
  try {
    journal = openJournalToWrite(config);
    const dir = runDir(config, runId);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const scrub = createScrubber(config.secrets);
    const steps = createStepExecutor({ config, lockFd: lock.fd, events: bus, scrub, clock: adapters.clock });
    const log = createRunLog({ dir, scrub });
    const unsubscribe = bus.subscribe(log);
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
          await opened.close().finally(lock.release);
          unsubscribe();
        }
      },
    };
  } catch (error) {
    await journal?.close();
    lock.release();
    throw error;
  }
}

export function runDir(config: Pick<Config, 'state'>, runId: string): string {
  return path.join(config.state, 'runs', runId);
}
