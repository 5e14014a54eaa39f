// Runs SQL steps on one SQLite database in one transaction, each with its marker: all of them take effect, or none.
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import type { GroupEnd } from '../postgres/group.ts';
import { databaseOf } from './connections.ts';
import type { Connection, Connections } from './connections.ts';
import { suspendForeignKeys } from './foreign-keys.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { danglingRows, isRebuild, ownTransactionIn, readSqliteHalf, runStatements, transactionFailure } from './sql-step.ts';
import type { SqliteScript } from './sql-step.ts';

export interface SqliteGroup {
  readonly orders: readonly HostOrder[];
  readonly run: HostRun;
  readonly connections: Connections;
  readonly isOver: () => boolean;
  readonly onBegun: (order: HostOrder) => void;
}

/** Cancelling arrives between two steps, once in so many milliseconds: looking takes longer than a small step. */
const yieldEveryMs = 40;

export async function runSqliteGroup(group: SqliteGroup): Promise<GroupEnd> {
  const [first] = group.orders;
  if (first === undefined) return 'done';
  let connection: Connection;
  const steps: { readonly order: HostOrder; readonly script: SqliteScript }[] = [];
  try {
    connection = group.connections.open(databaseOf(group.run, first.database, first.id), first.id);
    // All of them first: whether foreign keys have to be off is only heeded before the transaction.
    for (const order of group.orders) {
      const script = readSqliteHalf(order);
      const refused = ownTransactionIn(order, script);
      if (refused !== null) return { order, failed: refused };
      steps.push({ order, script });
    }
  } catch (error) {
    return { order: first, failed: failuresOf(error)[0] ?? failure('INTERNAL', { error: messageOf(error) }) };
  }
  const rebuild = steps.findLast(({ script }) => isRebuild(script))?.order ?? null;
  const watch = rebuild === null ? null : suspendForeignKeys(connection.db);
  let running = first;
  try {
    connection.begin();
    let yieldedAt = Number.NEGATIVE_INFINITY;
    for (const { order, script } of steps) {
      running = order;
      if (performance.now() - yieldedAt > yieldEveryMs) {
        await yieldToEvents();
        yieldedAt = performance.now();
        if (group.isOver()) return notBegun(connection);
      }
      group.onBegun(order);
      const failed = runStatements(order, connection, script);
      if (failed !== null) return takenBack(connection, order, failed);
      connection.markers.set(group.run.runId, order.id, [connection.name]);
    }
    if (rebuild !== null) {
      const failed = danglingRows(rebuild, connection, watch);
      if (failed !== null) return takenBack(connection, rebuild, failed);
    }
    if (group.isOver()) return notBegun(connection);
    connection.commit();
    return 'done';
  } catch (error) {
    return takenBack(connection, running, transactionFailure(running, group.run, connection, error));
  } finally {
    watch?.restore();
  }
}

function notBegun(connection: Connection): GroupEnd {
  connection.rollback();
  return 'not-begun';
}

function takenBack(connection: Connection, order: HostOrder, failed: Failure): GroupEnd {
  connection.rollback();
  return { order, failed };
}
