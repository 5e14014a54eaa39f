// The real clock, as a port.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../src/model/ports.ts';

export const clock: Clock = {
  now: () => new Date().toISOString(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
};
