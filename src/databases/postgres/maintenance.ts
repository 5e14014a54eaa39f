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

/** Of a row of `pg_stat_activity`: whether the server would let us end that session. Asking for one that it would not is an error. */
export const mayEnd = `(
  current_setting('is_superuser') = 'on'
  OR ((pg_has_role(usesysid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER')) AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = usesysid)))`;
