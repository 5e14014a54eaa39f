// Where the lock between hosts is recorded: one row for each installation in `rungs.lock`. Promises to make it once, also when several
// hosts begin at the same moment.
import type { Client } from 'pg';

// Anything that no installation's key can be.
const makingKey = "hashtextextended('rungs: making its tables', 0)";

export async function makeLockTable(client: Client): Promise<void> {
  // Looked at first: whoever may only use the tables need not be allowed to make them.
  if (await hasLockTable(client)) return;
  await client.query(`
    BEGIN;
    SELECT pg_advisory_xact_lock(${makingKey});
    CREATE SCHEMA IF NOT EXISTS rungs;
    CREATE TABLE IF NOT EXISTS rungs.lock (
      installation text PRIMARY KEY,
      epoch bigint NOT NULL,
      host text,
      pid integer,
      since timestamptz,
      heartbeat_at timestamptz,
      phase text
    );
    COMMIT`);
}

export async function hasLockTable(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>("SELECT to_regclass('rungs.lock') IS NOT NULL AS found");
  return rows[0]?.found === true;
}
