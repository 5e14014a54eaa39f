// What it means that a connection is gone: which errors tell it, and how to let go of one that may not answer any more.
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { messageOf } from '../../model/failure.ts';
import { codeOf } from './connect.ts';

const systemCodes = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTCONN',
]);
// Ended by an administrator, by a crash of another backend, by a shutdown, by a limit on idle time.
const serverCodes = new Set(['57P01', '57P02', '57P03', '57P05', '25P03']);
const endWithinMs = 2_000;

/** The session is gone, and with it whatever it had not committed. An error of a statement is not that. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== null) return systemCodes.has(code) || serverCodes.has(code) || code.startsWith('08');
  return /connection terminated|connection ended|not queryable|client was closed|has encountered a connection error/i.test(
    messageOf(error),
  );
}

/** Says goodbye; where nobody answers, cuts it off. Never throws. */
export async function endConnection(client: Client): Promise<void> {
  const timer = new AbortController();
  const ended = client.end().catch(() => undefined);
  await Promise.race([ended, pause(endWithinMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
  timer.abort();
  cutConnection(client);
}

/** Whatever waits for an answer hears at once that the connection is gone. */
export function cutConnection(client: Client): void {
  // Not in its types: the socket under a client.
  const { connection } = client as unknown as { readonly connection: { readonly stream: { destroy(): void } } };
  connection.stream.destroy();
}
