// The schema of a PostgreSQL database as objects with facts, out of its catalogs: the server's own wording of each definition. Constraints are told
// by what they demand, for their names are often made up. Left out: Rungs' own bookkeeping, what extensions bring, and other tools' records.
import type { Client } from 'pg';
import type { SchemaDump, SchemaObject } from '../../model/schema.ts';
import { recordTables, shapeOf } from '../recorded-rows.ts';
import { postgresColumns } from './adoption.ts';
import { tablesQuery } from './catalog.ts';
import { connectPostgres, type PostgresTarget } from './connect.ts';
import { otherQueries } from './digest.ts';
import { normalised } from './normalise.ts';
import { objectQueries } from './schema-queries.ts';

interface ObjectRow {
  readonly kind: string;
  readonly name: string;
  readonly of: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly minor: Readonly<Record<string, unknown>> | null;
}

/** Throws POSTGRES_UNREACHABLE. */
export async function dumpPostgresSchema(name: string, target: PostgresTarget, signal?: AbortSignal): Promise<SchemaDump> {
  const client = await connectPostgres(target, { name, ...(signal === undefined ? {} : { signal }) });
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const records = await recordsIn(client);
    await client.query("SET LOCAL search_path = ''; SET LOCAL row_security = off; SET LOCAL timezone = 'UTC'");
    const objects = [...(await objectsIn(client)), ...(await otherObjects(client))].filter(
      (object) => !records.some((table) => [object.name, object.of].includes(table) || object.name.startsWith(`${table}_`)),
    );
    const rows: Record<string, { rows: number; digest: string }> = {};
    const { rows: tables } = await client.query<{ shown: string; place: string }>(tablesQuery);
    for (const { shown, place } of tables) if (!records.includes(shown)) rows[shown] = await rowsOf(client, place);
    await client.query('ROLLBACK');
    return { objects, rows, records };
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function objectsIn(client: Client): Promise<readonly SchemaObject[]> {
  const objects: SchemaObject[] = [];
  for (const query of objectQueries) {
    const { rows } = await client.query<ObjectRow>(query);
    objects.push(
      ...rows.map(({ kind, name, of, facts, minor }): SchemaObject => {
        const lesser = textsOf(minor ?? {});
        return {
          kind,
          name: shortened(normalised(name)),
          of: of === null ? null : shortened(of),
          facts: textsOf(facts),
          ...(Object.keys(lesser).length === 0 ? {} : { minor: lesser }),
        };
      }),
    );
  }
  return objects;
}

/** Casts, operators, languages and their like: rare, so that nothing but their catalogs' own columns tells of them. */
async function otherObjects(client: Client): Promise<readonly SchemaObject[]> {
  const objects: SchemaObject[] = [];
  for (const query of await otherQueries(client)) {
    const { rows } = await client.query<{ line: string }>(query);
    for (const { line } of rows) {
      const [kind, name, facts] = JSON.parse(line) as [string, string, Record<string, unknown>];
      objects.push({ kind, name: shortened(name), of: null, facts: textsOf(facts) });
    }
  }
  return objects;
}

/** What does not hold is left out. */
function textsOf(facts: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) => {
      if (value === null || value === false || value === '') return [];
      const text =
        typeof value === 'string' ? value : value === true ? 'yes' : Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
      return [[name, normalised(text)]];
    }),
  );
}

/** As everybody writes it. */
function shortened(name: string): string {
  return name.replace(/^public\./, '').replaceAll(/(?<=[ (,])public\./g, '');
}

/** Those that an unqualified name means. */
async function recordsIn(client: Client): Promise<readonly string[]> {
  const found: string[] = [];
  for (const table of recordTables) {
    const columns = await postgresColumns(client, table);
    const isRecord = shapeOf(table, columns) !== null || ['migration_history', 'migration_lock', 'knex_migrations_lock'].includes(table);
    if (columns.size > 0 && isRecord) found.push(table);
  }
  return found;
}

/** As JSON, whose keys are sorted: the order of columns does not count, nor that of rows. */
async function rowsOf(client: Client, place: string): Promise<{ readonly rows: number; readonly digest: string }> {
  const { rows } = await client.query<{ count: string; digest: string }>(
    `SELECT count(*)::text AS count, md5(coalesce(string_agg(one, ',' ORDER BY one), '')) AS digest FROM (SELECT md5(to_jsonb(t)::text) AS one FROM ONLY ${place} t) told`,
  );
  return { rows: Number(rows[0]?.count ?? 0), digest: rows[0]?.digest ?? '' };
}
