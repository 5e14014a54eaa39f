// Ends a process group: SIGTERM, some time to obey, SIGKILL. Promises to come back, also for a process that the kernel does not let go.
import { setTimeout as sleep } from 'node:timers/promises';

const graceMs = 2_000;
const lastMs = 5_000;

/** `leaderExited` settles when the group's first process has been waited for. */
export async function endGroup(group: number, leaderExited: Promise<unknown>): Promise<void> {
  signalGroup(group, 'SIGTERM');
  const deadline = performance.now() + graceMs;
  while (isGroupAlive(group) && performance.now() < deadline) await sleep(20);
  signalGroup(group, 'SIGKILL');
  await Promise.race([leaderExited, sleep(lastMs)]);
}

function isGroupAlive(group: number): boolean {
  return signalGroup(group, 0);
}

function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    // ESRCH: it is gone. EPERM: all that is left of it belongs to somebody else, whom we may not and need not end.
    return false;
  }
}
