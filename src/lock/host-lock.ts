// The lock between hosts: a session's advisory lock in PostgreSQL, and an epoch that every write to the journal checks. Given an installation,
// promises that one process of all hosts holds it; that one whose session was cut can write nothing more once another has taken it; and
// that a holder who loses it hears of it.
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { connectPostgres, serverOf, type PostgresTarget } from '../databases/postgres/connect.ts';
import { cutConnection, endConnection, isConnectionLost } from '../databases/postgres/connection-loss.ts';
import { failure, messageOf, UpgradeError } from '../model/failure.ts';
import { hasLockTable, makeLockTable } from './host-lock-schema.ts';
import { refusePooler } from './pooler.ts';

export interface HostLockTarget extends PostgresTarget {
  /** What the lock is for: the same on all hosts, another for each other installation in this database. */
  readonly installation: string;
}

export interface HostLock {
  /** Higher each time that the lock is taken. */
  readonly epoch: string;
  /** The backend that holds it. */
  readonly backend: number;
  /** Aborted when the lock is no longer ours; the reason is an UpgradeError with JOURNAL_LOST_LOCK. */
  readonly lost: AbortSignal;
  /** Never throws: what the server does not hear it sees by the end of the session. Safe to call twice. */
  release(): Promise<void>;
}

export interface HostLockHolder {
  readonly host: string | null;
  readonly pid: number | null;
  /** ISO 8601, by the server's clock. */
  readonly since: string | null;
  readonly heartbeatAt: string | null;
  readonly phase: string | null;
}

export interface WaitOptions {
  /** How long to wait for the lock; 0: not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** Called once when somebody else holds it and waiting begins. */
  readonly onWait?: (holder: HostLockHolder) => void;
}

const name = 'journal';
const heartbeatMs = 5_000;
// A holder that is not answered for so long takes the lock for lost: before the server could give it to another for want of a sign.
const answerWithinMs = 20_000;
const shortestPauseMs = 25;
const longestPauseMs = 250;
// A host that is gone without a word is noticed by the server after 45 s, a process that is frozen after two minutes. Later than a holder
// notices that the server is gone (a heartbeat and its answer: 25 s) and has ended its steps.
const sessionSettings: Readonly<Record<string, string>> = {
  tcp_keepalives_idle: '15',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '6',
  tcp_user_timeout: '45000',
  idle_session_timeout: '120000',
  lock_timeout: '60000',
};

/**
 * Takes the lock, or says who holds it after `waitMs`. Makes the schema `rungs` where it is missing. A session that is lost while it waits is
 * opened again. Throws POSTGRES_UNREACHABLE, POSTGRES_POOLER, and the signal's reason.
 */
export async function acquireHostLock(
  target: HostLockTarget,
  who: { readonly host: string; readonly pid: number },
  { waitMs = 0, signal, onWait }: WaitOptions = {},
): Promise<HostLock | { readonly holder: HostLockHolder }> {
  const deadline = performance.now() + waitMs;
  let isTold = false;
  let isLastTry = false;
  for (let pauseMs = shortestPauseMs; ;) {
    const client = await connectPostgres(target, {
      name,
      application: `rungs lock ${who.host} ${who.pid}`,
      ...(signal === undefined ? {} : { signal }),
    });
    let isTaken = false;
    try {
      const backend = await refusePooler(client, target.url);
      await keepAlive(client);
      await makeLockTable(client);
      for (;;) {
        signal?.throwIfAborted();
        if (await tryLock(client, target.installation)) {
          const epoch = await raiseEpoch(client, target.installation, who);
          isTaken = true;
          return holdLock(client, target, epoch, backend);
        }
        const holder = await holderIn(client, target.installation);
        if (!isTold && waitMs > 0) onWait?.(holder ?? unnamed);
        isTold = true;
        const leftMs = deadline - performance.now();
        // Whoever holds it has not written its name yet, or has just let go of it.
        if (leftMs <= 0 && (holder !== null || isLastTry)) return { holder: holder ?? unnamed };
        isLastTry = leftMs <= 0;
        await pause(Math.min(pauseMs, Math.max(leftMs, shortestPauseMs)), undefined, signal === undefined ? {} : { signal });
        pauseMs = Math.min(longestPauseMs, pauseMs * 1.5);
      }
    } catch (error) {
      // What was taken in a session that is lost is free again: nothing is held by mistake.
      if (!isConnectionLost(error) || performance.now() >= deadline) throw explained(error, target);
    } finally {
      if (!isTaken) await endConnection(client);
    }
  }
}

/** Who holds the lock now; `null`: nobody. Takes nothing and writes nothing. Throws POSTGRES_UNREACHABLE. */
export async function hostLockHolder(target: HostLockTarget): Promise<HostLockHolder | null> {
  const client = await connectPostgres(target, { name });
  try {
    return (await hasLockTable(client)) ? await holderIn(client, target.installation) : null;
  } catch (error) {
    throw explained(error, target);
  } finally {
    await endConnection(client);
  }
}

const unnamed: HostLockHolder = { host: null, pid: null, since: null, heartbeatAt: null, phase: null };

/** Both halves of the key as PostgreSQL shows them in `pg_locks`. */
function keyOf(installation: string): { readonly key: string; readonly high: string; readonly low: string } {
  const hash = createHash('sha256').update(`rungs:${installation}`).digest();
  return { key: hash.readBigInt64BE(0).toString(), high: String(hash.readUInt32BE(0)), low: String(hash.readUInt32BE(4)) };
}

async function keepAlive(client: Client): Promise<void> {
  // Older servers do not know all of them.
  await client.query(
    'SELECT set_config(s.name, w.value, false) FROM unnest($1::text[], $2::text[]) AS w(name, value) JOIN pg_settings s ON s.name = w.name',
    [Object.keys(sessionSettings), Object.values(sessionSettings)],
  );
}

async function tryLock(client: Client, installation: string): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1::bigint) AS taken', [keyOf(installation).key]);
  return rows[0]?.taken === true;
}

/** Waits for a write of the holder before us that is being committed: from here on none of them gets through. */
async function raiseEpoch(
  client: Client,
  installation: string,
  { host, pid }: { readonly host: string; readonly pid: number },
): Promise<string> {
  const { rows } = await client.query<{ epoch: string }>(
    `INSERT INTO rungs.lock AS l (installation, epoch, host, pid, since, heartbeat_at, phase)
     VALUES ($1, 1, $2, $3, clock_timestamp(), clock_timestamp(), NULL)
     ON CONFLICT (installation) DO UPDATE SET epoch = l.epoch + 1, host = excluded.host, pid = excluded.pid,
       since = excluded.since, heartbeat_at = excluded.heartbeat_at, phase = NULL
     RETURNING epoch::text`,
    [installation, host, pid],
  );
  return rows[0]?.epoch ?? '0';
}

/** The row tells who; that somebody does hold it, the server's own table of locks. */
async function holderIn(client: Client, installation: string): Promise<HostLockHolder | null> {
  const { high, low } = keyOf(installation);
  const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const { rows } = await client.query<{
    host: string | null;
    pid: number | null;
    since: string | null;
    heartbeat_at: string | null;
    phase: string | null;
  }>(
    `SELECT host, pid, ${iso('since')} AS since, ${iso('heartbeat_at')} AS heartbeat_at, phase FROM rungs.lock
     WHERE installation = $1 AND host IS NOT NULL AND EXISTS (
       SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
         AND classid = $2::oid AND objid = $3::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`,
    [installation, high, low],
  );
  const [row] = rows;
  return row === undefined ? null : { host: row.host, pid: row.pid, since: row.since, heartbeatAt: row.heartbeat_at, phase: row.phase };
}

function holdLock(client: Client, target: HostLockTarget, epoch: string, backend: number): HostLock {
  const losing = new AbortController();
  let isReleased = false;
  const lose = (reason: string): void => {
    if (isReleased || losing.signal.aborted) return;
    clearInterval(beating);
    losing.abort(new UpgradeError([failure('JOURNAL_LOST_LOCK', { server: serverOf(target.url), reason })]));
    cutConnection(client);
  };
  client.on('error', (error) => lose(messageOf(error)));
  client.on('end', () => lose('the session that held it was cut'));
  const beat = async (): Promise<void> => {
    const silence = setTimeout(() => lose('the server does not answer'), answerWithinMs);
    try {
      const { rowCount } = await client.query(
        'UPDATE rungs.lock SET heartbeat_at = clock_timestamp() WHERE installation = $1 AND epoch = $2 AND pg_backend_pid() = $3',
        [target.installation, epoch, backend],
      );
      if (rowCount !== 1) lose('another has taken it');
    } catch (error) {
      lose(messageOf(error));
    } finally {
      clearTimeout(silence);
    }
  };
  const beating = setInterval(() => void beat(), heartbeatMs);
  return {
    epoch,
    backend,
    lost: losing.signal,
    async release() {
      if (isReleased) return;
      isReleased = true;
      clearInterval(beating);
      if (!losing.signal.aborted) await letGo(client, target.installation, epoch);
      await endConnection(client);
    },
  };
}

async function letGo(client: Client, installation: string, epoch: string): Promise<void> {
  const silence = setTimeout(() => cutConnection(client), answerWithinMs);
  try {
    await client.query('UPDATE rungs.lock SET host = NULL, pid = NULL, since = NULL, phase = NULL WHERE installation = $1 AND epoch = $2', [
      installation,
      epoch,
    ]);
    await client.query('SELECT pg_advisory_unlock($1::bigint)', [keyOf(installation).key]);
  } catch {
    // The session ends next, and the lock with it.
  } finally {
    clearTimeout(silence);
  }
}

function explained(error: unknown, target: HostLockTarget): unknown {
  if (error instanceof UpgradeError || (error instanceof Error && error.name === 'AbortError')) return error;
  const [server, reason] = [serverOf(target.url), messageOf(error)];
  // A statement that is refused, for want of a right to make tables, say, is not a server that is not there.
  const problem = isConnectionLost(error)
    ? failure('POSTGRES_UNREACHABLE', { name, server, attempts: 1, error: reason })
    : failure('JOURNAL_WRITE_FAILED', { file: `rungs on ${server}`, reason });
  return new UpgradeError([problem], { cause: error });
}
