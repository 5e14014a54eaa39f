// What a wait ends with when the run is asked to stop: the reason that was given, so that one cancelled run has one failure everywhere.
import { failure, UpgradeError } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';

export function cancelled(signal: AbortSignal | undefined): Failure {
  const reason: unknown = signal?.reason;
  const [given] = reason instanceof UpgradeError ? reason.failures : [];
  return given ?? failure('CANCELLED', { signal: typeof reason === 'string' ? reason : 'the caller' });
}
