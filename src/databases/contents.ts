// What is in a database, as far as it decides how a ladder may begin: whether anybody made anything in it, and whether another tool has migrated it.
// Only reads; a SQLite database is opened without a trace.
import { existsSync } from 'node:fs';
import type { DatabaseConfig } from '../model/config.ts';
import { readStill } from './open-still.ts';
import { historyTable, recordTables, shapeOf } from './recorded-rows.ts';
import { sqliteColumns } from './adoption.ts';

export interface DatabaseContents {
  /** What somebody made, by name; without Rungs' own bookkeeping. Empty: nothing, or there is no such database. */
  readonly objects: readonly string[];
  /** Tables in which a migration tool has recorded something. */
  readonly records: readonly OldRecord[];
}

export interface OldRecord {
  readonly table: string;
  /** `upgrade adopt` understands it. */
  readonly isAdoptable: boolean;
}

/** Tables of which one row says that something was migrated. */
export const recordingTables = recordTables.filter((table) => table !== historyTable && !table.endsWith('_lock'));

/** Throws DATABASE_UNREACHABLE, DATABASE_CORRUPT, DATABASE_BUSY, POSTGRES_UNREACHABLE. */
export async function contentsOf(name: string, database: DatabaseConfig): Promise<DatabaseContents> {
  if (database.kind === 'postgres') return (await import('./postgres/contents.ts')).postgresContents(name, database);
  const { file } = database;
  if (!existsSync(file)) return { objects: [], records: [] };
  return readStill(
    file,
    (open) => {
      const objects = open
        .prepare(
          String.raw`SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' AND tbl_name <> '_rungs_marker' ORDER BY rowid`,
        )
        .all()
        .map((row) => String(row['name']));
      const records = recordingTables.flatMap((table): readonly OldRecord[] => {
        const columns = sqliteColumns(open, table);
        if (columns.size === 0 || open.prepare(`SELECT 1 FROM "${table}" LIMIT 1`).get() === undefined) return [];
        return [{ table, isAdoptable: shapeOf(table, columns) !== null }];
      });
      return { objects, records };
    },
    { name, deadlineMs: 5_000 },
  );
}
