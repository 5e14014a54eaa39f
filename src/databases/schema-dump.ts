// The schema of a SQLite database as objects with facts: out of the PRAGMAs, and out of the stored definitions what no PRAGMA tells. How a definition
// was written does not count. Rungs' own bookkeeping is left out; other tools' records are told apart.
import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { SchemaDump, SchemaObject } from '../model/schema.ts';
import { recordTables, shapeOf } from './recorded-rows.ts';
import { sqliteColumns } from './adoption.ts';
import { readStill, type ReadOptions } from './open-still.ts';
import { definitionBody, expressionOf, tableDefinition, textOf, tokensOf } from './sqlite-definition.ts';

type Row = Readonly<Record<string, SQLOutputValue>>;

/** Throws DATABASE_UNREACHABLE, DATABASE_CORRUPT, DATABASE_BUSY. */
export async function dumpSqliteSchema(file: string, options: ReadOptions = {}): Promise<SchemaDump> {
  return readStill(file, dumpOf, options);
}

function dumpOf(db: DatabaseSync): SchemaDump {
  const all = (sql: string, ...values: readonly string[]): readonly Row[] => db.prepare(sql).all(...values);
  const records = recordTables.filter((table) => isRecord(table, sqliteColumns(db, table)));
  const master = all('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name').filter(
    ({ tbl_name }) => tbl_name !== '_rungs_marker' && !String(tbl_name).startsWith('sqlite_') && !records.includes(String(tbl_name)),
  );
  const shadows = new Set(all("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'").map(({ name }) => name));
  const objects: SchemaObject[] = ['user_version', 'application_id', 'encoding'].map((name) => ({
    kind: 'setting',
    name,
    of: null,
    facts: { value: String(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]) },
  }));
  const rows: Record<string, { rows: number; digest: string }> = {};
  for (const { type, name, tbl_name, sql } of master) {
    const [named, table, text] = [String(name), String(tbl_name), sql === null ? '' : String(sql)];
    if (shadows.has(table)) continue;
    if (type === 'table' && /^\s*create\s+virtual\s/i.test(text))
      objects.push({ kind: 'virtual table', name: named, of: null, facts: { definition: definitionBody(text, 'using', named) } });
    else if (type === 'table') {
      objects.push(...tableObjects(all, named, text));
      rows[named] = rowsOf(db, named);
    } else if (type === 'view')
      objects.push({ kind: 'view', name: named, of: null, facts: { definition: definitionBody(text, null, named) } });
    else if (type === 'trigger')
      objects.push({ kind: 'trigger', name: named, of: table, facts: { definition: definitionBody(text, null, named) } });
    // Those without text belong to constraints, which are told by themselves.
    else if (type === 'index' && text !== '')
      objects.push({
        kind: 'index',
        name: named,
        of: table,
        facts: { definition: definitionBody(text, 'on', named), ...(/^\s*create\s+unique\s/i.test(text) ? { unique: 'yes' } : {}) },
      });
  }
  return { objects, rows, records };
}

type Query = (sql: string, ...values: readonly string[]) => readonly Row[];

function tableObjects(all: Query, name: string, sql: string): readonly SchemaObject[] {
  const written = tableDefinition(sql);
  const [listed] = all("SELECT wr, strict FROM pragma_table_list(?) WHERE schema = 'main'", name);
  const columns = all('SELECT * FROM pragma_table_xinfo(?) ORDER BY cid', name);
  const keys = columns.filter(({ pk }) => Number(pk) > 0).toSorted((a, b) => Number(a['pk']) - Number(b['pk']));
  const facts = {
    ...(keys.length === 0 ? {} : { 'primary key': keys.map((column) => String(column['name'])).join(', ') }),
    ...(written.isAutoincrement ? { autoincrement: 'yes' } : {}),
    ...(Number(listed?.['wr']) === 1 ? { 'without rowid': 'yes' } : {}),
    ...(Number(listed?.['strict']) === 1 ? { strict: 'yes' } : {}),
    ...(written.conflicts.length === 0 ? {} : { 'on conflict': written.conflicts.toSorted().join('; ') }),
  };
  return [
    { kind: 'table', name, of: null, facts },
    ...columns.map((column): SchemaObject => {
      const of = written.columns.get(String(column['name']).toLowerCase());
      const value = column['dflt_value'];
      return {
        kind: 'column',
        name: `${name}.${String(column['name'])}`,
        of: name,
        facts: {
          type: typeOf(String(column['type'])),
          ...(Number(column['notnull']) === 1 ? { 'not null': 'yes' } : {}),
          ...(value === null ? {} : { default: expressionOf(String(value)) }),
          ...(of?.collation === null || of?.collation === undefined ? {} : { collation: of.collation }),
          ...(of?.generated === null || of?.generated === undefined ? {} : { generated: of.generated }),
        },
      };
    }),
    ...uniqueConstraints(all, name),
    ...foreignKeys(all, name, written.deferrals),
    ...written.checks.map((check): SchemaObject => ({ kind: 'check', name: `${name}: ${check}`, of: name, facts: {} })),
  ];
}

/** `VARCHAR (40)` and `varchar(40)` are one. */
function typeOf(type: string): string {
  return type === '' ? 'none' : textOf(tokensOf(type)).replaceAll(', ', ',');
}

function uniqueConstraints(all: Query, table: string): readonly SchemaObject[] {
  return all("SELECT name FROM pragma_index_list(?) WHERE origin = 'u'", table).map(({ name }) => {
    const columns = all('SELECT name FROM pragma_index_info(?) ORDER BY seqno', String(name)).map((column) => String(column['name']));
    return { kind: 'unique', name: `${table}(${columns.join(', ')})`, of: table, facts: {} };
  });
}

function foreignKeys(all: Query, table: string, deferrals: readonly (string | null)[]): readonly SchemaObject[] {
  const rows = all('SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq', table);
  const groups = [...Map.groupBy(rows, ({ id }) => Number(id))];
  return groups.map(([id, parts]) => {
    const [first = {}] = parts;
    const parent = String(first['table']);
    // Where no column is named, the parent's primary key is meant.
    const keys = all('SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk', parent).map(({ name }) => String(name));
    const to = parts.map((part, at) => (part['to'] === null ? (keys[at] ?? '?') : String(part['to'])));
    const deferral = deferrals[groups.length - 1 - id] ?? null;
    return {
      kind: 'foreign key',
      name: `${table}(${parts.map((part) => String(part['from'])).join(', ')}) → ${parent}(${to.join(', ')})`,
      of: table,
      facts: {
        ...(first['on_delete'] === 'NO ACTION' ? {} : { 'on delete': String(first['on_delete']).toLowerCase() }),
        ...(first['on_update'] === 'NO ACTION' ? {} : { 'on update': String(first['on_update']).toLowerCase() }),
        ...(deferral === null ? {} : { deferrable: 'initially deferred' }),
      },
    };
  });
}

/** The tables of old records look like any other: it is their columns that tell. */
function isRecord(table: string, columns: ReadonlySet<string>): boolean {
  return (
    columns.size > 0 &&
    (shapeOf(table, columns) !== null || table.startsWith('knex_') || table === 'migration_history' || table === 'migration_lock')
  );
}

function rowsOf(db: DatabaseSync, table: string): { readonly rows: number; readonly digest: string } {
  const columns = db
    .prepare('SELECT name FROM pragma_table_info(?) ORDER BY name')
    .all(table)
    .map(({ name }) => `quote("${String(name).replaceAll('"', '""')}")`);
  const hash = createHash('sha256');
  let rows = 0;
  const values = db.prepare(`SELECT ${columns.join(` || ',' || `)} AS one FROM "${table.replaceAll('"', '""')}" ORDER BY 1`);
  for (const { one } of values.iterate()) {
    hash.update(`${String(one)}\n`);
    rows += 1;
  }
  return { rows, digest: hash.digest('hex') };
}
