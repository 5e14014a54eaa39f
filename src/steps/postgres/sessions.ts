// Sessions that a run has at a PostgreSQL server. Promises that those it is asked to end are really gone: only then the markers tell the truth.
import type { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../model/failure.ts';

/** What `pg_stat_activity` calls the sessions of a run's steps. */
export function applicationOf(runId: string): string {
  return `rungs steps ${runId}`.slice(0, 63);
}

export type Whose = { readonly pid: number } | { readonly runId: string };

const goneWithinMs = 30_000;

/** A session whose client has died goes on to the end of what it was sent. Throws STEP_SESSION_STAYS. */
export async function endSessions(client: Client, whose: Whose, database: string): Promise<void> {
  const [condition, value] = 'pid' in whose ? ['pid = $1', whose.pid] : ['application_name = $1', applicationOf(whose.runId)];
  const others = `FROM pg_stat_activity WHERE ${condition} AND pid <> pg_backend_pid() AND datname = current_database()`;
  const deadline = performance.now() + goneWithinMs;
  for (let waitMs = 2; ; waitMs = Math.min(100, waitMs * 2)) {
    const { rows } = await client.query<{ pid: number }>(`SELECT pid, pg_terminate_backend(pid) ${others}`, [value]);
    const [first] = rows;
    if (first === undefined) return;
    if (performance.now() > deadline) throw fail('STEP_SESSION_STAYS', { database, pid: first.pid });
    await sleep(waitMs);
  }
}
