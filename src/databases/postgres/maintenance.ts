// A session beside a database, from where it can be created, renamed and dropped: its own sessions would stand in the way.
import type { Client } from 'pg';
import { fail, failuresOf } from '../../model/failure.ts';
import { connectPostgres, type ConnectOptions, type PostgresTarget } from './connect.ts';
import { databaseOf, withDatabase } from './libpq.ts';

/** Throws POSTGRES_NO_MAINTENANCE. */
export async function connectBeside(target: PostgresTarget, options: Pick<ConnectOptions, 'name' | 'signal'>): Promise<Client> {
  const own = await databaseOf(target);
  let error = '';
  for (const database of ['postgres', 'template1']) {
    if (database === own) continue;
    try {
      return await connectPostgres(withDatabase(target, database), { ...options, application: 'rungs restore' });
    } catch (caught) {
      options.signal?.throwIfAborted();
      error ||= failuresOf(caught)
        .map(({ message }) => message)
        .join(' ')
        .replace(/\.$/, '');
    }
  }
  throw fail('POSTGRES_NO_MAINTENANCE', { name: options.name, error });
}

/**
 * The server goes on with what a killed process asked of it, a CREATE DATABASE for one. Such a session is ended, and its end waited for; only then is the
 * database this session's to restore.
 */
export async function claimRestore(beside: Client, database: string): Promise<void> {
  const key = ["hashtext('rungs restore')", 'hashtext($1)'] as const;
  const tried = await beside.query<{ mine: boolean }>(`SELECT pg_try_advisory_lock(${key.join(', ')}) AS mine`, [database]);
  if (tried.rows[0]?.mine === true) return;
  await beside.query(
    `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND application_name = 'rungs restore'
     WHERE locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND classid::bigint = ${key[0]}::bigint & 4294967295 AND objid::bigint = ${key[1]}::bigint & 4294967295 AND ${mayEnd}`,
    [database],
  );
  await beside.query("SET lock_timeout = '60s'");
  await beside.query(`SELECT pg_advisory_lock(${key.join(', ')})`, [database]);
  await beside.query('RESET lock_timeout');
}

/** Of a row of `pg_stat_activity`: whether the server would let us end that session. Asking for one that it would not is an error. */
export const mayEnd = `(
  current_setting('is_superuser') = 'on'
  OR ((pg_has_role(usesysid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER')) AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid)))`;
