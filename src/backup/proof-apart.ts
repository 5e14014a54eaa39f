// A proof in a thread of its own, so that whoever writes an archive need not wait for it to be read back.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Frame } from './frame-writer.ts';
import type { Proof } from './proof.ts';

export type Order =
  | { readonly do: 'prove'; readonly frames: readonly Frame[] }
  | { readonly do: 'mark' | 'digest' }
  | { readonly do: 'rewind'; readonly frames: number };
/** Orders are answered one after the other. */
export type Answer =
  | { readonly value: string }
  | { readonly problem: string; readonly code: string | undefined; readonly isTypeError: boolean };

interface Waiting {
  readonly resolve: (value: string) => void;
  readonly reject: (error: Error) => void;
}

/** Of the file that this descriptor of ours is open on: threads share them. */
export function createProofApart(descriptor: number): Proof {
  // All that it keeps are two buffers outside of its heap.
  const worker = new Worker(program(), { workerData: descriptor, resourceLimits: { maxYoungGenerationSizeMb: 2 } });
  // It ends with whoever waits for it, not the other way round.
  worker.unref();
  const waiting: Waiting[] = [];
  let gone: Error | null = null;
  const giveUp = (error: Error): void => {
    gone ??= error;
    for (const { reject } of waiting.splice(0)) reject(gone);
  };
  worker.on('message', (answer: Answer) => {
    const asker = waiting.shift();
    if (waiting.length === 0) worker.unref();
    if ('value' in answer) asker?.resolve(answer.value);
    else asker?.reject(errorOf(answer));
  });
  worker.on('error', (error) => giveUp(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => giveUp(new Error('the thread that reads back has ended')));
  const ask = (order: Order): Promise<string> =>
    new Promise((resolve, reject) => {
      if (gone !== null) return reject(gone);
      waiting.push({ resolve, reject });
      worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
      worker.postMessage(order);
    });
  const tell = async (order: Order): Promise<void> => void (await ask(order));
  return {
    prove: (frames) => tell({ do: 'prove', frames }),
    mark: () => tell({ do: 'mark' }),
    rewind: (frames) => tell({ do: 'rewind', frames }),
    digest: () => ask({ do: 'digest' }),
    close: async () => void (await worker.terminate()),
  };
}

function errorOf({ problem, code, isTypeError }: Extract<Answer, { readonly problem: string }>): Error {
  const error = isTypeError ? new TypeError(problem) : new Error(problem);
  return code === undefined ? error : Object.assign(error, { code });
}

/** Beside the bundle when installed, in the source tree while developing. */
function program(): string {
  const bundled = fileURLToPath(new URL('./proof-worker.js', import.meta.url));
  return existsSync(bundled) ? bundled : fileURLToPath(new URL('./proof-worker.ts', import.meta.url));
}
