// What a SQLite database says, as digests: equal for equal contents, whatever the pages, free space, WAL or order of insertion look like.
import { createHash, hash as hashOnce } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';
import type { LogicalDigest } from '../model/manifest.ts';
import { readStill, type ReadOptions } from './open-still.ts';

/** The bookkeeping of SQL steps, which is no part of the installation. */
const markerTable = '_rungs_marker';

/**
 * Streams over all rows. Covers every table's values with their types (NULL, '', 0, 0.0 and x'' differ), the SQL of the schema, user_version,
 * application_id, encoding and sqlite_sequence. Left out: the marker table, statistics (sqlite_stat*), and hidden rowids, which VACUUM may change.
 */
export async function logicalDigest(file: string, options: ReadOptions = {}): Promise<LogicalDigest> {
  return readStill(file, (database) => digestOf(database, options.signal), options);
}

export async function digestOf(database: DatabaseSync, signal?: AbortSignal): Promise<LogicalDigest> {
  const master = [...database.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name').iterate()]
    .map(({ type, name, tbl_name, sql }) => ({
      type: String(type),
      name: String(name),
      table: String(tbl_name),
      sql: sql === null ? null : String(sql),
    }))
    .filter(({ table }) => table !== markerTable && !table.startsWith('sqlite_stat'));
  const encoding = pragma(database, 'encoding');
  const settings = ['user_version', 'application_id'].map((name) => [name, pragma(database, name)]);
  const schema = hashOnce('sha256', JSON.stringify([settings, encoding, master.filter(({ name }) => name !== 'sqlite_sequence')]));

  const tables: Record<string, { rows: number; digest: string }> = {};
  for (const { type, name, sql } of master) {
    // The rows of a virtual table are those of its shadow tables, which are tables like any other.
    if (type !== 'table' || (sql !== null && /^\s*create\s+virtual\s/i.test(sql))) continue;
    const table = await digestTable(database, name, encoding === 'UTF-8', signal);
    // A sequence table that is there and empty says the same as one that is not there.
    if (name !== 'sqlite_sequence' || table.rows > 0) tables[name] = table;
  }
  return { schema, tables, digest: hashOnce('sha256', JSON.stringify([schema, Object.entries(tables)])) };
}

async function digestTable(
  database: DatabaseSync,
  table: string,
  isUtf8: boolean,
  signal?: AbortSignal,
): Promise<{ rows: number; digest: string }> {
  const columns = [...database.prepare('SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid').iterate(table)]
    .map(({ name, type, pk, hidden }) => ({ name: quote(String(name)), type: String(type), pk: Number(pk), hidden: Number(hidden) }))
    // Generated columns follow from the others.
    .filter(({ hidden }) => hidden === 0);
  const keys = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
  const isUniqueKey = isWithoutRowid(database, table) || (keys.length === 1 && keys[0]?.type.toUpperCase() === 'INTEGER');
  const order = isUniqueKey
    ? keys.map(({ name }) => name)
    : columns.flatMap(({ name }) => [`${name} COLLATE BINARY`, ...(columns.length > 900 ? [] : [`typeof(${name})`])]);
  const where = table === 'sqlite_sequence' ? ` WHERE name <> '${markerTable}'` : '';
  // One value per row (per 40 columns) keeps the crossing into JavaScript cheap; SQLite's depth of expressions is bounded.
  const parts = chunksOf(columns, 40).map(
    (some, index) => `CAST(${some.map(({ name }) => encoded(name, isUtf8)).join(' || ')} AS BLOB) AS p${index}`,
  );
  const rows = database.prepare(`SELECT ${parts.join(', ')} FROM ${quote(table)}${where} ORDER BY ${order.join(', ')}`).iterate();

  const hash = createHash('sha256');
  let count = 0;
  let last = performance.now();
  for (const row of rows) {
    for (const part of Object.values(row)) if (part instanceof Uint8Array) hash.update(part);
    count += 1;
    if (count % 1024 === 0 && performance.now() - last > 20) {
      await breathe();
      signal?.throwIfAborted();
      last = performance.now();
    }
  }
  return { rows: count, digest: hash.digest('hex') };
}

/** A value with its type and length, so that no two rows read the same. */
function encoded(column: string, isUtf8: boolean): string {
  // In a UTF-16 database a blob cannot be joined to text byte by byte.
  const bytes = isUtf8 ? column : `hex(CAST(${column} AS BLOB))`;
  return (
    `CASE typeof(${column}) WHEN 'null' THEN 'n' WHEN 'integer' THEN 'i' || ${column} || ';' WHEN 'real' THEN 'r' || quote(${column}) || ';'` +
    ` WHEN 'text' THEN 't' || octet_length(${column}) || ':' || ${bytes} ELSE 'b' || octet_length(${column}) || ':' || ${bytes} END`
  );
}

function isWithoutRowid(database: DatabaseSync, table: string): boolean {
  const found = database.prepare("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'").get(table);
  return Number(found?.['wr'] ?? 0) === 1;
}

function pragma(database: DatabaseSync, name: string): string {
  return String(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}
