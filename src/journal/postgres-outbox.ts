// The outbox in PostgreSQL's journal, for whoever delivers, on whichever host. It is written without the lock: nothing but deliveries goes by it.
import { connectPostgres, type PostgresTarget } from '../databases/postgres/connect.ts';
import { endConnection } from '../databases/postgres/connection-loss.ts';
import type { Outbox } from '../model/notification.ts';
import { postgresJournalVersion } from './postgres-schema.ts';
import { outboxEntryOf } from './rows.ts';

/** `null`: there is no journal, or it is one of another version. Throws POSTGRES_UNREACHABLE. */
export async function openPostgresOutbox(target: PostgresTarget, installation: string): Promise<Outbox | null> {
  const client = await connectPostgres(target, { name: 'journal', application: 'rungs outbox' });
  const ask = async (text: string, values: readonly unknown[] = []) =>
    client.query<Record<string, unknown>>(text, [installation, ...values]);
  try {
    const { rows } = await client.query<{ version: number }>(
      "SELECT version FROM rungs.journal WHERE EXISTS (SELECT FROM pg_tables WHERE schemaname = 'rungs' AND tablename = 'outbox')",
    );
    if (rows[0]?.version !== postgresJournalVersion) {
      await endConnection(client);
      return null;
    }
  } catch (error) {
    await endConnection(client);
    throw error;
  }
  return {
    entries: async () =>
      (await ask('SELECT * FROM rungs.outbox WHERE installation = $1 AND next_at IS NOT NULL ORDER BY seq')).rows.map(outboxEntryOf),
    async claim({ id, nextAt }, until) {
      // Whoever was here in between has changed the time.
      const { rowCount } = await ask(
        'UPDATE rungs.outbox SET attempts = attempts + 1, next_at = $4 WHERE installation = $1 AND id = $2 AND next_at = $3',
        [id, nextAt, until],
      );
      return rowCount === 1;
    },
    async settle(id, { nextAt, sentAt, failure }) {
      await ask('UPDATE rungs.outbox SET next_at = $3, sent_at = $4, failure = $5 WHERE installation = $1 AND id = $2', [
        id,
        nextAt,
        sentAt,
        failure === null ? null : JSON.stringify(failure),
      ]);
    },
    close: () => endConnection(client),
  };
}
