// One half of an SQL step with `transaction: false`: statement by statement, each durable by itself. No marker could tell how far it came.
import { basename } from 'node:path';
import { failure } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import type { PostgresConnection, PostgresConnections } from './connection.ts';
import { lineOfError, placeOf, told } from './sql-half.ts';
import type { PostgresHalf } from './sql-half.ts';

/** `end`: ends the session in the server, and comes back when it is gone. */
export async function runBareHalf(
  half: PostgresHalf,
  connection: PostgresConnection,
  connections: PostgresConnections,
  signal: AbortSignal,
  end: () => Promise<void>,
): Promise<Failure | null> {
  const { order, statements } = half;
  const place = { step: order.id, direction: order.direction, file: basename(order.file) };
  if (order.lockTimeoutMs !== null) await connection.send(`SET lock_timeout = ${Math.round(order.lockTimeoutMs)}`);
  if (order.statementTimeoutMs !== null) await connection.send(`SET statement_timeout = ${Math.round(order.statementTimeoutMs)}`);
  for (const [at, statement] of statements.entries()) {
    const buildsIndex = /^(?:CREATE (?:UNIQUE )?INDEX CONCURRENTLY|REINDEX)/.test(statement.head);
    const before = buildsIndex ? await invalidIndexes(connection) : [];
    const { error } = signal.aborted ? { error: new Error('it was cancelled') } : await connection.send(statement.text);
    if (error === null) continue;
    if (connection.isLost()) await end();
    const line = lineOfError(half, error, at, -statement.offset, statement.text);
    const index = buildsIndex ? await newInvalidIndex(order.id, connection, connections, before) : null;
    await settleSession(connection);
    return failure(
      'STEP_SQL_PARTIAL',
      { ...place, line, error: told(error, order), ...(index === null ? {} : { index }) },
      { step: order.id, ...placeOf(order, line) },
    );
  }
  const isUnfinished = connection.isInTransaction();
  await settleSession(connection);
  if (!isUnfinished) return null;
  return failure('STEP_SQL_PARTIAL', { ...place, line: null, error: 'it began a transaction and did not end it' }, { step: order.id });
}

async function settleSession(connection: PostgresConnection): Promise<void> {
  if (connection.isLost()) return;
  if (connection.isInTransaction()) await connection.send('ROLLBACK');
  await connection.reset().catch(() => connection.end());
}

async function invalidIndexes(connection: PostgresConnection): Promise<readonly string[]> {
  const { rows } = await connection.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** What a build that failed has left: it is kept up to date at every write, and never read. */
async function newInvalidIndex(
  stepId: string,
  connection: PostgresConnection,
  connections: PostgresConnections,
  before: readonly string[],
): Promise<string | null> {
  try {
    if (connection.isInTransaction()) await connection.send('ROLLBACK');
    const now = await invalidIndexes(connection.isLost() ? await connections.open(connection.name, stepId) : connection);
    return now.find((name) => !before.includes(name)) ?? null;
  } catch {
    return null; // The failure itself is what has to be told.
  }
}
