// The events of a run out of the journal, from any process: those that are there, then those that come, until the run is over.
import { existsSync } from 'node:fs';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import { fail } from '../model/failure.ts';
import type { Clock } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';

export interface FollowRequest {
  /** The latest run where it is left out. */
  readonly runId?: string;
  /** Only events after this sequence number. */
  readonly afterSeq?: number;
  readonly signal?: AbortSignal;
  /** How long a run that was just started may take to appear. */
  readonly appearWithinMs?: number;
}

const pollMs = 100;
// Each look at a server is a session of its own.
const pollServerMs = 300;
// A run without a holder is over, or was killed; it gets this many looks to write its last events.
const looksAfterHolder = 3;

/** The last event is `run-finished`. Throws RUN_UNKNOWN, and RUN_UNFINISHED when nobody works on the run any more although it is not over. */
export async function* followRun(
  config: Config,
  clock: Clock,
  { runId, afterSeq = 0, signal, appearWithinMs = 0 }: FollowRequest,
): AsyncGenerator<UpgradeEvent> {
  const { id } = await existingRun(config, clock, runId, appearWithinMs);
  let seq = afterSeq;
  let looksLeft = looksAfterHolder;
  while (signal?.aborted !== true) {
    const { events, run } = await readJournal(config, async (journal) => {
      const record = (await journal?.run(id)) ?? null;
      return { events: (await journal?.events(id, seq)) ?? [], run: record };
    });
    if (run === null) throw fail('RUN_UNKNOWN', { id });
    const isOver = run.outcome !== null;
    const told = isOver ? upToTheEnd(events) : beforeTheEnd(events);
    for (const event of told) {
      seq = event.seq;
      yield event;
    }
    if (isOver) return;
    // Whoever tells something is alive.
    if (told.length > 0 || (await currentHolder(config)) !== null) looksLeft = looksAfterHolder;
    else looksLeft -= 1;
    if (looksLeft === 0) throw fail('RUN_UNFINISHED', run);
    await clock.sleep(config.journal.kind === 'postgres' ? pollServerMs : pollMs);
  }
}

/** A run that was stranded and taken up again has several ends. What comes after the last is housekeeping. */
function upToTheEnd(events: readonly UpgradeEvent[]): readonly UpgradeEvent[] {
  return events.slice(0, events.findLastIndex(({ type }) => type === 'run-finished') + 1);
}

/** The event is written before the outcome is: whoever hears of the end may rely on the record. */
function beforeTheEnd(events: readonly UpgradeEvent[]): readonly UpgradeEvent[] {
  const last = events.findLastIndex(({ type }) => type === 'run-finished');
  return last < events.length - 1 ? events : events.slice(0, last === -1 ? events.length : last);
}

async function existingRun(config: Config, clock: Clock, wanted: string | undefined, appearWithinMs: number): Promise<RunRecord> {
  const deadline = clock.monotonic() + appearWithinMs;
  for (;;) {
    const found =
      config.journal.kind === 'postgres' || existsSync(config.state)
        ? await readJournal(
            config,
            async (journal) => (wanted === undefined ? (await journal?.runs(1))?.[0] : await journal?.run(wanted)) ?? null,
          )
        : null;
    if (found !== null) return found;
    if (clock.monotonic() >= deadline) throw fail('RUN_UNKNOWN', { id: wanted ?? '(none was ever begun)' });
    await clock.sleep(pollMs);
  }
}
