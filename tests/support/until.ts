// Waits for something to become so, by asking often; throws when it is not so by the deadline.
import { setTimeout as sleep } from 'node:timers/promises';

export async function until<T>(
  what: string,
  ask: () => T | null | Promise<T | null>,
  { withinMs = 60_000, everyMs = 25 } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await sleep(everyMs);
  }
}
