// What another migration tool recorded in a PostgreSQL database, read in one read-only snapshot of it.
import type { Client } from 'pg';
import { fail, messageOf, UpgradeError, type Place } from '../../model/failure.ts';
import type { Bookkeeping } from '../../model/ladder.ts';
import { readRecord, recordTables, type Row, type TableRead } from '../recorded-rows.ts';
import { connectPostgres, serverOf, type PostgresTarget } from './connect.ts';

interface Request {
  readonly ladder: string;
  /** The database's name in the config. */
  readonly database: string;
  readonly target: PostgresTarget;
  /** Where the database is named, for what is wrong with its record. */
  readonly place: Place;
}

/** Throws POSTGRES_UNREACHABLE, also where the record may not be read. */
export async function readPostgresRecord({ ladder, database, target, place }: Request): Promise<Bookkeeping> {
  const client = await connectPostgres(target, { name: database });
  const server = serverOf(target.url);
  try {
    // One snapshot, so that the tables tell of the same moment.
    await client.query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '60s'",
    );
    const tables = new Map<string, TableRead>();
    for (const table of recordTables) {
      const columns = await postgresColumns(client, table);
      if (columns.size > 0) tables.set(table, { columns, rows: await rowsOf(client, table, columns) });
    }
    await client.query('ROLLBACK');
    return readRecord(tables, { ladder, where: `${server} (database "${database}")`, place }, (shape, from) => ({
      kind: 'postgres',
      server,
      database,
      shape,
      tables: from,
    }));
  } catch (error) {
    if (error instanceof UpgradeError) throw error;
    throw fail('POSTGRES_UNREACHABLE', { name: database, server, attempts: 1, error: messageOf(error) }, { place }, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Of the table that an unqualified name means; empty where there is none. */
export async function postgresColumns(client: Client, table: string): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped',
    [`"${table}"`],
  );
  return new Set(rows.map(({ name }) => name));
}

async function rowsOf(client: Client, table: string, columns: ReadonlySet<string>): Promise<readonly Row[]> {
  // As JSON: times come as ISO texts, not in the zone of this process.
  const { rows } = await client.query<{ row: Row }>(
    `SELECT to_jsonb(t) AS row FROM "${table}" AS t${columns.has('id') ? ' ORDER BY t.id' : ''}`,
  );
  return rows.map(({ row }) => row);
}
