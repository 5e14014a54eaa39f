// Writes what a run did into the record that another tool keeps in a PostgreSQL database, in one transaction.
import type { Client } from 'pg';
import type { RecordConnection } from '../record-changes.ts';
import { writeRecord, type WriteBackRequest } from '../write-back.ts';
import { postgresColumns } from './adoption.ts';
import { connectPostgres, type PostgresTarget } from './connect.ts';

/** Says whether there was a record to write to. Throws POSTGRES_UNREACHABLE, and what the server throws; then nothing was written. */
export async function writeBackToPostgres(name: string, target: PostgresTarget, request: WriteBackRequest): Promise<boolean> {
  const client = await connectPostgres(target, { name });
  try {
    // Whoever else is at the table: it is not waited for without end.
    await client.query("BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '60s'");
    const isWritten = await writeRecord(connectionOf(client), request);
    await client.query('COMMIT');
    return isWritten;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function connectionOf(client: Client): RecordConnection {
  return {
    dialect: 'postgres',
    columns: (table) => postgresColumns(client, table),
    async change(sql, values) {
      return (await client.query(numbered(sql), [...values])).rowCount ?? 0;
    },
    async ask(sql, values) {
      const { rows } = await client.query<Record<string, unknown>>(numbered(sql), [...values]);
      return Object.values(rows[0] ?? {})[0];
    },
    async run(sql) {
      await client.query(sql);
    },
  };
}

/** `$1`, `$2`, … where SQLite writes `?`. */
function numbered(sql: string): string {
  let at = 0;
  return sql.replaceAll('?', () => `$${(at += 1)}`);
}
