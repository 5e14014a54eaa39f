// The caller's signal and `timeouts.total` as one signal; aborted with a failure that says which it was.
import { fail } from '../model/failure.ts';

export async function withTotalTimeout<T>(
  totalMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const pass = (): void => controller.abort(signal?.reason);
  if (signal?.aborted === true) pass();
  signal?.addEventListener('abort', pass, { once: true });
  const timer = setTimeout(
    () => controller.abort(fail('RUN_TIMED_OUT', { limit: `${Math.round(totalMs / 1000)} s` })),
    Math.min(totalMs, 2 ** 31 - 1),
  );
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', pass);
  }
}
