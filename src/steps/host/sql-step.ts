// Runs one half of an SQL step on SQLite. Promises that its statements and its marker row are committed together, or not at all.
import { basename } from 'node:path';
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import { databaseOf, isBusy } from './connections.ts';
import type { Connection, Connections } from './connections.ts';
import { suspendForeignKeys } from './foreign-keys.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { lineOf, readScript } from './sql-script.ts';
import type { SqlScript } from './sql-script.ts';
import { foreignKeysPragma, splitStatements, transactionWord } from './sql-statements.ts';
import type { SqlStatement } from './sql-statements.ts';

/** `null` when it is done. Synchronous, as SQLite is: the caller yields between steps. */
export function runSqlHalf(order: HostOrder, run: HostRun, connections: Connections): Failure | null {
  try {
    const script = readHalf(order);
    const connection = connections.open(databaseOf(run, order.database, order.id), order.id);
    return order.transaction ? runInTransaction(order, run, connection, script) : runBare(order, connection, script);
  } catch (error) {
    const [first] = failuresOf(error);
    return first ?? null;
  }
}

interface Script extends SqlScript {
  readonly statements: readonly SqlStatement[];
}

function readHalf(order: HostOrder): Script {
  const script = readScript(order);
  return { ...script, statements: splitStatements(script.section) };
}

function runInTransaction(order: HostOrder, run: HostRun, connection: Connection, script: Script): Failure | null {
  const place = { step: order.id, direction: order.direction, file: basename(order.file) };
  for (const statement of script.statements) {
    const word = transactionWord(statement);
    if (word !== null) return failure('STEP_OWN_TRANSACTION', { ...place, line: lineOf(script, statement), word }, { step: order.id });
  }
  const isRebuild = script.statements.some(
    (statement) => statement.head.startsWith('DROP TABLE') || foreignKeysPragma(statement) === 'off',
  );
  const watch = isRebuild ? suspendForeignKeys(connection.db) : null;
  let current: SqlStatement | null = null;
  try {
    connection.begin();
    for (const statement of script.statements) {
      current = statement;
      connection.db.exec(statement.text);
    }
    current = null;
    const broken = watch?.broken() ?? [];
    if (broken.length > 0) {
      connection.rollback();
      return failure('STEP_FOREIGN_KEYS', { ...place, database: connection.name, tables: broken }, { step: order.id });
    }
    if (order.action === 'apply') connection.markers.set(run.runId, order.id, [connection.name]);
    else connection.markers.clear(run.runId, order.id);
    connection.commit();
    return null;
  } catch (error) {
    connection.rollback();
    if (current === null && isBusy(error))
      return failure('STEP_DATABASE_BUSY', { step: order.id, database: connection.name, waitedMs: run.busyMs }, { step: order.id });
    const line = current === null ? null : lineOf(script, current);
    return failure(
      'STEP_FAILED',
      { step: order.id, direction: order.direction, how: { kind: 'statement', file: place.file, line, error: messageOf(error) } },
      { step: order.id },
    );
  } finally {
    watch?.restore();
  }
}

// Statement by statement, each durable by itself: no marker could tell how far it came, so after a kill it is in doubt.
function runBare(order: HostOrder, connection: Connection, script: Script): Failure | null {
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
