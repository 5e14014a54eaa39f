// The events of a run out of the journal, from any process: those that are there, then those that come, until the run ends.
import { existsSync } from 'node:fs';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import { fail } from '../model/failure.ts';
import type { Clock } from '../model/ports.ts';
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

/** Ends after `run-finished`, or when nobody works on the run any more. Throws RUN_UNKNOWN. */
export async function* followRun(
  config: Config,
  clock: Clock,
  { runId, afterSeq = 0, signal, appearWithinMs = 0 }: FollowRequest,
): AsyncGenerator<UpgradeEvent> {
  const id = await existingRun(config, clock, runId, appearWithinMs);
  let seq = afterSeq;
  let looksLeft = looksAfterHolder;
  while (signal?.aborted !== true && looksLeft > 0) {
    const { events, isOver } = await readJournal(config, async (journal) => ({
      events: (await journal?.events(id, seq)) ?? [],
      isOver: ((await journal?.run(id))?.outcome ?? null) !== null,
    }));
    for (const event of events) {
      seq = event.seq;
      yield event;
      if (event.type === 'run-finished') return;
    }
    // Whoever tells something is alive.
    if (isOver || (events.length === 0 && (await currentHolder(config)) === null)) looksLeft -= 1;
    else looksLeft = looksAfterHolder;
    if (looksLeft > 0) await clock.sleep(config.journal.kind === 'postgres' ? pollServerMs : pollMs);
  }
}

async function existingRun(config: Config, clock: Clock, wanted: string | undefined, appearWithinMs: number): Promise<string> {
  const deadline = clock.monotonic() + appearWithinMs;
  for (;;) {
    const found =
      config.journal.kind === 'postgres' || existsSync(config.state)
        ? await readJournal(
            config,
            async (journal) => (wanted === undefined ? (await journal?.runs(1))?.[0] : await journal?.run(wanted)) ?? null,
          )
        : null;
    if (found !== null) return found.id;
    if (clock.monotonic() >= deadline) throw fail('RUN_UNKNOWN', { id: wanted ?? '(none was ever begun)' });
    await clock.sleep(pollMs);
  }
}
