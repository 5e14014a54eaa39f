// Where the journal of several hosts lives in the database itself, renaming would take it away: everything else is then replaced in one transaction,
// all or nothing, by a dump that was proven beside it before.
import type { Client } from 'pg';
import { fail } from '../../model/failure.ts';
import type { LogicalDigest } from '../../model/manifest.ts';
import { quoted } from './beside.ts';
import { connectPostgres, type PostgresTarget } from './connect.ts';
import { differencesOf, digestInTransaction } from './digest.ts';
import { serverVersion } from './dump.ts';
import { mayEnd } from './maintenance.ts';
import { playDump } from './play-script.ts';
import type { PostgresTools } from './tools.ts';

export async function holdsJournal(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regnamespace('rungs') IS NOT NULL AS there");
  return rows[0]?.there === true;
}

export interface InPlaceRequest {
  readonly target: PostgresTarget;
  readonly dumpFile: string;
  readonly tools: PostgresTools;
  readonly name: string;
  readonly expected: LogicalDigest;
  readonly signal?: AbortSignal | undefined;
}

/** Sessions of Rungs are left alone (but for those of a restore that was killed): the journal is written, and locks are held, by them. Throws POSTGRES_RESTORE_DIFFERS, and what the server says; then nothing has changed. */
export async function restoreInPlace({ target, dumpFile, tools, name, expected, signal }: InPlaceRequest): Promise<void> {
  const client = await connectPostgres(target, { name, application: 'rungs restore' });
  try {
    await client.query("SET search_path = ''; BEGIN; SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0");
    await endOthers(client);
    for (const statement of await dropStatements(client)) await client.query(statement);
    await playDump(client, tools, dumpFile, { name, signal });
    const why = differencesOf(expected, await digestInTransaction(client, signal));
    if (why.length > 0) throw fail('POSTGRES_RESTORE_DIFFERS', { name, database: 'in its place', why: why.join(', ') });
    signal?.throwIfAborted();
    await client.query('COMMIT');
  } finally {
    // Also ends what was not committed.
    await client.end().catch(() => undefined);
  }
}

/** They would hold locks for as long as they like. Those that come in meanwhile wait for the transaction. */
async function endOthers(client: Client): Promise<void> {
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND (application_name NOT LIKE 'rungs%' OR application_name = 'rungs restore')
       AND ${mayEnd}`,
  );
}

async function dropStatements(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ kind: string; name: string }>(`
    SELECT 'EVENT TRIGGER' AS kind, quote_ident(evtname) AS name FROM pg_event_trigger
    UNION ALL SELECT 'PUBLICATION', quote_ident(pubname) FROM pg_publication
    UNION ALL SELECT 'EXTENSION', quote_ident(extname) FROM pg_extension
      WHERE extname <> 'plpgsql' AND extnamespace IS DISTINCT FROM to_regnamespace('rungs')
    UNION ALL SELECT 'SCHEMA', quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'rungs')
    UNION ALL SELECT 'SERVER', quote_ident(srvname) FROM pg_foreign_server
    UNION ALL SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname) FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'LANGUAGE', quote_ident(lanname) FROM pg_language WHERE oid >= 16384
    UNION ALL SELECT 'large object', oid::text FROM pg_largeobject_metadata`);
  const statements = rows.map(({ kind, name }) =>
    kind === 'large object' ? `SELECT pg_catalog.lo_unlink(${name})` : `DROP ${kind} IF EXISTS ${name} CASCADE`,
  );
  return [...statements, ...(await freshPublic(client))];
}

/** As every new database has it: a dump says only in what it differs from that. */
async function freshPublic(client: Client): Promise<readonly string[]> {
  const { major } = await serverVersion(client);
  const { rows } = await client.query<{ owner: string }>('SELECT pg_get_userbyid(10)::text AS owner');
  const owner = major >= 15 ? 'pg_database_owner' : (rows[0]?.owner ?? 'postgres');
  return [
    `CREATE SCHEMA public AUTHORIZATION ${quoted(owner)}`,
    `GRANT ${major >= 15 ? 'USAGE' : 'ALL'} ON SCHEMA public TO PUBLIC`,
    `COMMENT ON SCHEMA public IS 'standard public schema'`,
  ];
}
