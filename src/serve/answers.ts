// Answers that are kept as text until what they tell has changed. Given an observer, promises that one is never older than the last commit into the
// journal by more than 50 ms, nor than anything else it tells of by more than a second; and that a crowd that asks at once costs one look.
import { createHash } from 'node:crypto';
import type { Observer } from '../update-manager.ts';
import type { Scrub } from '../report/reporter.ts';
import { scrubValue } from '../report/scrub.ts';

export interface Answer {
  readonly text: string;
  readonly etag: string;
}

export interface Answers {
  /** `maxAgeMs`: how old what does not lie in the journal may be. What `make` throws is not kept. */
  get(key: string, make: () => Promise<unknown>, maxAgeMs?: number): Promise<Answer>;
}

interface Kept extends Answer {
  readonly mark: string;
  readonly isSettled: boolean;
  readonly madeAt: number;
}

// While a run writes all the time, not every commit is worth a new answer.
const shortestMs = 50;
const mostKept = 200;

export function createAnswers(observer: Pick<Observer, 'mark'>, clean: Scrub): Answers {
  const kept = new Map<string, Kept>();
  const waiting = new Map<string, Promise<Answer>>();

  async function make(key: string, body: () => Promise<unknown>): Promise<Answer> {
    // First the mark: what is written while the answer is made makes it an old one.
    const mark = await observer.mark();
    const madeAt = performance.now();
    const text = JSON.stringify(scrubValue(await body(), clean));
    const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
    kept.delete(key);
    kept.set(key, { text, etag, mark: mark.text, isSettled: mark.isSettled, madeAt });
    for (const oldest of kept.keys()) {
      if (kept.size <= mostKept) break;
      kept.delete(oldest);
    }
    return { text, etag };
  }

  return {
    async get(key, body, maxAgeMs = 1_000) {
      const known = kept.get(key);
      if (known !== undefined) {
        const age = performance.now() - known.madeAt;
        if (age < shortestMs) return known;
        if (age < maxAgeMs && known.isSettled && (await observer.mark()).text === known.mark) return known;
      }
      const going = waiting.get(key);
      if (going !== undefined) return going;
      const made = make(key, body).finally(() => waiting.delete(key));
      waiting.set(key, made);
      return made;
    },
  };
}
