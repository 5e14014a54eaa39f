// One session at a PostgreSQL server, kept while steps follow each other. Sends are answered in their order and may be under way several at once.
import type { Client, Query, QueryResult } from 'pg';
import { randomBytes } from 'node:crypto';
import type { DatabaseConfig } from '../../model/config.ts';
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import { codeOf, connectPostgres } from '../../databases/postgres/connect.ts';
import { ensureMarkerTable, readPostgresMarkers } from './marker-table.ts';
import type { FoundMarkers } from './marker-table.ts';
import { applicationOf, endSessions } from './sessions.ts';

/** What came of one text with any number of statements. */
export interface Sent {
  /** `null`: all of it was done. */
  readonly error: unknown;
  /** Of the statements that were done, as the server tells it: `INSERT 0 1`, `COMMIT`. */
  readonly completed: readonly string[];
}

export interface PostgresConnection {
  readonly kind: 'postgres';
  readonly name: string;
  readonly pid: number;
  /** Of the marker table, quoted. */
  readonly markerTable: string;
  /** Markers that this process writes carry it. */
  readonly attempt: string;
  /** Rows are dropped. Never rejects. */
  readonly send: (text: string) => Promise<Sent>;
  readonly query: <Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]) => Promise<QueryResult<Row>>;
  readonly isInTransaction: () => boolean;
  /** The server is gone, or has ended the session. */
  readonly isLost: () => boolean;
  /** As it was when it was opened: settings, temporary tables, locks. */
  readonly reset: () => Promise<void>;
  readonly end: () => Promise<void>;
}

export interface PostgresConnections {
  readonly open: (name: string, stepId: string) => Promise<PostgresConnection>;
  /** Those that are open now. */
  readonly all: () => readonly PostgresConnection[];
  /** Ends a session in the server, whatever it is at, then reads what it has committed. */
  readonly settle: (lost: PostgresConnection, stepId: string) => Promise<FoundMarkers>;
  readonly closeAll: () => Promise<void>;
}

interface Run {
  readonly runId: string;
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
}

export function createPostgresConnections(run: Run): PostgresConnections {
  const open = new Map<string, PostgresConnection>();
  return {
    open: async (name, stepId) => {
      const found = open.get(name);
      if (found !== undefined && !found.isLost()) return found;
      const made = await connect(run, name, stepId);
      open.set(name, made);
      return made;
    },
    all: () => [...open.values()].filter((each) => !each.isLost()),
    settle: async (lost, stepId) => {
      open.delete(lost.name);
      const client = await connectPostgres(targetOf(run, lost.name, stepId), { name: lost.name });
      try {
        await endSessions(client, { pid: lost.pid }, lost.name);
        return await readPostgresMarkers(client, run.runId);
      } finally {
        await client.end();
      }
    },
    closeAll: async () => {
      const ending = [...open.values()];
      open.clear();
      await Promise.all(ending.map(async (each) => each.end()));
    },
  };
}

function targetOf(run: Run, name: string, stepId: string): Extract<DatabaseConfig, { kind: 'postgres' }> {
  const config = run.databases[name];
  if (config?.kind === 'postgres') return config;
  throw fail('STEP_DATABASE_KIND', { step: stepId, database: name, wanted: 'PostgreSQL', kind: 'SQLite' }, { step: stepId });
}

async function connect(run: Run, name: string, stepId: string): Promise<PostgresConnection> {
  const client = await connectPostgres(targetOf(run, name, stepId), { name, application: applicationOf(run.runId), isPipelined: true });
  try {
    await client.query(durable);
    return wrap(name, client, await ensureMarkerTable(client));
  } catch (error) {
    await client.end().catch(() => undefined);
    if (error instanceof UpgradeError) throw error;
    throw fail('STEP_MARKER_TABLE', { step: stepId, database: name, error: messageOf(error) }, { step: stepId }, error);
  }
}

// Weaker settings would let the journal say that a step is done before it is on the server's disk.
const durable = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')`;

function wrap(name: string, client: Client, markerTable: string): PostgresConnection {
  let lost = false;
  client.on('error', () => {
    lost = true;
  });
  client.on('end', () => {
    lost = true;
  });
  // Only work that is under way keeps this process alive, as with everything else that a step may wait for.
  let pending = 0;
  const working = async <Result>(work: Promise<Result>): Promise<Result> => {
    pending += 1;
    keepAlive(client, true);
    try {
      return await work;
    } finally {
      pending -= 1;
      if (pending === 0) keepAlive(client, false);
    }
  };
  keepAlive(client, false);
  const noteLoss = (error: unknown): void => {
    if (isLoss(error)) lost = true;
  };
  return {
    kind: 'postgres',
    name,
    pid: processIdOf(client),
    markerTable,
    attempt: randomBytes(8).toString('hex'),
    send: async (text) => {
      const sent = await working(send(client, text));
      noteLoss(sent.error);
      return sent;
    },
    query: async <Row extends Record<string, unknown>>(text: string, values: readonly unknown[] = []) => {
      try {
        return await working(client.query<Row>(text, [...values]));
      } catch (error) {
        noteLoss(error);
        throw error;
      }
    },
    isInTransaction: () => !lost && client.getTransactionStatus() !== 'I',
    isLost: () => lost,
    reset: async () => {
      await working(client.query('DISCARD ALL'));
      await working(client.query(durable));
    },
    end: async () => {
      lost = true;
      keepAlive(client, true);
      await client.end().catch(() => undefined);
    },
  };
}

/** The server has said goodbye, or nothing more comes from it. */
export function isLoss(error: unknown): boolean {
  if (error === null) return false;
  if (typeof error === 'object' && error !== null && 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC'))
    return true;
  const code = codeOf(error);
  return code === null || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08');
}

/** As a simple query, whose answers are counted as they come: an error at run time has no position, but the statements before it were counted. */
async function send(client: Client, text: string): Promise<Sent> {
  const { default: pg } = await import('pg');
  return new Promise((settle) => {
    const completed: string[] = [];
    const query: Query = new pg.Query(text, (error: unknown) => settle({ error: error ?? null, completed }));
    Object.assign(query, {
      handleRowDescription: () => {},
      handleDataRow: () => {},
      handleCommandComplete: ({ text: tag }: { readonly text: string }) => void completed.push(tag),
    });
    client.query(query);
  });
}

function processIdOf(client: Client): number {
  const pid: unknown = Reflect.get(client, 'processID');
  return typeof pid === 'number' ? pid : -1;
}

function keepAlive(client: Client, isNeeded: boolean): void {
  const toggle: unknown = Reflect.get(client, isNeeded ? 'ref' : 'unref');
  if (typeof toggle === 'function') toggle.call(client);
}
