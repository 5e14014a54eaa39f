// Stamps what the phases tell with number, time and run, hands it to the journal, and then to everybody who listens.
import type { EventBody, UpgradeEvent } from '../model/event.ts';
import { messageOf } from '../model/failure.ts';
import type { EventSink } from '../model/ports.ts';
import type { Scrub } from './reporter.ts';
import { scrubValue } from './scrub.ts';

export interface EventBusOptions {
  readonly runId: string;
  /** ISO 8601. */
  readonly now: () => string;
  /** The journal's; gets every event but the transient ones. What it throws goes to whoever emits. */
  readonly append: (event: UpgradeEvent) => void;
  /** The number of the first event that is kept: one more than the last one in the journal. */
  readonly firstSeq?: number;
  readonly scrub?: Scrub;
  /** Hears, once for each, of a listener that throws. By default it is written to stderr. */
  readonly warn?: (message: string) => void;
}

export interface EventBus extends EventSink {
  /** Gives the way to stop listening. */
  subscribe(listener: (event: UpgradeEvent) => void): () => void;
}

export function createEventBus({ runId, now, append, firstSeq = 1, scrub, warn = toStderr }: EventBusOptions): EventBus {
  const listeners = new Set<(event: UpgradeEvent) => void>();
  const broken = new Set<(event: UpgradeEvent) => void>();
  const waiting: UpgradeEvent[] = [];
  let seq = firstSeq - 1;
  let isDelivering = false;

  function deliver(event: UpgradeEvent): void {
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        if (broken.has(listener)) continue;
        broken.add(listener);
        warn(`A listener for events failed at "${event.type}" and may miss more: ${messageOf(error)}`);
      }
    }
  }

  return {
    emit(body: EventBody) {
      const isKept = !('transient' in body);
      if (isKept) seq += 1;
      const event: UpgradeEvent = { ...(scrub === undefined ? body : scrubValue(body, scrub)), seq, at: now(), runId };
      if (isKept) append(event);
      waiting.push(event);
      // A listener that emits must not make the others hear the second event before the first.
      if (isDelivering) return;
      isDelivering = true;
      try {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) deliver(next);
      } finally {
        isDelivering = false;
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function toStderr(message: string): void {
  process.stderr.write(`warning: ${message}\n`);
}
