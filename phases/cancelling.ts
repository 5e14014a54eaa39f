// A run that is asked to stop settles first: a phase calls this between its effects, and rejects like for any other failure.
import { failure, UpgradeError, type Failure } from '../src/model/failure.ts';

export function checkNotCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new UpgradeError([cancellation(signal)]);
}

/** Why the signal was aborted, as a failure. Whoever aborts may give a failure as the reason. */
export function cancellation(signal: AbortSignal): Failure {
  const { reason } = signal;
  if (reason instanceof UpgradeError && reason.failures[0] !== undefined) return reason.failures[0];
  return failure('CANCELLED', { signal: typeof reason === 'string' ? reason : 'the caller' });
}
