// Where the journal of several hosts is, and who holds the lock between them.
import type { HostLockHolder, HostLockTarget } from '../lock/host-lock.ts';
import { lockHolder, type LockHolder } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';

// Where no database of the config is the same server: long enough for one that restarts, short enough for whoever asks for the status.
const attempts = 5;
const backoffMs = 100;

export interface Holder extends LockHolder {
  /** `undefined`: the journal of the unfinished run tells. */
  readonly phase?: string | null;
  /** When the holder was last heard of, by the server's clock. */
  readonly heartbeatAt?: string | null;
}

/** `null`: the journal lies in the state folder. The product's name is what all hosts of an installation have in common. */
export function journalTarget({ journal, databases, product }: Pick<Config, 'journal' | 'databases' | 'product'>): HostLockTarget | null {
  if (journal.kind === 'sqlite') return null;
  const same = Object.values(databases).find((database) => database.kind === 'postgres' && database.url === journal.url);
  const patience = same?.kind === 'postgres' ? { attempts: same.attempts, backoffMs: same.backoffMs } : { attempts, backoffMs };
  return { url: journal.url, installation: product, ...patience };
}

/** Who works on the installation now, on whichever host; `null`: nobody. Takes nothing and writes nothing. Throws POSTGRES_UNREACHABLE. */
export async function currentHolder(config: Config): Promise<Holder | null> {
  const target = journalTarget(config);
  if (target !== null) {
    const { hostLockHolder } = await import('../lock/host-lock.ts');
    const holder = await hostLockHolder(target);
    if (holder !== null) return holderFrom(holder);
  }
  // Also a step of ours that outlived its orchestrator: the lock between hosts died with that one.
  return lockHolder(config.state);
}

export function holderFrom({ host, pid, since, heartbeatAt, phase }: HostLockHolder): Holder {
  return { host, pid, since, heartbeatAt, phase, command: null, step: null, processes: [] };
}
