// Asks a PostgreSQL database and compares the first column of the first row. Only reads: the transaction is told so, and takes one statement.
import { setTimeout as pause } from 'node:timers/promises';
import type { QueryArrayConfig } from 'pg';
import { connectPostgres } from '../databases/postgres/connect.ts';
import type { ProbeContext, ProbeOf } from './registry.ts';
import { show } from './show.ts';

export async function probePostgres(
  { database, query, expect }: ProbeOf<'postgres'>,
  { config, limitMs, signal }: ProbeContext,
): Promise<string | null> {
  const found = config.databases[database];
  if (found?.kind !== 'postgres') return `upgrade.yaml has no PostgreSQL database "${database}"`;
  // Probes are tried again by themselves.
  const connecting = connectPostgres({ ...found, attempts: 1 }, { name: database, application: 'rungs probe', signal });
  const client = await Promise.race([connecting, aborted(signal)]);
  if (client === null) {
    void connecting.then((late) => late.end()).catch(() => undefined);
    throw signal.reason;
  }
  // A query that hangs ends with its connection.
  const cut = (): void => void client.end().catch(() => undefined);
  signal.addEventListener('abort', cut, { once: true });
  try {
    await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${Math.max(1, Math.ceil(limitMs))}`);
    // The extended protocol refuses a second statement, which could end the transaction.
    const asked: QueryArrayConfig & { readonly queryMode: 'extended' } = { text: query, rowMode: 'array', queryMode: 'extended' };
    const { rows, fields } = await client.query<unknown[]>(asked);
    const [row] = rows;
    if (row === undefined) return `"${query}" gave no row, expected ${show(expect.value)}`;
    const seen = valueOf(row[0], fields[0]?.dataTypeID);
    return isSame(seen, expect.value) ? null : `"${query}" gave ${show(seen)}, expected ${show(expect.value)}`;
  } finally {
    signal.removeEventListener('abort', cut);
    await Promise.race([client.end().catch(() => undefined), pause(1_000)]);
  }
}

const wide = new Set([20, 1700]);

/** bigint and numeric come as text, because JavaScript may not hold them exactly; where it does, they are numbers. */
function valueOf(value: unknown, type: number | undefined): unknown {
  if (typeof value !== 'string' || type === undefined || !wide.has(type)) return value;
  if (/^-?\d+$/.test(value)) {
    const whole = BigInt(value);
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
  }
  return Number(value);
}

function isSame(seen: unknown, expected: unknown): boolean {
  if (typeof seen === 'bigint') return typeof expected === 'number' && Number.isInteger(expected) && seen === BigInt(expected);
  return seen === expected;
}

async function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return null;
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true }));
}
