// What PostgreSQL's own programs need to reach the server that `pg` reaches. All of it goes by the environment: arguments can be read by everybody.
import { env } from 'node:process';
import type { PostgresTarget } from './connect.ts';

const fromUrl: Readonly<Record<string, string>> = {
  sslmode: 'PGSSLMODE',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslrootcert: 'PGSSLROOTCERT',
  sslcrl: 'PGSSLCRL',
  options: 'PGOPTIONS',
  channel_binding: 'PGCHANNELBINDING',
  gssencmode: 'PGGSSENCMODE',
};

export async function libpqEnvironment({ url }: PostgresTarget): Promise<NodeJS.ProcessEnv> {
  const { default: pg } = await import('pg');
  // Read by `pg` itself, so that both mean the same server, also where the URL leaves something out.
  const { host, port, user, database, password } = new pg.Client({ connectionString: url });
  const { PGSERVICE: _service, PGHOSTADDR: _address, ...inherited } = env;
  return {
    ...inherited,
    ...settingsOf(url),
    PGHOST: host,
    PGPORT: String(port),
    PGCONNECT_TIMEOUT: '10',
    PGAPPNAME: 'rungs',
    // Messages are shown, and some are understood.
    LC_ALL: 'C',
    ...(user === undefined ? {} : { PGUSER: user }),
    ...(database === undefined ? {} : { PGDATABASE: database }),
    ...(typeof password === 'string' && password !== '' ? { PGPASSWORD: password } : {}),
  };
}

/** The database that the URL names, as `pg` reads it. */
export async function databaseOf({ url }: PostgresTarget): Promise<string> {
  const { default: pg } = await import('pg');
  const { database, user } = new pg.Client({ connectionString: url });
  return database ?? user ?? '';
}

/** The same server, another database. */
export function withDatabase(target: PostgresTarget, database: string): PostgresTarget {
  const url = new URL(target.url);
  url.pathname = `/${encodeURIComponent(database)}`;
  return { ...target, url: url.href };
}

function settingsOf(url: string): NodeJS.ProcessEnv {
  const { searchParams } = new URL(url);
  const settings: NodeJS.ProcessEnv = {};
  for (const [parameter, variable] of Object.entries(fromUrl)) {
    const value = searchParams.get(parameter);
    // `no-verify` is a word of `pg` alone.
    if (value !== null) settings[variable] = value === 'no-verify' ? 'require' : value;
  }
  const ssl = searchParams.get('ssl');
  if ((ssl === 'true' || ssl === '1') && settings['PGSSLMODE'] === undefined) settings['PGSSLMODE'] = 'require';
  return settings;
}
