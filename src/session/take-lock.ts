// The lock of an installation: the kernel's on this host and, where several hosts share a journal, the one between them as well. Promises that
// nobody works on an installation without all of it, and that letting go of it never fails.
import os from 'node:os';
import { cancellation } from '../../phases/cancelling.ts';
import type { HostLock } from '../lock/host-lock.ts';
import { acquireLock } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError } from '../model/failure.ts';
import type { Clock } from '../model/ports.ts';
import { currentHolder, holderFrom, journalTarget } from './journal-target.ts';
import { heldBy } from './lock-holder.ts';

export interface WaitForLock {
  /** How long to wait for whoever holds it; 0, the default: not at all. */
  readonly waitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

export interface HeldLock {
  /** For steps to inherit: it is held as long as any of them lives. */
  readonly fd: number;
  /** `null`: an installation of this host alone. */
  readonly host: HostLock | null;
  release(): Promise<void>;
}

/** Throws LOCK_HELD with the holder, LOCK_UNAVAILABLE, CANCELLED, POSTGRES_UNREACHABLE, POSTGRES_POOLER; nothing is held then. */
export async function takeLock(config: Config, clock: Clock, wait: WaitForLock = {}): Promise<HeldLock> {
  try {
    return await take(config, clock, wait);
  } catch (error) {
    // However the waiting was ended: who asked for it is the cause.
    if (wait.signal?.aborted === true) throw new UpgradeError([cancellation(wait.signal)], { cause: error });
    throw error;
  }
}

async function take(config: Config, clock: Clock, wait: WaitForLock): Promise<HeldLock> {
  const { waitMs = 0, signal } = wait;
  const startedAt = clock.monotonic();
  const local = await acquireLock(config.state, { pid: process.pid, host: os.hostname(), since: clock.now() }, wait);
  // Of several on this host that wait for another one, the first holds the lock here: the other one is who is waited for.
  if ('holder' in local) throw await heldBy(config, (await currentHolder(config)) ?? local.holder);
  try {
    const host = await takeHostLock(config, Math.max(0, waitMs - (clock.monotonic() - startedAt)), signal);
    return {
      fd: local.fd,
      host,
      async release() {
        try {
          await host?.release();
        } finally {
          local.release();
        }
      },
    };
  } catch (error) {
    local.release();
    throw error;
  }
}

async function takeHostLock(config: Config, waitMs: number, signal: AbortSignal | undefined): Promise<HostLock | null> {
  const target = journalTarget(config);
  if (target === null) return null;
  const { acquireHostLock } = await import('../lock/host-lock.ts');
  const who = { host: os.hostname(), pid: process.pid };
  const taken = await acquireHostLock(target, who, { waitMs, ...(signal === undefined ? {} : { signal }) });
  if ('holder' in taken) throw await heldBy(config, holderFrom(taken.holder));
  return taken;
}
