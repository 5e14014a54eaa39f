// Watches a running step: its time, its memory, and the run's wish to stop. Promises that the step's processes end, gently first where that is possible.
import { memoryOf, residentBytes, signalStep } from './processes.ts';
import type { Mark } from './processes.ts';

export type EndReason = 'timeout' | 'cancelled' | 'memory';

export interface GuardRequest {
  /** Leader of the step's process group. */
  readonly pid: number;
  readonly mark: () => Mark;
  /** Since `restartClock`, in milliseconds. */
  readonly timeoutMs: () => number;
  readonly memoryBytes: () => number | null;
  /** `false`: nothing that runs there can start a process, as SQL cannot. */
  readonly mayHaveChildren?: boolean;
  readonly signal: AbortSignal;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** Before SIGTERM: to tell the step in other ways. */
  readonly onEnd: (reason: EndReason) => void;
}

export interface Guard {
  /** Why it was ended, if it was. */
  readonly reason: () => EndReason | null;
  /** The next step of a batch has begun. */
  readonly restartClock: () => void;
  /** After the step has ended. Kills what is left of a step that was ended by force. */
  readonly stop: () => void;
}

const tickMs = 100;
/** Looking at all processes costs milliseconds, so the whole step is weighed more rarely than its leader. */
const ticksPerWeighing = 5;

export function guardStep(request: GuardRequest): Guard {
  let reason: EndReason | null = null;
  let startedAt = performance.now();
  let killTimer: NodeJS.Timeout | undefined;
  let ticks = 0;

  const kill = (): void => {
    signalStep(request.pid, request.mark(), 'SIGKILL');
    // Who forks faster than it is killed, or was just between the two looks, is caught by the next.
    killTimer = setTimeout(kill, 250);
  };
  const end = (why: EndReason): void => {
    if (reason !== null) return;
    reason = why;
    request.onEnd(why);
    if (why === 'memory') return kill();
    signalStep(request.pid, request.mark(), 'SIGTERM');
    killTimer = setTimeout(kill, request.graceMs);
  };
  const tick = (): void => {
    if (performance.now() - startedAt >= request.timeoutMs()) return end('timeout');
    const limit = request.memoryBytes();
    if (limit === null || reason !== null) return;
    ticks += 1;
    const weighsAll = request.mayHaveChildren !== false && ticks % ticksPerWeighing === 0;
    const used = weighsAll ? memoryOf(request.pid, request.mark()) : residentBytes(request.pid);
    if (used > limit) end('memory');
  };
  const cancel = (): void => end('cancelled');

  const ticker = setInterval(tick, Math.min(tickMs, Math.max(5, request.timeoutMs() / 4)));
  request.signal.addEventListener('abort', cancel, { once: true });
  if (request.signal.aborted) cancel();
  return {
    reason: () => reason,
    restartClock: () => {
      startedAt = performance.now();
    },
    stop: () => {
      clearInterval(ticker);
      clearTimeout(killTimer);
      request.signal.removeEventListener('abort', cancel);
      if (reason !== null) signalStep(request.pid, request.mark(), 'SIGKILL');
    },
  };
}
