// Rows of a SQLite database in batches, for `ctx.batches`. Never OFFSET: each page begins behind the last key, so what is changed behind it shifts nothing.
import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { messageOf } from '../../model/failure.ts';
import type { SqliteHandle, SqlRow, SqlValue } from '../../step-api.ts';
import type { BatchCall } from './batch-query.ts';
import type { BatchSource, SourceRefusals } from './batch-source.ts';
import type { BatchStore } from './session.ts';
import { quoted, sqliteKey } from './sqlite-key.ts';

const watch = '_rungs_batches_key';
const keyChange = 'a key of the rows that are gone through in batches would change';

export function openSqliteSource(store: BatchStore, call: BatchCall, refuse: SourceRefusals): BatchSource<SqliteHandle> {
  const { db } = store.connection;
  const { key, from, isRowid, watched } = sqliteKey(db, call, refuse);
  const columns = key.map(quoted);
  const list = columns.join(', ');
  const after = columns.length === 1 ? `${list} > ?` : `(${list}) > (${columns.map(() => '?').join(', ')})`;
  const order = `ORDER BY ${list} LIMIT ?`;
  const prepare = (sql: string): StatementSync => {
    try {
      return db.prepare(sql);
    } catch (error) {
      return refuse.query(`SQLite says: ${messageOf(error)}`);
    }
  };
  const first = prepare(`${from.select} ${from.where === null ? '' : `WHERE ${from.where}`} ${order}`);
  const next = prepare(`${from.select} WHERE ${from.where === null ? '' : `${from.where} AND `}${after} ${order}`);
  const read = exactReader();
  const all = `(${from.select} ${from.where === null ? '' : `WHERE ${from.where}`})`;
  return {
    db: store.handle,
    key,
    fingerprint: hash('sha256', JSON.stringify([from, key, call.parameters.map(String)]), 'hex').slice(0, 16),
    saved: async () => store.saved(),
    begin: async () => store.begin(),
    count: async () => {
      const found = columns.map((column, index) => `count(${column}) AS c${index}`).join(', ');
      const counts = prepare(`SELECT count(*) AS total${isRowid ? '' : `, ${found}`} FROM ${all}`).get(...call.parameters);
      const total = Number(counts?.['total']);
      if (isRowid) return total;
      if (columns.some((_, index) => Number(counts?.[`c${index}`]) < total)) refuse.key({ kind: 'null', columns: key });
      const twice = prepare(`SELECT 1 FROM ${all} GROUP BY ${list} HAVING count(*) > 1 LIMIT 1`).get(...call.parameters);
      return twice === undefined ? total : refuse.key({ kind: 'not-unique', columns: key });
    },
    page: async (behind, size) => {
      const rows = behind === null ? read(first, [...call.parameters, size]) : read(next, [...call.parameters, ...behind, size]);
      const last = rows.at(-1);
      return { rows, last: last === undefined ? null : key.map((column) => last[column] ?? null) };
    },
    watchKey: async () => {
      if (watched === null) return;
      // It is this connection's alone, and costs only statements that name one of these columns.
      const changes = watched.columns.map((column) => `OLD.${quoted(column)} IS NOT NEW.${quoted(column)}`).join(' OR ');
      unwatch(db);
      db.exec(
        `CREATE TEMP TRIGGER ${watch} BEFORE UPDATE OF ${watched.columns.map(quoted).join(', ')} ON main.${quoted(watched.table)} WHEN ${changes} BEGIN SELECT RAISE(ABORT, '${keyChange}'); END`,
      );
    },
    unwatchKey: async () => unwatch(db),
    isKeyChange: (error) => messageOf(error).includes(keyChange),
    commit: async (value) => store.commit(value),
    rollback: async () => store.rollback(),
  };
}

function unwatch(db: DatabaseSync): void {
  db.exec(`DROP TRIGGER IF EXISTS temp.${watch}`);
}

/** Integers beyond 2^53 as bigint, all others as number: reading everything as bigint would take three times as long. */
function exactReader(): (statement: StatementSync, values: readonly SqlValue[]) => SqlRow[] {
  let needsBig = false;
  return (statement, values) => {
    if (!needsBig) {
      try {
        return statement.all(...values);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        needsBig = true;
      }
    }
    statement.setReadBigInts(true);
    const rows = statement.all(...values);
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        if (typeof value === 'bigint' && BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)))
          row[column] = Number(value);
      }
    }
    return rows;
  };
}
