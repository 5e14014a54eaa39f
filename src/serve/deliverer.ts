// Tells, while the server runs, whoever could not be told when a run ended. Promises that this is all that the server ever writes.
import type { Observer, UpdateManager } from '../update-manager.ts';

const everyMs = 2_000;

/** Gives the way to end it. */
export function startDeliverer(manager: UpdateManager, observer: Observer, onProblem: (error: unknown) => void): () => Promise<void> {
  const stopping = new AbortController();
  let mark: string | null = null;
  let nextAt: string | null = null;
  let timer: NodeJS.Timeout | null = null;
  let going = Promise.resolve();
  let hasProblem = false;

  const look = async (): Promise<void> => {
    try {
      const { text, isSettled } = await observer.mark();
      const isDue = nextAt !== null && Date.parse(nextAt) <= Date.now();
      // The outbox is opened when something has been written, or waits: not all the time.
      if (text !== mark || isDue) {
        const delivery = await manager.deliverMessages({ budgetMs: 0, signal: stopping.signal });
        nextAt = delivery.nextAt;
        mark = isSettled && delivery.sent === 0 && delivery.failures.length === 0 ? text : null;
      }
      hasProblem = false;
    } catch (error) {
      if (!hasProblem) onProblem(error);
      hasProblem = true;
    }
    if (!stopping.signal.aborted) timer = setTimeout(next, everyMs).unref();
  };
  const next = (): void => void (going = look());
  if (manager.config.notify.length > 0) next();
  return async () => {
    stopping.abort();
    if (timer !== null) clearTimeout(timer);
    await going;
  };
}
