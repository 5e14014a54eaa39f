// What a PostgreSQL database says, as digests: equal for equal contents, whatever the order of rows, free space or OIDs look like.
import { hash as hashOnce } from 'node:crypto';
import type { Client } from 'pg';
import type { LogicalDigest } from '../../model/manifest.ts';
import { invalidIndexesQuery, otherCatalogs, schemaQueries, sequencesQuery, tablesQuery } from './catalog.ts';
import { normalised } from './normalise.ts';

/** How values are told must not depend on who asks. */
const settings = `
  SET LOCAL search_path = '';
  SET LOCAL extra_float_digits = 3;
  SET LOCAL datestyle = 'ISO, YMD';
  SET LOCAL intervalstyle = 'postgres';
  SET LOCAL timezone = 'UTC';
  SET LOCAL bytea_output = 'hex';
  SET LOCAL quote_all_identifiers = off;
  SET LOCAL row_security = off;
  SET LOCAL statement_timeout = 0`;

/** For a table that somebody else has locked whole; then it is an error (55P03). */
const longestLockWaitMs = 60_000;

const largeObjects = 'large objects';
const sequencePrefix = 'sequence ';
const invalidPrefix = 'invalid index ';

/** In a transaction of its own, of one snapshot. See `digestInTransaction`. */
export async function digestPostgres(client: Client, signal?: AbortSignal, lockWaitMs = longestLockWaitMs): Promise<LogicalDigest> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    return await digestInTransaction(client, signal, lockWaitMs);
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/**
 * Within the transaction that is open. Covers the schema (objects, owners, rights, comments), every table's values, sequences and large objects. Left out: the
 * schema `rungs`, marker tables, what extensions bring, rows of materialised views, statistics. Beside tables, `tables` lists sequences, large objects and
 * invalid indexes by such names.
 */
export async function digestInTransaction(client: Client, signal?: AbortSignal, lockWaitMs = longestLockWaitMs): Promise<LogicalDigest> {
  // A table may take minutes: whoever aborts does not wait for it. The transaction ends with its session.
  const cut = (): void => void client.end().catch(() => undefined);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', cut, { once: true });
  try {
    await client.query(`${settings}; SET LOCAL lock_timeout = ${lockWaitMs}`);
    return await digestOf(client, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cut);
  }
}

async function digestOf(client: Client, signal: AbortSignal | undefined): Promise<LogicalDigest> {
  const lines: string[] = [];
  for (const query of [...schemaQueries, ...(await otherQueries(client))]) {
    signal?.throwIfAborted();
    const { rows } = await client.query<{ line: string }>(query);
    lines.push(...rows.map((row) => normalised(row.line)));
  }
  const schema = hashOnce('sha256', JSON.stringify(withoutEmptyPublic(lines.toSorted())));

  const tables: Record<string, { rows: number; digest: string }> = {};
  const { rows: found } = await client.query<{ shown: string; place: string; columns: string | null }>(tablesQuery);
  for (const { shown, place, columns } of found) {
    signal?.throwIfAborted();
    tables[shown] = await sumOf(client, `SELECT ROW(${columns ?? ''})::text AS one FROM ONLY ${place}`);
  }
  const objects = await sumOf(
    client,
    `SELECT concat_ws(' ', oid, pg_get_userbyid(lomowner), encode(sha256(lo_get(oid)), 'hex')) AS one FROM pg_largeobject_metadata`,
  );
  if (objects.rows > 0) tables[largeObjects] = objects;
  Object.assign(tables, sequenceDigests(await sequenceValues(client)));
  const { rows: invalid } = await client.query<{ name: string }>(invalidIndexesQuery);
  for (const { name } of invalid) tables[invalidPrefix + name] = { rows: 0, digest: hashOnce('sha256', name) };
  return withTotal(schema, tables);
}

/** The same digest with other values of sequences: those that a dump holds are later than its snapshot, because no transaction holds sequences still. */
export function withSequences({ schema, tables }: LogicalDigest, values: readonly SequenceValue[]): LogicalDigest {
  const others = Object.entries(tables).filter(([name]) => !name.startsWith(sequencePrefix));
  return withTotal(schema, { ...Object.fromEntries(others), ...sequenceDigests(values) });
}

/** In which ways `live` is not what `expected` says, for people; empty where nothing differs. An index that was invalid and is gone is no difference: no restore brings it back. */
export function differencesOf(expected: LogicalDigest, live: LogicalDigest): readonly string[] {
  const names = [...new Set([...Object.keys(expected.tables), ...Object.keys(live.tables)])].toSorted();
  const changed = names.filter(
    (name) =>
      expected.tables[name]?.digest !== live.tables[name]?.digest && !(name.startsWith(invalidPrefix) && live.tables[name] === undefined),
  );
  const isTable = (name: string): boolean => ![largeObjects, sequencePrefix, invalidPrefix].some((prefix) => name.startsWith(prefix));
  const rows = changed.filter(isTable);
  const others = changed.filter((name) => !isTable(name));
  return [
    ...(expected.schema === live.schema ? [] : ['schema']),
    ...(rows.length === 0 ? [] : [`rows of ${listed(rows)}`]),
    ...(others.length === 0 ? [] : [listed(others)]),
  ];
}

export interface SequenceValue {
  /** Quoted, with its schema. */
  readonly name: string;
  readonly value: string;
  readonly isCalled: boolean;
}

async function sequenceValues(client: Client): Promise<readonly SequenceValue[]> {
  const { rows } = await client.query<{ place: string }>(sequencesQuery);
  const values: SequenceValue[] = [];
  for (let at = 0; at < rows.length; at += 100) {
    const parts = rows
      .slice(at, at + 100)
      .map(({ place }) => `SELECT ${literal(place)} AS name, last_value::text AS value, is_called AS called FROM ${place}`);
    const told = await client.query<{ name: string; value: string; called: boolean }>(parts.join(' UNION ALL '));
    values.push(...told.rows.map(({ name, value, called }) => ({ name, value, isCalled: called })));
  }
  return values;
}

function sequenceDigests(values: readonly SequenceValue[]): LogicalDigest['tables'] {
  return Object.fromEntries(
    values.map(({ name, value, isCalled }) => [sequencePrefix + name, { rows: 1, digest: hashOnce('sha256', `${value} ${isCalled}`) }]),
  );
}

/** Sums do not depend on the order, and count what is there twice. Two of 64 bits each, of the same SHA-256. */
async function sumOf(client: Client, rows: string): Promise<{ rows: number; digest: string }> {
  const half = (from: number): string => `coalesce(sum(('x' || substr(hashed, ${from}, 16))::bit(64)::bigint::numeric), 0)::text`;
  const { rows: found } = await client.query<{ count: string; first: string; second: string }>(
    `SELECT count(*)::text AS count, ${half(1)} AS first, ${half(17)} AS second
     FROM (SELECT encode(sha256(convert_to(one, 'UTF8')), 'hex') AS hashed FROM (${rows}) told) summed`,
  );
  const { count = '0', first = '0', second = '0' } = found[0] ?? {};
  return { rows: Number(count), digest: hashOnce('sha256', `${count} ${first} ${second}`) };
}

/** Rows of one text each, `[kind, name, facts]`: what has no query of its own. */
export async function otherQueries(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ catalog: string; columns: string }>(
    `SELECT attrelid::regclass::text AS catalog, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
     WHERE attrelid = ANY ($1::text[]::regclass[]) AND attnum > 0 AND NOT attisdropped
       AND atttypid NOT IN ('oid'::regtype, 'oidvector'::regtype, 'oid[]'::regtype, 'aclitem[]'::regtype, 'pg_node_tree'::regtype)
     GROUP BY attrelid ORDER BY 1`,
    [otherCatalogs.map((name) => `pg_catalog.${name}`)],
  );
  return rows.map(
    ({ catalog, columns }) =>
      `SELECT jsonb_build_array(known.type, known.identity, to_jsonb(told) - 'oid')::text AS line
       FROM (SELECT oid, ${columns} FROM ${catalog} WHERE oid >= 16384) told, LATERAL pg_identify_object('${catalog}'::regclass, told.oid, 0) known
       WHERE coalesce(known.schema, '') <> 'rungs'
         AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalog}'::regclass AND objid = told.oid AND deptype = 'e')`,
  );
}

/** No dump can say that the schema "public" is gone. */
function withoutEmptyPublic(lines: readonly string[]): readonly string[] {
  const isUsed = lines.some((line) => /^\["(?!schema"|comment"|extension"|default rights")[^"]*", "\\?"?public\\?"?\./.test(line));
  return isUsed ? lines : lines.filter((line) => !/^\["(schema|comment)", "public"/.test(line));
}

function withTotal(schema: string, tables: LogicalDigest['tables']): LogicalDigest {
  const sorted = Object.entries(tables).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { schema, tables: Object.fromEntries(sorted), digest: hashOnce('sha256', JSON.stringify([schema, sorted])) };
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ' and others' : ''}`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
