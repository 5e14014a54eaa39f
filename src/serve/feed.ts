// What happens, for all who follow at once: the journal is looked at once however many there are, and each reads on from where he stands. Promises
// that who comes back after a pause misses no event that is kept, and that one who reads slowly costs nothing but his own socket.
import type { UpgradeEvent } from '../model/event.ts';
import type { LiveProgress } from '../model/live-progress.ts';
import type { Scrub } from '../report/reporter.ts';
import { scrubValue } from '../report/scrub.ts';
import type { Observer } from '../update-manager.ts';
import type { Answers } from './answers.ts';
import type { LogTail } from './log-tail.ts';

/** The events of one run as they are sent. */
export interface RunFeed {
  readonly runId: string;
  readonly frames: readonly { readonly seq: number; readonly text: string }[];
}

/** What is not kept: only the last of each is worth sending. */
export interface Passing {
  readonly status: string | null;
  readonly progress: string | null;
  /** Lines of output since the last look. */
  readonly output: string | null;
}

export interface Feed {
  /** `listener` hears after every look that found something. Looking ends with the last listener. */
  subscribe(listener: (passing: Passing) => void): () => void;
  /** Resolves once `current` is not of some time ago. */
  fresh(): Promise<void>;
  current(): RunFeed | null;
  /** What a new one is told first. */
  now(): Passing;
  /** The events of any run, after one of them. */
  after(runId: string, seq: number): Promise<RunFeed>;
  close(): void;
}

export interface FeedOptions {
  readonly observer: Observer;
  readonly answers: Answers;
  readonly status: () => Promise<unknown>;
  readonly logTail: (runId: string) => LogTail;
  readonly clean: Scrub;
  readonly onProblem: (error: unknown) => void;
}

const everyMs = 100;
// What is outside of the journal (a version file, the lock) is looked at less often.
const statusEveryMs = 1_000;

export function createFeed({ observer, answers, status, logTail, clean, onProblem }: FeedOptions): Feed {
  const listeners = new Set<(passing: Passing) => void>();
  let current: { readonly runId: string; readonly frames: { seq: number; text: string }[] } | null = null;
  let tail: LogTail | null = null;
  let mark = '';
  let statusText = '';
  let statusAt = -Infinity;
  let progressAt: string | null = null;
  let isLive = false;
  let last: Passing = { status: null, progress: null, output: null };
  let timer: NodeJS.Timeout | null = null;
  let hasProblem = false;
  let going: Promise<void> | null = null;

  async function look(): Promise<Passing> {
    const found = await observer.mark();
    const isChanged = found.text !== mark || !found.isSettled;
    let output: readonly string[] = [];
    if (isChanged) {
      const run = await observer.latestRun();
      isLive = run !== null && run.outcome === null;
      if (run !== null && run.id !== current?.runId) {
        current = { runId: run.id, frames: [] };
        tail = logTail(run.id);
      }
      if (current !== null) {
        const events = await observer.events(current.runId, current.frames.at(-1)?.seq ?? 0);
        for (const event of events) current.frames.push({ seq: event.seq, text: eventFrame(event, clean) });
      }
      mark = found.isSettled ? found.text : '';
    }
    if (tail !== null && (isLive || isChanged)) output = tail.read();
    let nextStatus: string | null = null;
    if (isChanged || performance.now() - statusAt > statusEveryMs) {
      const { text } = await answers.get('status', status);
      statusAt = performance.now();
      if (text !== statusText) nextStatus = statusText = text;
    }
    const live = isLive && current !== null ? observer.progress(current.runId) : null;
    const hasMoved = (live?.at ?? null) !== progressAt;
    progressAt = live?.at ?? null;
    return {
      status: nextStatus === null ? null : frame('status', nextStatus),
      progress: hasMoved ? frame('progress', JSON.stringify(progressOf(current?.runId ?? null, live, clean))) : null,
      output: output.length === 0 ? null : frame('output', JSON.stringify({ runId: current?.runId, lines: output })),
    };
  }

  // One look at a time, whoever asks for it.
  function round(): Promise<void> {
    going ??= lookAndTell().finally(() => {
      going = null;
      timer = listeners.size === 0 ? null : setTimeout(() => void round(), everyMs);
    });
    return going;
  }

  async function lookAndTell(): Promise<void> {
    const before = current?.frames.length ?? 0;
    const beforeRun = current?.runId;
    try {
      const passing = await look();
      hasProblem = false;
      last = { status: passing.status ?? last.status, progress: passing.progress ?? last.progress, output: passing.output ?? last.output };
      const hasEvents = current !== null && (current.runId !== beforeRun || current.frames.length > before);
      if (hasEvents || passing.status !== null || passing.progress !== null || passing.output !== null) {
        for (const listener of listeners) listener(passing);
      }
    } catch (error) {
      // A server that restarts, a journal that is being made: told once, and looked at again.
      if (!hasProblem) onProblem(error);
      hasProblem = true;
    }
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      if (timer === null && going === null) timer = setTimeout(() => void round(), 0);
      return () => listeners.delete(listener);
    },
    // While nobody follows, nobody looks.
    fresh: async () => (listeners.size === 0 ? round() : undefined),
    current: () => current,
    now: () => last,
    async after(runId, seq) {
      if (current?.runId === runId) return current;
      const events = await observer.events(runId, seq);
      return { runId, frames: events.map((event) => ({ seq: event.seq, text: eventFrame(event, clean) })) };
    },
    close() {
      listeners.clear();
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** The id is what a client gives back to go on: the run and the number of the event in it. */
function eventFrame(event: UpgradeEvent, clean: Scrub): string {
  return `id: ${event.runId}:${event.seq}\nevent: run\ndata: ${JSON.stringify(scrubValue(event, clean))}\n\n`;
}

function frame(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}

function progressOf(runId: string | null, live: LiveProgress | null, clean: Scrub): unknown {
  return scrubValue({ runId, progress: live }, clean);
}
