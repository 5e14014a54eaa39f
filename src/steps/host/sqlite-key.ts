// Finds by what rows of a SQLite table or SELECT can be told apart and put in order: what the call names, the primary key, or the rowid.
import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../model/failure.ts';
import type { BatchCall } from './batch-query.ts';
import type { SourceRefusals } from './batch-source.ts';

export interface SqliteKey {
  /** As the rows call them. */
  readonly key: readonly string[];
  /** `SELECT … FROM …`, and a condition in parentheses. */
  readonly from: { readonly select: string; readonly where: string | null };
  /** The table's own number of a row, which is never NULL and never there twice. */
  readonly isRowid: boolean;
  /** The columns of a table that the key is made of, where that is known. */
  readonly watched: { readonly table: string; readonly columns: readonly string[] } | null;
}

export function sqliteKey(db: DatabaseSync, call: BatchCall, refuse: SourceRefusals): SqliteKey {
  return call.source.kind === 'table' ? keyOfTable(db, call.source, call.key, refuse) : keyOfSelect(db, call.source.sql, call.key, refuse);
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** In order; for a table that has none, a name that means its rowid. */
  readonly key: readonly string[];
  readonly isRowid: boolean;
  readonly isTable: boolean;
}

function keyOfTable(
  db: DatabaseSync,
  { table: name, columns, where }: Extract<BatchCall['source'], { kind: 'table' }>,
  wanted: BatchCall['key'],
  refuse: SourceRefusals,
): SqliteKey {
  const table = tableOf(db, name.replace(/^main\./i, ''));
  if (table === null) return refuse.query(`there is no table or view "${name}"`);
  if (wanted === null && table.key.length === 0) return refuse.key({ kind: 'none', of: `"${name}"` });
  const own = (column: string): string | undefined => table.columns.find((each) => isSame(each, column));
  const isHidden = (column: string): boolean => table.isTable && own(column) === undefined && rowidNames.includes(column.toLowerCase());
  const key = (wanted ?? table.key).map(
    (column) => own(column) ?? (isHidden(column) ? column : refuse.key({ kind: 'missing', why: `"${name}" has no column "${column}"` })),
  );
  const missing = key.filter((column) => (columns === null ? isHidden(column) : !columns.some((each) => isSame(each, column))));
  const listed = [...missing, ...(columns ?? []).map((column) => own(column) ?? column)].map(
    (column) => `${quoted(column)} AS ${quoted(column)}`,
  );
  return {
    key,
    from: {
      select: `SELECT ${[...listed, ...(columns === null ? ['*'] : [])].join(', ')} FROM main.${quoted(table.name)}`,
      where: where === null ? null : `(${where}\n)`,
    },
    isRowid: key.length === 1 && (isHidden(key[0] ?? '') || (table.isRowid && isSame(key[0] ?? '', table.key[0] ?? ''))),
    watched: table.isTable && !key.some(isHidden) ? { table: table.name, columns: key } : null,
  };
}

function keyOfSelect(db: DatabaseSync, sql: string, wanted: BatchCall['key'], refuse: SourceRefusals): SqliteKey {
  const select = `SELECT * FROM (${sql}\n)`;
  const columns = resultColumns(db, select, refuse);
  const tables = [...new Set(columns.flatMap(({ table, database }) => (table === null || database !== 'main' ? [] : [table])))];
  const named = (name: string): string =>
    columns.find((column) => isSame(column.name, name))?.name ??
    refuse.key({ kind: 'missing', why: `the query does not give a column "${name}"` });
  const whole = tables.map((table) => primaryKeyAmong(db, table, columns)).find((key) => key !== null);
  if (wanted === null && whole === undefined) return refuse.key({ kind: 'none', of: 'the rows of the query' });
  const key = wanted === null ? (whole ?? []) : wanted.map(named);
  const origins = key.map((name) => columns.find((column) => column.name === name));
  const [origin] = origins;
  const known = origin === undefined || origin.table === null ? null : tableOf(db, origin.table);
  const watched = origins.flatMap((each) =>
    each !== undefined && each.table === known?.name && each.column !== null ? [each.column] : [],
  );
  return {
    key,
    from: { select, where: null },
    // A join may give the row of a table several times.
    isRowid: false,
    watched:
      known?.isTable === true && watched.length === key.length && watched.every((column) => known.columns.includes(column))
        ? { table: known.name, columns: watched }
        : null,
  };
}

interface ResultColumn {
  readonly name: string;
  readonly column: string | null;
  readonly table: string | null;
  readonly database: string | null;
}

function resultColumns(db: DatabaseSync, select: string, refuse: SourceRefusals): readonly ResultColumn[] {
  try {
    return db.prepare(select).columns();
  } catch (error) {
    return refuse.query(`SQLite says: ${messageOf(error)}`);
  }
}

/** The names under which a query gives the whole primary key of a table. */
function primaryKeyAmong(db: DatabaseSync, table: string, columns: readonly ResultColumn[]): readonly string[] | null {
  const found = tableOf(db, table);
  if (found === null || found.key.length === 0) return null;
  const names = found.key.flatMap((part) => columns.find((each) => each.table === table && isSame(each.column ?? '', part))?.name ?? []);
  return names.length === found.key.length ? names : null;
}

const rowidNames = ['rowid', '_rowid_', 'oid'];

function tableOf(db: DatabaseSync, name: string): Table | null {
  const found = db.prepare("SELECT name, type, wr FROM pragma_table_list(?) WHERE schema = 'main'").get(name);
  if (found === undefined) return null;
  const table = String(found['name']);
  const isTable = found['type'] === 'table';
  const columns = db.prepare("SELECT name, pk FROM pragma_table_xinfo(?, 'main') ORDER BY cid").all(table);
  const names = columns.map((column) => String(column['name']));
  const primary = columns
    .filter((column) => Number(column['pk']) > 0)
    .toSorted((a, b) => Number(a['pk']) - Number(b['pk']))
    .map((column) => String(column['name']));
  const hidden = found['type'] === 'view' ? undefined : rowidNames.find((each) => !names.some((column) => isSame(column, each)));
  // The rowid under a name of its own needs no index, any other primary key has one.
  const indexed = db.prepare("SELECT 1 FROM pragma_index_list(?, 'main') WHERE origin = 'pk'").get(table) !== undefined;
  const key = primary.length > 0 ? primary : hidden === undefined ? [] : [hidden];
  return { name: table, columns: names, key, isRowid: key.length === 1 && !indexed && found['wr'] === 0, isTable };
}

// As SQLite compares names: only ASCII letters are the same in both cases.
function isSame(one: string, other: string): boolean {
  const lower = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return lower(one) === lower(other);
}
