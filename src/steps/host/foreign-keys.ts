// Runs work with foreign keys off, as a table rebuild needs it (DROP TABLE would empty the tables that refer to it), and finds what it left dangling.
import type { DatabaseSync } from 'node:sqlite';

export interface ForeignKeyWatch {
  /** Tables that have more dangling rows than before. */
  readonly broken: () => readonly string[];
  /** Outside a transaction. */
  readonly restore: () => void;
}

/** Outside a transaction: SQLite ignores the pragma within one. */
export function suspendForeignKeys(db: DatabaseSync): ForeignKeyWatch {
  const before = danglingRows(db);
  db.exec('PRAGMA foreign_keys = OFF');
  return {
    broken: () => [...danglingRows(db)].filter(([table, count]) => count > (before.get(table) ?? 0)).map(([table]) => table),
    restore: () => db.exec('PRAGMA foreign_keys = ON'),
  };
}

function danglingRows(db: DatabaseSync): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { table } of db.prepare('PRAGMA foreign_key_check').iterate()) {
    counts.set(String(table), (counts.get(String(table)) ?? 0) + 1);
  }
  return counts;
}
