// The system's clocks behind the port: wall time for people, monotonic time for every deadline and duration.
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from './model/ports.ts';

export const systemClock: Clock = {
  now: () => new Date().toISOString(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await wait(ms, undefined, signal === undefined ? {} : { signal });
  },
};
