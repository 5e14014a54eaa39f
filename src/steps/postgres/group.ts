// Runs SQL steps on one PostgreSQL database in one transaction, each with its marker: all of them take effect, or none.
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import type { HostOrder } from '../host/protocol.ts';
import type { PostgresConnection, Sent } from './connection.ts';
import type { FoundMarkers } from './marker-table.ts';
import { limits, readPostgresHalf, statementFailure } from './sql-half.ts';
import type { PostgresHalf } from './sql-half.ts';
import type { PostgresBatch } from './sql-steps.ts';

export interface PostgresGroup extends Omit<PostgresBatch, 'settle'> {
  /** Told as the server answers, so that the time of each step is its own. */
  readonly onBegun: (order: HostOrder) => void;
}

export type GroupEnd = 'done' | 'not-begun' | { readonly order: HostOrder; readonly failed: Failure };

interface Flight {
  readonly half: PostgresHalf;
  readonly text: string;
  /** Where the step's own text begins, and after how many statements of ours. */
  readonly offset: number;
  readonly before: number;
  readonly sent: Promise<Sent>;
}

const window = 64;

export async function runPostgresGroup(group: PostgresGroup): Promise<GroupEnd> {
  const { orders, connections, signal } = group;
  const [first] = orders;
  if (first === undefined || group.isOver()) return 'not-begun';
  let connection: PostgresConnection;
  try {
    connection = await connections.open(group.database, first.id);
  } catch (error) {
    return { order: first, failed: failureFrom(error) };
  }
  const ending: { markers: Promise<FoundMarkers | Failure> | null } = { markers: null };
  const end = (): void => {
    ending.markers ??= connections.settle(connection, first.id).catch(failureFrom);
  };
  signal.addEventListener('abort', end, { once: true });
  try {
    const wrong = await runAll(connection, group);
    if (wrong === null) return 'done';
    if (!connection.isLost()) {
      await connection.send('ROLLBACK');
      await connection.reset().catch(async () => connection.end());
      return wrong.failed === null ? 'not-begun' : { order: wrong.order, failed: wrong.failed };
    }
    end();
    const markers = await ending.markers;
    if (markers !== null && 'code' in markers) return { order: wrong.order, failed: markers };
    // All of them, or none: any one tells.
    if (markers !== null && markers.find(first.id) !== null) return 'done';
    const { id: step, direction } = wrong.order;
    const details = { step, direction, database: group.database, error: messageOf(wrong.error) };
    return { order: wrong.order, failed: failure('STEP_CONNECTION_LOST', details, { step }) };
  } finally {
    signal.removeEventListener('abort', end);
    await ending.markers;
  }
}

interface Wrong {
  readonly order: HostOrder;
  readonly error: unknown;
  /** `null`: nothing is wrong with it, but nobody waits for it any more. */
  readonly failed: Failure | null;
}

async function runAll(connection: PostgresConnection, group: PostgresGroup): Promise<Wrong | null> {
  const { orders, run, database, onBegun } = group;
  const flights: Flight[] = [];
  let next = 0;
  let hasTraces = false;
  let wrong: Wrong | null = null;
  let last = orders[0];
  void connection.send('BEGIN'); // What goes wrong with it, goes wrong with all that follows.
  for (;;) {
    for (; wrong === null && next < orders.length && flights.length < window; next++) {
      const order = orders[next];
      if (order === undefined) break;
      const half = readPostgresHalf(order);
      if ('code' in half) wrong = { order, error: null, failed: half };
      else if (group.isOver()) wrong = { order, error: null, failed: null };
      else flights.push(fly(half, connection));
      hasTraces ||= !('code' in half) && half.isAlone;
    }
    const flight = flights.shift();
    if (flight === undefined) break;
    const { half, text, offset, before, sent } = flight;
    last = half.order;
    onBegun(half.order);
    const { error, completed } = await sent;
    if (error === null) continue;
    await Promise.all(flights.map(async (each) => each.sent));
    return { order: half.order, error, failed: statementFailure(half, error, completed.length - before, offset, text) };
  }
  if (wrong !== null || last === undefined) return wrong;
  try {
    await connection.query(
      `INSERT INTO ${connection.markerTable} (run_id, step_id, value, attempt) SELECT $1, id, $2, $3 FROM unnest($4::text[]) AS id
       ON CONFLICT (run_id, step_id) DO UPDATE SET value = EXCLUDED.value, attempt = EXCLUDED.attempt`,
      [run.runId, JSON.stringify([database]), connection.attempt, orders.map(({ id }) => id)],
    );
    const { error, completed } = await connection.send('SET LOCAL synchronous_commit = on; COMMIT');
    if (error === null && completed.at(-1) === 'COMMIT') {
      if (hasTraces) await connection.reset().catch(async () => connection.end());
      return null;
    }
    throw error ?? new Error('the transaction of the group was not committed');
  } catch (error) {
    const how = { kind: 'threw' as const, error: `at the end of its group: ${messageOf(error)}` };
    return { order: last, error, failed: failure('STEP_FAILED', { step: last.id, direction: last.direction, how }, { step: last.id }) };
  }
}

function fly(half: PostgresHalf, connection: PostgresConnection): Flight {
  const { order, body, isOpen, isAlone } = half;
  const own = limits(order);
  const prefix = own.length === 0 ? '' : `${own.join(';')};\n`;
  // The next step finds the session as if it were its own; temporary tables go with the session's reset at the end.
  const after = [
    ...(own.length === 0 ? [] : ['SET LOCAL lock_timeout TO DEFAULT', 'SET LOCAL statement_timeout TO DEFAULT']),
    ...(isAlone ? ['RESET SESSION AUTHORIZATION', 'RESET ALL'] : []),
  ];
  const text = isOpen ? prefix + body : `${prefix}${body}\n;${after.join(';')}`;
  return { half, text, offset: prefix.length, before: own.length, sent: connection.send(text) };
}

function failureFrom(error: unknown): Failure {
  return failuresOf(error)[0] ?? failure('INTERNAL', { error: messageOf(error) });
}
