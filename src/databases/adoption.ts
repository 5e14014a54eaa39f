// What another migration tool recorded in a SQLite database. Opened without a trace, and only read.
import type { DatabaseSync } from 'node:sqlite';
import type { Bookkeeping } from '../model/ladder.ts';
import { readStill } from './open-still.ts';
import { readRecord, recordTables, type Row, type TableRead } from './recorded-rows.ts';

interface Request {
  readonly ladder: string;
  /** The database's name in the config. */
  readonly database: string;
  readonly file: string;
}

/** Throws DATABASE_UNREACHABLE, DATABASE_CORRUPT, DATABASE_BUSY. */
export async function readSqliteRecord({ ladder, database, file }: Request): Promise<Bookkeeping> {
  return readStill(
    file,
    (open) => {
      const tables = new Map(
        recordTables.map((table) => [table, readTable(open, table)] as const).filter(([, { columns }]) => columns.size > 0),
      );
      return readRecord(tables, { ladder, where: file, place: { file } }, (shape, from) => ({
        kind: 'sqlite',
        file,
        database,
        shape,
        tables: from,
      }));
    },
    { name: database, deadlineMs: 5_000 },
  );
}

function readTable(open: DatabaseSync, table: string): TableRead {
  const columns = sqliteColumns(open, table);
  return { columns, rows: columns.size === 0 ? [] : rowsOf(open, table) };
}

/** In small letters; empty where there is no such table. */
export function sqliteColumns(open: DatabaseSync, table: string): ReadonlySet<string> {
  return new Set(
    open
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(table)
      .map(({ name }) => String(name).toLowerCase()),
  );
}

function rowsOf(open: DatabaseSync, table: string): readonly Row[] {
  const statement = open.prepare(`SELECT * FROM "${table}"`);
  // A number beyond what JavaScript holds exactly must not be an exception.
  statement.setReadBigInts(true);
  return statement.all().map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key.toLowerCase(), value])));
}
