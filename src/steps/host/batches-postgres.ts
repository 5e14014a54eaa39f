// Rows of a PostgreSQL database in batches, for `ctx.batches`. The key travels as text in the server's own spelling: a JavaScript date or number would lose
// some of a timestamp or a bigint, and the next page would begin in the wrong place.
import { hash } from 'node:crypto';
import { messageOf } from '../../model/failure.ts';
import type { PostgresHandle, SqlRow, SqlValue } from '../../step-api.ts';
import { codeOf } from '../../databases/postgres/connect.ts';
import type { PostgresBatchStore } from '../postgres/module-session.ts';
import type { BatchCall } from './batch-query.ts';
import type { BatchSource, SourceRefusals } from './batch-source.ts';

type Query = PostgresBatchStore['query'];

export async function openPostgresSource(
  store: PostgresBatchStore,
  call: BatchCall,
  refuse: SourceRefusals,
): Promise<BatchSource<PostgresHandle>> {
  const primary = call.source.kind === 'table' ? await primaryKeyOf(store.query, call.source.table, refuse) : null;
  const rows = `(${textOf(call, call.key ?? primary ?? [])}\n) AS r`;
  const fields = await fieldsOf(store.query, rows, call.parameters, refuse);
  const key = call.key ?? primary ?? (await primaryKeyAmong(store.query, fields)) ?? [];
  if (key.length === 0) refuse.key({ kind: 'none', of: call.source.kind === 'table' ? `"${call.source.table}"` : 'the rows of the query' });
  const missing = key.find((column) => !fields.some(({ name }) => name === column));
  if (missing !== undefined) refuse.key({ kind: 'missing', why: `the query does not give a column "${missing}"` });
  const columns = key.map((column) => `r.${quoted(column)}`);
  const given = call.parameters.length;
  const behind = `(${columns.join(', ')}) > (${columns.map((_, index) => `$${given + 2 + index}`).join(', ')})`;
  const spelled = columns.map((column, index) => `${column}::text AS ${spelling(index)}`).join(', ');
  const page = (where: string): string =>
    `SELECT r.*, ${spelled} FROM ${rows} ${where} ORDER BY ${columns.join(', ')} LIMIT $${given + 1}::bigint`;
  const [first, next] = [page(''), page(`WHERE ${behind}`)];
  const isPrimary = primary !== null && primary.length === key.length && primary.every((column) => key.includes(column));
  return {
    db: store.handle,
    key,
    fingerprint: hash('sha256', JSON.stringify([rows, key, call.parameters.map(String)]), 'hex').slice(0, 16),
    saved: store.saved,
    begin: store.begin,
    count: async () => {
      const counts = columns.map((column, index) => `count(${column})::text AS c${index}`).join(', ');
      const found = await store.query(`SELECT count(*)::text AS total, ${isPrimary ? '0' : counts} FROM ${rows}`, call.parameters);
      const total = Number(found.rows[0]?.['total']);
      if (isPrimary) return total;
      if (columns.some((_, index) => Number(found.rows[0]?.[`c${index}`]) < total)) refuse.key({ kind: 'null', columns: key });
      const twice = await store.query(`SELECT 1 FROM ${rows} GROUP BY ${columns.join(', ')} HAVING count(*) > 1 LIMIT 1`, call.parameters);
      return twice.rows.length === 0 ? total : refuse.key({ kind: 'not-unique', columns: key });
    },
    page: async (after, size) => {
      const found = await store.query(after === null ? first : next, [...call.parameters, size, ...(after ?? [])]);
      const end = found.rows.at(-1);
      const last = end === undefined ? null : key.map((_, index) => String(end[spelling(index)]));
      for (const row of found.rows) for (const index of key.keys()) delete row[spelling(index)];
      return { rows: found.rows as readonly SqlRow[], last };
    },
    // A trigger would be seen by everybody, and lock the table.
    watchKey: async () => {},
    unwatchKey: async () => {},
    isKeyChange: () => false,
    commit: store.commit,
    rollback: store.rollback,
  };
}

function textOf({ source }: BatchCall, key: readonly string[]): string {
  if (source.kind === 'select') return source.sql;
  const missing = key.filter((column) => source.columns?.includes(column) === false);
  const columns = source.columns === null ? '*' : [...missing, ...source.columns].map(quoted).join(', ');
  return `SELECT ${columns} FROM ${exact(source.table)} ${source.where === null ? '' : `WHERE (${source.where}\n)`}`;
}

interface Field {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
}

async function fieldsOf(query: Query, rows: string, parameters: readonly SqlValue[], refuse: SourceRefusals): Promise<readonly Field[]> {
  try {
    return (await query(`SELECT * FROM ${rows} LIMIT 0`, parameters)).fields;
  } catch (error) {
    // Syntax, names, types: what does not hang on the server's state.
    if (/^(?:42|22|0A)/.test(codeOf(error) ?? '')) return refuse.query(`PostgreSQL says: ${messageOf(error)}`);
    throw error;
  }
}

const keyColumns = `SELECT a.attname AS name, a.attnum AS number FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indisprimary AND k.place <= i.indnkeyatts AND i.indrelid = `;

/** `null` for a view, and for a table that has none. */
async function primaryKeyOf(query: Query, table: string, refuse: SourceRefusals): Promise<readonly string[] | null> {
  const found = await query('SELECT to_regclass($1)::oid AS id', [exact(table)]);
  const id = found.rows[0]?.['id'];
  if (id === null || id === undefined) return refuse.query(`there is no table or view "${table}"`);
  const { rows } = await query(`${keyColumns} $1::oid ORDER BY k.place`, [id]);
  return rows.length === 0 ? null : rows.map(({ name }) => String(name));
}

/** The names under which a query gives the whole primary key of a table. */
async function primaryKeyAmong(query: Query, fields: readonly Field[]): Promise<readonly string[] | null> {
  for (const id of new Set(fields.map(({ tableID }) => tableID))) {
    if (id === 0) continue;
    const { rows } = await query(`${keyColumns} $1::oid ORDER BY k.place`, [id]);
    const names = rows.flatMap(
      ({ number }) => fields.find((field) => field.tableID === id && field.columnID === Number(number))?.name ?? [],
    );
    if (names.length > 0 && names.length === rows.length) return names;
  }
  return null;
}

function spelling(index: number): string {
  return `_rungs_key_${index}`;
}

/** `schema.table`, each as it is stored. */
function exact(table: string): string {
  return table.split('.').map(quoted).join('.');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
