// Writes what a run did into the record that another tool keeps in a SQLite database, in one transaction.
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { RecordShape } from '../model/ladder.ts';
import { sqliteColumns } from './adoption.ts';
import { applyChanges, makeRecord, shapeThere, type RecordChange, type RecordConnection } from './record-changes.ts';

export interface WriteBackRequest {
  /** The shape that the ladder was adopted from: made anew where it is gone. `null`: it was not adopted. */
  readonly adoptedShape: RecordShape | null;
  readonly changes: readonly RecordChange[];
  /** All that is applied, for a record that has to be made. */
  readonly standing: readonly RecordChange[];
}

/** Says whether there was a record to write to. Throws what SQLite throws; then nothing was written. */
export async function writeBackToSqlite(file: string, request: WriteBackRequest): Promise<boolean> {
  if (!existsSync(file)) return false;
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    database.exec('BEGIN IMMEDIATE');
    const isWritten = await writeRecord(connectionOf(database), request);
    database.exec('COMMIT');
    return isWritten;
  } finally {
    // Closing takes back what was not committed.
    database.close();
  }
}

export async function writeRecord(connection: RecordConnection, { adoptedShape, changes, standing }: WriteBackRequest): Promise<boolean> {
  const there = await shapeThere(connection, adoptedShape);
  const shape = there ?? adoptedShape;
  if (shape === null) return false;
  if (there === null) {
    await makeRecord(connection, shape);
    await applyChanges(connection, shape, standing);
  }
  await applyChanges(connection, shape, changes);
  return true;
}

function connectionOf(database: DatabaseSync): RecordConnection {
  return {
    dialect: 'sqlite',
    async columns(table) {
      return sqliteColumns(database, table);
    },
    async change(sql, values) {
      return Number(database.prepare(sql).run(...values).changes);
    },
    async ask(sql, values) {
      return Object.values(database.prepare(sql).get(...values) ?? {})[0];
    },
    async run(sql) {
      database.exec(sql);
    },
  };
}
