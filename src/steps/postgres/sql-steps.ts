// Runs SQL steps on one PostgreSQL database, one after the other, with several on their way. Promises for each that its statements and its marker
// row are committed together or not at all, that none takes effect after one that failed, and that nothing of it goes on in the server.
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import type { HostOrder, HostRun } from '../host/protocol.ts';
import { runBareHalf } from './bare-half.ts';
import type { PostgresConnection, PostgresConnections, Sent } from './connection.ts';
import { clearMarkerSql, expectMarkerSql, setMarkerSql } from './marker-table.ts';
import type { FoundMarkers } from './marker-table.ts';
import { limits, readPostgresHalf, statementFailure } from './sql-half.ts';
import type { PostgresHalf } from './sql-half.ts';

export interface PostgresBatch {
  readonly orders: readonly HostOrder[];
  readonly run: HostRun;
  readonly database: string;
  readonly connections: PostgresConnections;
  readonly signal: AbortSignal;
  /** Nobody waits for what has not begun. */
  readonly isOver: () => boolean;
  readonly settle: (order: HostOrder, failed: Failure | null) => void;
}

interface Flight {
  readonly half: PostgresHalf;
  readonly message: Message;
  readonly sent: Promise<Sent>;
}

interface Message {
  readonly text: string;
  /** Where the step's own text begins, and after how many statements of ours. */
  readonly offset: number;
  readonly before: number;
}

/** More would only be more to look up when the connection is lost. */
const window = 16;

/** Whether all were done. */
export async function runPostgresSteps(batch: PostgresBatch): Promise<boolean> {
  const [first] = batch.orders;
  let next = 0;
  while (next < batch.orders.length) {
    const order = batch.orders[next] ?? first;
    if (order === undefined || batch.isOver()) return false;
    let connection: PostgresConnection;
    try {
      connection = await batch.connections.open(batch.database, order.id);
    } catch (error) {
      batch.settle(order, failuresOf(error)[0] ?? null);
      return false;
    }
    const done = await runOn(connection, batch, next);
    if (done === null) return false;
    next += done; // Fewer than all: the connection was lost, and what was on its way had been committed.
  }
  return true;
}

/** How many were done; `null` where one failed, or no more are wanted. */
async function runOn(connection: PostgresConnection, batch: PostgresBatch, from: number): Promise<number | null> {
  const { orders, settle } = batch;
  const flights: Flight[] = [];
  const ending: { markers: Promise<FoundMarkers | Failure> | null } = { markers: null };
  let wrong: { readonly order: HostOrder; readonly failed: Failure } | null = null;
  let next = from;
  let done = 0;
  const end = (): void => {
    ending.markers ??= markersOf(connection, batch, orders[from + done]?.id ?? '');
  };
  batch.signal.addEventListener('abort', end, { once: true });
  try {
    for (;;) {
      for (; wrong === null && next < orders.length && flights.length < window && !batch.isOver(); next++) {
        const order = orders[next];
        if (order === undefined) break;
        const half = readPostgresHalf(order);
        if ('code' in half) wrong = { order, failed: half };
        else {
          const isAlone = half.isAlone || !order.transaction || order.action === 'revert';
          if ((isAlone || flights.at(-1)?.half.isAlone === true) && flights.length > 0) break;
          if (!order.transaction) {
            const failed = await runBareHalf(half, connection, batch.connections, batch.signal, async () => {
              end();
              await ending.markers;
            });
            settle(order, failed);
            if (failed !== null) return null;
            done += 1;
            if (connection.isLost()) return done;
            continue;
          }
          const message = messageOf(half, batch, connection, flights.at(-1)?.half.order ?? null);
          flights.push({ half, message, sent: connection.send(message.text) });
          if (isAlone) {
            next += 1;
            break;
          }
        }
      }
      const flight = flights.shift();
      if (flight === undefined) {
        if (wrong !== null) settle(wrong.order, wrong.failed);
        return wrong === null && next >= orders.length ? done : null;
      }
      const { half, message, sent } = flight;
      const { error, completed } = await sent;
      if (error === null && completed.at(-1) === 'COMMIT') {
        if (half.isAlone) await connection.reset().catch(() => connection.end());
        settle(half.order, null);
        done += 1;
        if (connection.isLost() && flights.length === 0) return done;
        continue;
      }
      if (connection.isLost()) {
        end();
        const committed = await settleLost([flight, ...flights], await ending.markers, batch, error);
        return committed === null ? null : done + committed;
      }
      await Promise.all(flights.map(async (each) => each.sent));
      await connection.send('ROLLBACK');
      if (half.isAlone) await connection.reset().catch(() => connection.end());
      settle(
        half.order,
        statementFailure(
          half,
          error ?? new Error('its transaction was not committed'),
          completed.length - message.before,
          message.offset,
          message.text,
        ),
      );
      return null;
    }
  } finally {
    batch.signal.removeEventListener('abort', end);
    await ending.markers;
  }

  function messageOf(
    half: PostgresHalf,
    { run }: PostgresBatch,
    { markerTable, attempt }: PostgresConnection,
    before: HostOrder | null,
  ): Message {
    const { order, body, isOpen } = half;
    const head = ['BEGIN', ...limits(order)];
    if (before !== null) head.push(expectMarkerSql(markerTable, { runId: run.runId, key: before.id, attempt }));
    const prefix = `${head.join(';')};\n`;
    const marker =
      order.action === 'apply'
        ? setMarkerSql(markerTable, { runId: run.runId, key: order.id, value: [batch.database], attempt })
        : clearMarkerSql(markerTable, run.runId, order.id);
    const tail = [
      ...(half.isAlone ? ['RESET SESSION AUTHORIZATION', 'RESET ROLE'] : []),
      ...(/synchronous_commit/i.test(body) ? ['SET LOCAL synchronous_commit = on'] : []),
      marker,
      'COMMIT',
    ];
    return { text: isOpen ? prefix + body : `${prefix}${body}\n;${tail.join(';')}`, offset: prefix.length, before: head.length };
  }
}

async function markersOf(connection: PostgresConnection, { connections }: PostgresBatch, stepId: string): Promise<FoundMarkers | Failure> {
  try {
    return await connections.settle(connection, stepId);
  } catch (error) {
    return failuresOf(error)[0] ?? failure('INTERNAL', { error: messageOf(error) });
  }
}

/** The session is gone: how many of those on their way it has committed; `null` where one of them was not, or nobody can tell. */
async function settleLost(
  flights: readonly Flight[],
  markers: FoundMarkers | Failure | null,
  batch: PostgresBatch,
  error: unknown,
): Promise<number | null> {
  for (const [at, { half }] of flights.entries()) {
    const { order } = half;
    if (markers === null || 'code' in markers) {
      batch.settle(order, markers);
      return null;
    }
    if ((markers.find(order.id) !== null) !== (order.action === 'apply')) {
      batch.settle(
        order,
        failure(
          'STEP_CONNECTION_LOST',
          { step: order.id, direction: order.direction, database: batch.database, error: messageOf(error) },
          { step: order.id },
        ),
      );
      return null;
    }
    batch.settle(order, null);
    if (at === flights.length - 1) return flights.length;
  }
  return flights.length;
}
