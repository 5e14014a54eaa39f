// Runs one half of an SQL step on SQLite. Promises that its statements and its marker row are committed together, or not at all.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failure, failuresOf, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import { splitSql } from '../../model/sql-sections.ts';
import { packName, unpackSteps } from '../../model/step-pack.ts';
import { databaseOf, isBusy } from './connections.ts';
import type { Connection, Connections } from './connections.ts';
import { suspendForeignKeys } from './foreign-keys.ts';
import type { HostOrder, HostRun } from './protocol.ts';
import { foreignKeysPragma, lineAt, splitStatements, transactionWord } from './sql-statements.ts';
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

interface Script {
  /** The whole file, for line numbers. */
  readonly text: string;
  readonly sectionOffset: number;
  readonly statements: readonly SqlStatement[];
}

function readHalf(order: HostOrder): Script {
  const text = textOf(order.file);
  const section = order.isWhole ? text : order.direction === 'forward' ? splitSql(text).forward : (splitSql(text).backward ?? '');
  return { text, sectionOffset: text.indexOf(section), statements: splitStatements(section) };
}

const packs = new Map<string, ReadonlyMap<string, Uint8Array> | null>();

/** Out of the pack of the folder's small steps, if there is one and it has it. */
function textOf(file: string): string {
  const dir = dirname(file);
  let pack = packs.get(dir);
  if (pack === undefined) {
    const at = join(dir, packName);
    pack = existsSync(at) ? unpackSteps(readFileSync(at)) : null;
    packs.set(dir, pack);
  }
  const packed = pack?.get(basename(file));
  return packed === undefined ? readFileSync(file, 'utf8') : Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength).toString();
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

/** Sections are trimmed and may be joined from several, so a statement that is not where it should be is looked for. */
function lineOf({ text, sectionOffset }: Script, statement: SqlStatement): number | null {
  const expected = sectionOffset + statement.offset;
  const offset = sectionOffset >= 0 && text.startsWith(statement.text, expected) ? expected : text.indexOf(statement.text);
  return offset < 0 ? null : lineAt(text, offset);
}
