// A session of the journal in PostgreSQL. Promises that a write has been committed once when it resolves, also when the connection is lost in
// the middle, and that nothing is written any more once another process has taken the lock.
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { connectPostgres, serverOf, type PostgresTarget } from '../databases/postgres/connect.ts';
import { cutConnection, endConnection, isConnectionLost } from '../databases/postgres/connection-loss.ts';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';

export type Row = Record<string, unknown>;
export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** The lock that allows writing. */
export interface WritePermit {
  readonly epoch: string;
  /** The backend that holds the lock: never one of ours. */
  readonly backend: number;
  readonly lost: AbortSignal;
}

export interface PostgresSession {
  /** How messages call the journal. */
  readonly file: string;
  query: Query;
  /** One transaction. `change` may be run again after a lost connection, and only where what it did before was not committed. */
  write(change: (query: Query) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

const mostTries = 5;
const statusWithinMs = 60_000;
const statusPauseMs = 50;
const name = 'journal';
// Whoever is cut off in the middle of a write must not keep the next holder waiting for long.
const settings: Readonly<Record<string, string>> = {
  synchronous_commit: 'on',
  default_transaction_isolation: 'read committed',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '30000',
  idle_in_transaction_session_timeout: '30000',
};

export function journalName(url: string): string {
  return `rungs on ${serverOf(url)}`;
}

/** `permit`: `null` for reading alone; the server itself refuses writes then. */
export async function openPostgresSession(
  target: PostgresTarget,
  installation: string,
  permit: WritePermit | null,
): Promise<PostgresSession> {
  const file = journalName(target.url);
  let client: Client | null = await begin();
  let isClosed = false;
  // One after the other: a timer writes events while a phase writes outcomes.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
  // What waits for the server's answer need not wait any more.
  const onLost = (): void => {
    if (client !== null) cutConnection(client);
  };
  permit?.lost.addEventListener('abort', onLost);

  return {
    file,
    query: (text, values) => inTurn(() => tryAgain(async (connected) => queryOn(connected)(text, values))),
    write: (change) => inTurn(() => write(change)),
    close: () =>
      inTurn(async () => {
        if (isClosed) return;
        isClosed = true;
        permit?.lost.removeEventListener('abort', onLost);
        await drop();
      }),
  };

  async function begin(): Promise<Client> {
    const opened = await connectPostgres(target, { name, application: 'rungs journal' });
    try {
      const { rows } = await opened.query<{ pid: number }>(
        `SELECT pg_backend_pid() AS pid, count(set_config(s.name, w.value, false))
         FROM unnest($1::text[], $2::text[]) AS w(name, value) JOIN pg_settings s ON s.name = w.name`,
        [
          [...Object.keys(settings), 'default_transaction_read_only'],
          [...Object.values(settings), permit === null ? 'on' : 'off'],
        ],
      );
      if (permit !== null && rows[0]?.pid === permit.backend)
        throw fail('POSTGRES_POOLER', { name: 'journal', server: serverOf(target.url) });
      return opened;
    } catch (error) {
      await endConnection(opened);
      throw error;
    }
  }

  async function drop(): Promise<void> {
    const dropped = client;
    client = null;
    if (dropped !== null) await endConnection(dropped);
  }

  async function connected(): Promise<Client> {
    client ??= await begin();
    return client;
  }

  /** For what may be done twice: it only reads. */
  async function tryAgain<T>(work: (connected: Client) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work(await connected());
      } catch (error) {
        if (!isConnectionLost(error)) throw explained(error);
        await drop();
        if (tries >= mostTries) throw explained(error);
      }
    }
  }

  async function write(change: (query: Query) => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      throwIfLost();
      let transaction: string | null = null;
      let isCommitting = false;
      try {
        const writer = await connected();
        transaction = await beginTransaction(writer);
        await change(queryOn(writer));
        isCommitting = true;
        const { command } = await writer.query('COMMIT');
        if (command !== 'COMMIT') throw new Error(`the server answered COMMIT with ${command}`);
        return;
      } catch (error) {
        if (!isConnectionLost(error)) {
          await client?.query('ROLLBACK').catch(() => drop());
          throw explained(error);
        }
        await drop();
        throwIfLost();
        if (isCommitting && transaction !== null && (await wasCommitted(transaction))) return;
        if (tries >= mostTries) throw explained(error);
      }
    }
  }

  /** Gives the transaction's id. The row of the lock stays as it is until the commit: whoever takes the lock waits for us. */
  async function beginTransaction(writer: Client): Promise<string> {
    const results = await writer.query(
      `BEGIN; SELECT txid_current()::text AS id, epoch::text AS epoch FROM rungs.lock WHERE installation = ${writer.escapeLiteral(installation)} FOR SHARE`,
    );
    // Of several statements there are several results.
    const [, found] = results as unknown as readonly { readonly rows: readonly Row[] }[];
    const [row] = found?.rows ?? [];
    if (row?.epoch === permit?.epoch && typeof row?.id === 'string') return row.id;
    throw fail('JOURNAL_LOST_LOCK', { server: serverOf(target.url), reason: 'another process has taken it' });
  }

  /** The server remembers what became of a transaction, also over a crash of its own. */
  async function wasCommitted(transaction: string): Promise<boolean> {
    const deadline = performance.now() + statusWithinMs;
    for (;;) {
      const rows = await tryAgain((asked) => queryOn(asked)('SELECT txid_status($1::bigint) AS status', [transaction]));
      const status = rows[0]?.status;
      if (status === 'committed') return true;
      if (status === 'aborted') return false;
      // Still in progress: its backend has not noticed yet that we are gone.
      if (status !== 'in progress' || performance.now() >= deadline)
        throw fail('JOURNAL_WRITE_FAILED', {
          file,
          reason: 'the connection was lost at a commit, and the server does not tell what became of it',
        });
      await pause(statusPauseMs);
    }
  }

  function throwIfLost(): void {
    if (permit === null) throw fail('INTERNAL', { error: 'the journal was opened for reading' });
    permit.lost.throwIfAborted();
  }

  function explained(error: unknown): unknown {
    if (permit?.lost.aborted === true) return permit.lost.reason;
    const isOurs = error instanceof UpgradeError;
    // Whoever only reads hears that the server is gone; in the middle of a run it is the record that is missing.
    if (isOurs && (permit === null || error.failures.every(({ code }) => code !== 'POSTGRES_UNREACHABLE'))) return error;
    if (permit !== null) return fail('JOURNAL_WRITE_FAILED', { file, reason: messageOf(error) }, {}, error);
    return fail('POSTGRES_UNREACHABLE', { name, server: serverOf(target.url), attempts: 1, error: messageOf(error) }, {}, error);
  }
}

function queryOn(client: Client): Query {
  return async (text, values = []) => (await client.query<Row>(text, [...values])).rows;
}
