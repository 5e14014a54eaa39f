// A connection pooler between Rungs and the server: with one, a lock of a session means nothing, as the session is not ours alone.
// Given a session, promises to refuse every pooler that gives itself away, in whichever mode it runs.
import type { Client } from 'pg';
import { serverOf } from '../databases/postgres/connect.ts';
import { detectPooler } from '../databases/postgres/pooler.ts';
import { fail } from '../model/failure.ts';

/** The PID of the backend that serves the session. Throws POSTGRES_POOLER. */
export async function refusePooler(client: Client, url: string): Promise<number> {
  if (await detectPooler(client)) throw fail('POSTGRES_POOLER', { name: 'journal', server: serverOf(url) });
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}
