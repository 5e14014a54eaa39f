// Runs one half of an SQL step on SQLite. Promises that its statements and its marker row are committed together, or not at all.
import { basename } from 'node:path';
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import { databaseOf, isBusy } from './connections.ts';
import type { Connection, Connections } from './connections.ts';
import { suspendForeignKeys } from './foreign-keys.ts';
import type { ForeignKeyWatch } from './foreign-keys.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { lineOf, readScript } from './sql-script.ts';
import type { SqlScript } from './sql-script.ts';
import { foreignKeysPragma, splitStatements, transactionWord } from './sql-statements.ts';
import type { SqlStatement } from './sql-statements.ts';

/** `null` when it is done. Synchronous, as SQLite is: the caller yields between steps. */
export function runSqlHalf(order: HostOrder, run: HostRun, connections: Connections): Failure | null {
  try {
    const script = readSqliteHalf(order);
    const connection = connections.open(databaseOf(run, order.database, order.id), order.id);
    return order.transaction ? runInTransaction(order, run, connection, script) : runBare(order, connection, script);
  } catch (error) {
    const [first] = failuresOf(error);
    return first ?? null;
  }
}

export interface SqliteScript extends SqlScript {
  readonly statements: readonly SqlStatement[];
}

export function readSqliteHalf(order: HostOrder): SqliteScript {
  const script = readScript(order);
  return { ...script, statements: splitStatements(script.section) };
}

function runInTransaction(order: HostOrder, run: HostRun, connection: Connection, script: SqliteScript): Failure | null {
  const refused = ownTransactionIn(order, script);
  if (refused !== null) return refused;
  const watch = isRebuild(script) ? suspendForeignKeys(connection.db) : null;
  try {
    connection.begin();
    const failed = runStatements(order, connection, script) ?? danglingRows(order, connection, watch);
    if (failed !== null) {
      connection.rollback();
      return failed;
    }
    if (order.action === 'apply') connection.markers.set(run.runId, order.id, [connection.name]);
    else connection.markers.clear(run.runId, order.id);
    connection.commit();
    return null;
  } catch (error) {
    connection.rollback();
    return transactionFailure(order, run, connection, error);
  } finally {
    watch?.restore();
  }
}

export function ownTransactionIn(order: HostOrder, script: SqliteScript): Failure | null {
  for (const statement of script.statements) {
    const word = transactionWord(statement);
    if (word === null) continue;
    const place = { step: order.id, file: basename(order.file), line: lineOf(script, statement) };
    return failure('STEP_OWN_TRANSACTION', { ...place, word }, { step: order.id });
  }
  return null;
}

/** Needs foreign keys off, before its transaction begins. */
export function isRebuild({ statements }: SqliteScript): boolean {
  return statements.some((statement) => statement.head.startsWith('DROP TABLE') || foreignKeysPragma(statement) === 'off');
}

/** Inside a transaction, which is the caller's to end. */
export function runStatements(order: HostOrder, connection: Connection, script: SqliteScript): Failure | null {
  for (const statement of script.statements) {
    try {
      connection.db.exec(statement.text);
    } catch (error) {
      const how = { kind: 'statement' as const, file: basename(order.file), line: lineOf(script, statement), error: messageOf(error) };
      return failure('STEP_FAILED', { step: order.id, direction: order.direction, how }, { step: order.id });
    }
  }
  return null;
}

export function danglingRows(order: HostOrder, connection: Connection, watch: ForeignKeyWatch | null): Failure | null {
  const tables = watch?.broken() ?? [];
  if (tables.length === 0) return null;
  return failure(
    'STEP_FOREIGN_KEYS',
    { step: order.id, direction: order.direction, database: connection.name, tables },
    { step: order.id },
  );
}

/** Of its beginning or its end: the statements tell their own. */
export function transactionFailure(order: HostOrder, run: HostRun, connection: Connection, error: unknown): Failure {
  if (isBusy(error))
    return failure('STEP_DATABASE_BUSY', { step: order.id, database: connection.name, waitedMs: run.busyMs }, { step: order.id });
  const how = { kind: 'statement' as const, file: basename(order.file), line: null, error: messageOf(error) };
  return failure('STEP_FAILED', { step: order.id, direction: order.direction, how }, { step: order.id });
}

// Statement by statement, each durable by itself: no marker could tell how far it came, so after a kill it is in doubt.
function runBare(order: HostOrder, connection: Connection, script: SqliteScript): Failure | null {
  const place = { step: order.id, direction: order.direction, file: basename(order.file) };
  for (const statement of script.statements) {
    try {
      connection.db.exec(statement.text);
    } catch (error) {
      connection.rollback();
      return failure('STEP_SQL_PARTIAL', { ...place, line: lineOf(script, statement), error: messageOf(error) }, { step: order.id });
    }
  }
  if (!connection.isInTransaction()) return null;
  connection.rollback();
  return failure('STEP_SQL_PARTIAL', { ...place, line: null, error: 'it began a transaction and did not end it' }, { step: order.id });
}
