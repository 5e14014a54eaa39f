// The marker table in PostgreSQL: a row written in the transaction of a half of a step, which tells after a crash whether that half was committed.
import { markerTable } from '../host/markers.ts';

/** Of a client, or of a connection of ours. */
export interface Queryable {
  readonly query: <Row extends Record<string, unknown>>(text: string, values?: unknown[]) => Promise<{ readonly rows: readonly Row[] }>;
}

export interface FoundMarkers {
  readonly find: (stepId: string) => readonly string[] | null;
  readonly checkpoint: (key: string) => { readonly value: unknown } | null;
}

/** Quoted and with its schema; `null` where there is none. A step may have changed what `search_path` says, so all schemas are looked at. */
export async function findMarkerTable(client: Queryable): Promise<string | null> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = '${markerTable}' AND c.relkind = 'r' ORDER BY n.nspname <> 'public', n.nspname LIMIT 1`,
  );
  return rows[0]?.name ?? null;
}

/** Makes it where it is missing, in the first schema of the search path. */
export async function ensureMarkerTable(client: Queryable): Promise<string> {
  const found = await findMarkerTable(client);
  if (found !== null) return found;
  const { rows } = await client.query<{ name: string }>(`SELECT format('%I.${markerTable}', coalesce(current_schema(), 'public')) AS name`);
  const name = rows[0]?.name ?? `public.${markerTable}`;
  await client.query(
    `CREATE TABLE IF NOT EXISTS ${name} (run_id text NOT NULL, step_id text NOT NULL, value text, attempt text, PRIMARY KEY (run_id, step_id))`,
  );
  return name;
}

/** All of a run, at once. */
export async function readPostgresMarkers(client: Queryable, runId: string): Promise<FoundMarkers> {
  const table = await findMarkerTable(client);
  if (table === null) return { find: () => null, checkpoint: () => null };
  const { rows } = await client.query<{ step_id: string; value: string | null }>(`SELECT step_id, value FROM ${table} WHERE run_id = $1`, [
    runId,
  ]);
  return markersIn(new Map(rows.map(({ step_id: id, value }) => [id, value])));
}

/** Values by step or key, as any kind of database keeps them. */
export function markersIn(values: ReadonlyMap<string, string | null>): FoundMarkers {
  return { find: (stepId) => namesIn(values.get(stepId)), checkpoint: (key) => valueIn(values.get(key)) };
}

export function setMarkerSql(
  table: string,
  row: { readonly runId: string; readonly key: string; readonly value: unknown; readonly attempt: string },
): string {
  const [runId, key, value, attempt] = [row.runId, row.key, JSON.stringify(row.value), row.attempt].map(literal);
  return `INSERT INTO ${table} (run_id, step_id, value, attempt) VALUES (${runId}, ${key}, ${value}, ${attempt}) ON CONFLICT (run_id, step_id) DO UPDATE SET value = EXCLUDED.value, attempt = EXCLUDED.attempt`;
}

export function clearMarkerSql(table: string, runId: string, key: string): string {
  return `DELETE FROM ${table} WHERE run_id = ${literal(runId)} AND step_id = ${literal(key)}`;
}

/** Fails, and so ends the transaction, unless this attempt has committed the marker. */
export function expectMarkerSql(table: string, row: { readonly runId: string; readonly key: string; readonly attempt: string }): string {
  return `SELECT 1 / count(*) FROM ${table} WHERE run_id = ${literal(row.runId)} AND step_id = ${literal(row.key)} AND attempt = ${literal(row.attempt)}`;
}

/** Right whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const body = text.replaceAll("'", "''");
  return body.includes('\\') ? ` E'${body.replaceAll('\\', '\\\\')}'` : `'${body}'`;
}

function namesIn(value: string | null | undefined): readonly string[] | null {
  if (typeof value !== 'string') return null;
  const names: unknown = JSON.parse(value);
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function valueIn(value: string | null | undefined): { readonly value: unknown } | null {
  if (typeof value !== 'string') return null;
  const saved: unknown = JSON.parse(value);
  return typeof saved === 'object' && saved !== null && 'value' in saved ? { value: saved.value } : { value: undefined };
}
