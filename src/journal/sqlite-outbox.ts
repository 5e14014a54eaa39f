// The outbox in SQLite's journal, for whoever delivers. It is written without the lock, beside a run perhaps: nothing but deliveries goes by it.
import type { Outbox } from '../model/notification.ts';
import { openJournalBeside } from './open.ts';
import { outboxEntryOf } from './rows.ts';

/** `null`: there is no journal, or it is one of another version. */
export function openSqliteOutbox(state: string): Outbox | null {
  const database = openJournalBeside(state);
  if (database === null) return null;
  const { db, write } = database;
  return {
    async entries() {
      return db.prepare('SELECT * FROM outbox WHERE next_at IS NOT NULL ORDER BY seq').all().map(outboxEntryOf);
    },
    async claim({ id, nextAt }, until) {
      let taken = false;
      write(() => {
        // Whoever was here in between has changed the time.
        const { changes } = db
          .prepare('UPDATE outbox SET attempts = attempts + 1, next_at = ? WHERE id = ? AND next_at = ?')
          .run(until, id, nextAt);
        taken = changes === 1;
      });
      return taken;
    },
    async settle(id, { nextAt, sentAt, failure }) {
      write(() =>
        db
          .prepare('UPDATE outbox SET next_at = ?, sent_at = ?, failure = ? WHERE id = ?')
          .run(nextAt, sentAt, failure === null ? null : JSON.stringify(failure), id),
      );
    },
    async close() {
      db.close();
    },
  };
}
