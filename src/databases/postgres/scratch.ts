// Databases beside a real one, for trying something on: empty, with its encoding and locale, and gone afterwards. The real one is neither read nor written.
import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import type { PostgresTarget } from './connect.ts';
import { databaseOf, withDatabase } from './libpq.ts';
import { connectBeside } from './maintenance.ts';

export interface ScratchDatabase {
  readonly target: PostgresTarget;
  /** Whoever is still in it is put out. */
  readonly drop: () => Promise<void>;
}

/** Throws POSTGRES_NO_MAINTENANCE, POSTGRES_NO_SCRATCH. */
export async function makeScratchDatabase(target: PostgresTarget, name: string, signal?: AbortSignal): Promise<ScratchDatabase> {
  // Recognisable for people, should nobody be left to drop it.
  const scratch = `rungs_check_${randomBytes(6).toString('hex')}`;
  const drop = (): Promise<void> =>
    beside(target, name, async (client) => void (await client.query(`DROP DATABASE IF EXISTS ${scratch} WITH (FORCE)`)));
  const model = await databaseOf(target);
  try {
    await beside(target, name, async (client) => {
      signal?.throwIfAborted();
      await create(client, { scratch, model, name });
    });
  } catch (error) {
    await drop().catch(() => undefined);
    throw error;
  }
  return { target: withDatabase(target, scratch), drop };
}

async function create(client: Client, { scratch, model, name }: { scratch: string; model: string; name: string }): Promise<void> {
  const { rows } = await client.query<{ role: string; row: Readonly<Record<string, unknown>> | null; encoding: string | null }>(
    `SELECT current_user::text AS role, to_jsonb(d) AS row, pg_encoding_to_char(d.encoding)::text AS encoding
     FROM (SELECT 1) one LEFT JOIN pg_database d ON datname = $1`,
    [model],
  );
  const { role = '', row = null, encoding = null } = rows[0] ?? {};
  try {
    await client.query(
      `CREATE DATABASE ${scratch} TEMPLATE template0 ${row === null ? '' : `ENCODING ${literal(encoding)} ${localeOf(row)}`}`,
    );
    await client.query(`COMMENT ON DATABASE ${scratch} IS 'scratch of "upgrade check --fresh": may be dropped'`);
  } catch (error) {
    if (error instanceof UpgradeError) throw error;
    throw fail('POSTGRES_NO_SCRATCH', { name, role, error: messageOf(error) }, {}, error);
  }
}

function localeOf(row: Readonly<Record<string, unknown>>): string {
  const locale = row['datlocale'] ?? row['daticulocale'];
  return [
    `LC_COLLATE ${literal(row['datcollate'])} LC_CTYPE ${literal(row['datctype'])}`,
    ...(row['datlocprovider'] === 'i' ? [`LOCALE_PROVIDER icu ICU_LOCALE ${literal(locale)}`] : []),
    ...(row['datlocprovider'] === 'b' ? [`LOCALE_PROVIDER builtin BUILTIN_LOCALE ${literal(locale)}`] : []),
  ].join(' ');
}

function literal(value: unknown): string {
  return `'${String(value).replaceAll("'", "''")}'`;
}

async function beside(target: PostgresTarget, name: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = await connectBeside(target, { name });
  try {
    await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
