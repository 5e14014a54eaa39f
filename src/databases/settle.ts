// Brings a SQLite database to rest that is about to be replaced: what its WAL holds, and what a journal that was left behind takes back, is in the file itself then.
// So nothing is lost, and nothing half is there, in the moment between the going of these and the coming of the other file.
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Given a file that may be anything. What cannot be opened, or is in use, stays as it is: it may be the very reason for a restore, and is kept with all that lies beside it. */
export function settleDatabase(file: string): void {
  const isAtRest = ['-wal', '-journal'].every((suffix) => (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0) === 0);
  if (isAtRest) return;
  try {
    const database = new DatabaseSync(file, { timeout: 1000 });
    try {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      database.close();
    }
  } catch {
    // See above.
  }
}
