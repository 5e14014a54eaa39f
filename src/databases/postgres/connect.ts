// Connects to a PostgreSQL server that may still be starting. `pg` is loaded only here, by whoever really needs a server.
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { fail, messageOf } from '../../model/failure.ts';

export interface PostgresTarget {
  readonly url: string;
  /** Of connecting, 1 or more. */
  readonly attempts: number;
  /** Before the second attempt; each further wait is twice as long, 30 s at most. */
  readonly backoffMs: number;
}

export interface ConnectOptions {
  /** As upgrade.yaml calls it, for messages. */
  readonly name: string;
  /** What `pg_stat_activity` shows. */
  readonly application?: string;
  /** Queries are sent without waiting for the answers to those before. */
  readonly isPipelined?: boolean;
  readonly signal?: AbortSignal;
}

const longestWaitMs = 30_000;
const connectWithinMs = 10_000;
// The server starts, stops, or has no place left: all of that passes.
const passing = new Set(['57P03', '53300', '57P01', '08006', '08001', '08004']);
const passingSystem = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOTFOUND', 'EHOSTUNREACH', 'EPIPE']);

/**
 * A session of its own. Throws POSTGRES_UNREACHABLE: at once for what waiting does not mend (a wrong password, a database that is not there),
 * else after the last attempt. A connection that is lost later is told by the next query, never by an exception out of nowhere.
 */
export async function connectPostgres(target: PostgresTarget, options: ConnectOptions): Promise<Client> {
  const { default: pg } = await import('pg');
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    const client = new pg.Client({
      connectionString: target.url,
      application_name: options.application ?? 'rungs',
      connectionTimeoutMillis: connectWithinMs,
      keepAlive: true,
      pipeline: options.isPipelined ?? false,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      if (attempt >= target.attempts || !mayPass(error)) {
        throw fail(
          'POSTGRES_UNREACHABLE',
          { name: options.name, server: serverOf(target.url), attempts: attempt, error: reasonOf(error) },
          {},
          error,
        );
      }
      const waitMs = Math.min(longestWaitMs, target.backoffMs * 2 ** (attempt - 1));
      await pause(waitMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** `host:port/database`, without user and password. */
export function serverOf(url: string): string {
  try {
    const { host, pathname, searchParams } = new URL(url);
    return `${searchParams.get('host') ?? (host === '' ? 'the local socket' : host)}${pathname}`;
  } catch {
    return 'the address in upgrade.yaml';
  }
}

/** `SQLSTATE` of an error of the server, or the system's code. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

function mayPass(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(mayPass);
  const code = codeOf(error);
  if (code === null) return /timeout|terminated unexpectedly/i.test(messageOf(error));
  return passing.has(code) || passingSystem.has(code);
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return [...new Set(error.errors.map(messageOf))].join('; ');
  return messageOf(error);
}
