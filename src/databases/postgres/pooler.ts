// Tells a pooler that hands sessions on between transactions: advisory locks, snapshots and settings would silently be somebody else's.
import type { Client } from 'pg';

/**
 * The server tells its process at the start of a session; a pooler tells a number of its own, so a difference is a pooler, always. It may keep sessions
 * apart all the same: with `another` session that is shown, by finding two sessions on one process of the server at once. Without it any pooler counts.
 */
export async function detectPooler(client: Client, another?: () => Promise<Client>): Promise<boolean> {
  const own = await pidOf(client);
  const told = 'processID' in client && typeof client.processID === 'number' ? client.processID : null;
  if (told === null || told === own) return false;
  if (another === undefined) return true;
  const second = await another();
  try {
    // Held in a transaction, so that a pool cannot serve both with one process while the first asks again.
    await second.query('BEGIN');
    const seconds = await pidOf(second);
    const isShared = seconds === own || (await pidOf(client)) !== own;
    await second.query('ROLLBACK');
    return isShared;
  } finally {
    await second.end().catch(() => undefined);
  }
}

async function pidOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? -1;
}
