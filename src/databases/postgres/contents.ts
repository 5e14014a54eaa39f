// What is in a PostgreSQL database, as far as it decides how a ladder may begin. Reads in one snapshot. Schemas that hold nothing, what extensions
// bring, and Rungs' own bookkeeping are nothing.
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import { recordingTables, type DatabaseContents, type OldRecord } from '../contents.ts';
import { shapeOf } from '../recorded-rows.ts';
import { postgresColumns } from './adoption.ts';
import { mine, notMember } from './catalog.ts';
import { connectPostgres, serverOf, type PostgresTarget } from './connect.ts';

const objectsQuery = `WITH ${mine}
  SELECT name FROM rel
  UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p JOIN ns ON ns.oid = pronamespace WHERE ${notMember('pg_proc', 'p.oid')}
  UNION ALL SELECT t.oid::regtype::text FROM pg_type t JOIN ns ON ns.oid = typnamespace WHERE typtype IN ('e', 'd', 'r') AND ${notMember('pg_type', 't.oid')}
  LIMIT 1000`;

/** Throws POSTGRES_UNREACHABLE, also for what may not be read. */
export async function postgresContents(name: string, target: PostgresTarget): Promise<DatabaseContents> {
  const client = await connectPostgres(target, { name });
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await client.query<{ name: string }>(objectsQuery);
    const records: OldRecord[] = [];
    for (const table of recordingTables) {
      const columns = await postgresColumns(client, table);
      if (columns.size === 0 || (await client.query(`SELECT 1 FROM "${table}" LIMIT 1`)).rowCount === 0) continue;
      records.push({ table, isAdoptable: shapeOf(table, columns) !== null });
    }
    await client.query('ROLLBACK');
    return { objects: rows.map((row) => row.name.replace(/^public\./, '')), records };
  } catch (error) {
    if (error instanceof UpgradeError) throw error;
    throw fail('POSTGRES_UNREACHABLE', { name, server: serverOf(target.url), attempts: 1, error: messageOf(error) }, {}, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
