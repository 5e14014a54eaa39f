// One client who follows: sends him what is kept from where he stands, and between that what passes. Promises that nothing piles up for a client that
// reads slowly (what passes is left out, what is kept waits in the journal), and that one who takes nothing for a minute is let go.
import type { ServerResponse } from 'node:http';
import type { Feed, Passing, RunFeed } from './feed.ts';

export interface Place {
  readonly runId: string;
  readonly seq: number;
}

const heartbeatMs = 15_000;
const stuckAfterMs = 60_000;
const chunkBytes = 64 * 1024;

/** `from`: where the client stood; `null`: it knows all of the current run that there is. */
export async function stream(response: ServerResponse, feed: Feed, from: Place | null): Promise<() => void> {
  if (from === null) await feed.fresh();
  let run: RunFeed | null = from === null ? feed.current() : await feed.after(from.runId, from.seq);
  let next = run === null ? 0 : from === null ? run.frames.length : run.frames.findIndex(({ seq }) => seq > from.seq);
  if (run !== null && next < 0) next = run.frames.length;
  let isFull = false;
  let isEnded = false;
  let takenAt = performance.now();
  let missed: Pick<Passing, 'status' | 'progress'> = { status: null, progress: null };

  const write = (text: string): void => {
    if (!isEnded && !response.write(text)) isFull = true;
  };
  // Events as many as the socket takes; the rest when it has room again.
  const pump = (): void => {
    while (!isFull && !isEnded) {
      const current = feed.current();
      if (run === null || (next >= run.frames.length && current !== null && current.runId !== run.runId)) {
        if (current === null) return;
        if (run !== null || next > 0) next = 0;
        run = current;
      }
      let chunk = '';
      while (next < run.frames.length && chunk.length < chunkBytes) chunk += run.frames[next++]?.text ?? '';
      if (chunk === '') return;
      write(chunk);
    }
  };
  const pass = ({ status, progress, output }: Passing): void => {
    pump();
    if (isFull) missed = { status: status ?? missed.status, progress: progress ?? missed.progress };
    else {
      const text = `${status ?? ''}${progress ?? ''}${output ?? ''}`;
      if (text !== '') write(text);
    }
  };
  const end = (): void => {
    if (isEnded) return;
    isEnded = true;
    clearInterval(beat);
    unsubscribe();
    response.end();
  };
  const beat = setInterval(() => {
    if (!isFull) return write(': still here\n\n');
    if (performance.now() - takenAt > stuckAfterMs) {
      end();
      response.destroy();
    }
  }, heartbeatMs).unref();

  response.on('drain', () => {
    isFull = false;
    takenAt = performance.now();
    pump();
    if (isFull) return;
    const { status, progress } = missed;
    missed = { status: null, progress: null };
    if (status !== null || progress !== null) pass({ status, progress, output: null });
  });
  response.on('close', end);
  const unsubscribe = feed.subscribe(pass);
  // Whoever comes while nothing happens is told how things stand; a proxy in between sees that it has begun.
  write('retry: 1000\n: welcome\n\n');
  pass(feed.now());
  return end;
}
