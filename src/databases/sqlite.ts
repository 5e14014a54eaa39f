// SQLite: a consistent copy of a live database, its checks, and its contents as a digest. Nothing here changes the database it reads.
import { backup } from 'node:sqlite';
import type { DatabaseSync } from 'node:sqlite';
import { readStill, type ReadOptions } from './open-still.ts';

export { logicalDigest } from './logical-digest.ts';
export { readStill } from './open-still.ts';
export type { ReadOptions } from './open-still.ts';

/** The files that SQLite keeps beside a database. */
export const sidecars = ['-wal', '-shm', '-journal'] as const;

/**
 * Copies one snapshot of `source` to `target`, what is only in the WAL included, while others may read and write it.
 * The copy needs no -wal. Throws DATABASE_BUSY, DATABASE_CORRUPT, DATABASE_UNREACHABLE.
 */
export async function copyDatabase(source: string, target: string, options: ReadOptions = {}): Promise<void> {
  // The read transaction that `readStill` opens pins the snapshot: the copy never starts again because somebody wrote.
  await readStill(
    source,
    async (database) => {
      await backup(database, target, { rate: 4096, progress: () => options.signal?.throwIfAborted() });
    },
    options,
  );
}

/** What `PRAGMA integrity_check` complains of; empty is sound. */
export async function integrityCheck(file: string, options: ReadOptions = {}): Promise<readonly string[]> {
  return readStill(file, integrityProblems, options);
}

/** Rows whose foreign keys point to nothing, as `orders.customer_id → customers (row 3)`. */
export async function foreignKeyCheck(file: string, options: ReadOptions = {}): Promise<readonly string[]> {
  return readStill(file, foreignKeyProblems, options);
}

export function integrityProblems(database: DatabaseSync): readonly string[] {
  const lines = database
    .prepare('PRAGMA integrity_check(20)')
    .all()
    .map((row) => String(row['integrity_check']));
  return lines.filter((line) => line !== 'ok');
}

export function foreignKeyProblems(database: DatabaseSync): readonly string[] {
  const problems: string[] = [];
  for (const { table, rowid, parent } of database.prepare('PRAGMA foreign_key_check').iterate()) {
    if (problems.length === 20) return [...problems, 'and more'];
    problems.push(`${String(table)} → ${String(parent)} (${rowid === null ? 'a row' : `row ${String(rowid)}`})`);
  }
  return problems;
}
