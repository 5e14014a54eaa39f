// Brings another tool's record to what a run did, in the shape that the record has. Says the same however often it is called for the same run.
// Knows no database: it is given a connection, inside a transaction.
import type { RecordShape } from '../model/ladder.ts';
import { historyTable, shapeOf, tableOf } from './recorded-rows.ts';

/** A step that became applied, or is no longer. Times are ISO 8601 and those of the journal, so that they are the same at the next call. */
export interface RecordChange {
  readonly direction: 'up' | 'down';
  readonly number: number;
  /** `005_add_email.sql` */
  readonly file: string;
  readonly description: string | null;
  /** Of the file, hex. */
  readonly sha256: string | null;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly durationMs: number | null;
  /** Of the product. */
  readonly version: string | null;
  /** Path of the backup that was made before. */
  readonly backup: string | null;
}

type Value = string | number | null;

export interface RecordConnection {
  readonly dialect: 'sqlite' | 'postgres';
  /** In small letters; empty where there is no such table. */
  columns(table: string): Promise<ReadonlySet<string>>;
  /** `?` stands for a value. Gives the number of rows that were changed. */
  change(sql: string, values: readonly Value[]): Promise<number>;
  /** The first row's first column. */
  ask(sql: string, values: readonly Value[]): Promise<unknown>;
  run(sql: string): Promise<void>;
}

/** The shape of the record that is there; `wanted` where there are several. `null`: there is none. */
export async function shapeThere(connection: RecordConnection, wanted: RecordShape | null): Promise<RecordShape | null> {
  const there: { readonly shape: RecordShape; readonly isEmpty: boolean }[] = [];
  for (const table of ['schema_migrations', 'migrations', 'pgmigrations', 'knex_migrations']) {
    const columns = await connection.columns(table);
    const shape = shapeOf(table, columns)?.shape;
    if (shape === undefined) continue;
    if (shape === wanted) return wanted;
    there.push({ shape, isEmpty: Number(await connection.ask(`SELECT count(*) FROM "${table}"`, [])) === 0 });
  }
  return (there.find(({ isEmpty }) => !isEmpty) ?? there[0])?.shape ?? null;
}

export async function makeRecord(connection: RecordConnection, shape: RecordShape): Promise<void> {
  const id = connection.dialect === 'sqlite' ? 'INTEGER PRIMARY KEY AUTOINCREMENT' : 'SERIAL PRIMARY KEY';
  for (const definition of definitions[shape]) await connection.run(`CREATE TABLE IF NOT EXISTS ${definition.replace('$id', id)}`);
}

/** In running order. */
export async function applyChanges(connection: RecordConnection, shape: RecordShape, changes: readonly RecordChange[]): Promise<void> {
  const table = tableOf(shape);
  const columns = await connection.columns(table);
  const historyColumns = shape === 'history' ? await connection.columns(historyTable) : new Set<string>();
  const batch = shape === 'knex' ? Number(await connection.ask('SELECT COALESCE(MAX(batch), 0) + 1 FROM knex_migrations', [])) : null;
  for (const change of changes) {
    const row = rowOf(connection.dialect, shape, change, batch);
    if (change.direction === 'down' && shape !== 'history')
      await connection.change(`DELETE FROM "${table}" WHERE "${row.key}" = ?`, [row.keyValue]);
    else await upsert(connection, table, columns, row);
    // After the row that it may refer to.
    if (historyColumns.size > 0) await addHistory(connection, historyColumns, change);
  }
}

interface RecordRow {
  readonly key: string;
  readonly keyValue: Value;
  readonly values: Readonly<Record<string, Value>>;
  /** Only where there is no row yet. */
  readonly first: Readonly<Record<string, Value>>;
}

function rowOf(dialect: RecordConnection['dialect'], shape: RecordShape, change: RecordChange, batch: number | null): RecordRow {
  const { number, file, description, sha256, completedAt, durationMs, version, backup } = change;
  // As CURRENT_TIMESTAMP writes it.
  const at = dialect === 'sqlite' ? completedAt.replace('T', ' ').replace(/\.\d+Z$/, '') : completedAt;
  const stem = file.replace(/(\.up)?\.[a-z]+$/, '');
  const name = stem.replace(/^\d+_/, '');
  const by = (
    key: string,
    keyValue: Value,
    values: Readonly<Record<string, Value>>,
    first: Readonly<Record<string, Value>> = {},
  ): RecordRow => ({
    key,
    keyValue,
    values,
    first,
  });
  switch (shape) {
    case 'numbered':
      return by('migration_number', number, {
        filename: file,
        applied_at: at,
        // The column of that system holds 20 characters.
        application_version: version?.slice(0, 20) ?? null,
        execution_time_ms: durationMs === null ? null : Math.round(durationMs),
        status: 'completed',
        error_message: null,
        checksum: sha256,
      });
    case 'named':
      return by('version', number, { name, applied_at: at });
    case 'versions':
      return by('version', /^\d+/.exec(file)?.[0] ?? String(number), { applied_at: at, inserted_at: at });
    case 'pgmigrations':
      return by('name', stem, { run_on: at });
    case 'knex':
      return by('name', file, { migration_time: at }, { batch });
    case 'history':
      return change.direction === 'up'
        ? by('version', number, {
            name,
            description,
            applied_at: completedAt,
            rolled_back_at: null,
            backup_path: backup,
            status: 'applied',
            error_message: null,
          })
        : by('version', number, { rolled_back_at: completedAt, status: 'rolled_back' }, { name, description, applied_at: completedAt });
  }
}

async function upsert(connection: RecordConnection, table: string, columns: ReadonlySet<string>, row: RecordRow): Promise<void> {
  const { key, keyValue } = row;
  const values = Object.entries(row.values).filter(([column]) => columns.has(column));
  const isThere = await connection.ask(`SELECT count(*) FROM "${table}" WHERE "${key}" = ?`, [keyValue]);
  if (Number(isThere) > 0) {
    const set = values.map(([column]) => `"${column}" = ?`).join(', ');
    if (set !== '')
      await connection.change(`UPDATE "${table}" SET ${set} WHERE "${key}" = ?`, [...values.map(([, value]) => value), keyValue]);
    return;
  }
  const all: readonly (readonly [string, Value])[] = [
    [key, keyValue],
    ...Object.entries(row.first).filter(([column]) => columns.has(column)),
    ...values,
  ];
  await insert(connection, table, all);
}

async function addHistory(connection: RecordConnection, columns: ReadonlySet<string>, change: RecordChange): Promise<void> {
  const { number, direction, startedAt, completedAt, backup } = change;
  const same = await connection.ask(`SELECT count(*) FROM "${historyTable}" WHERE version = ? AND direction = ? AND started_at = ?`, [
    number,
    direction,
    startedAt,
  ]);
  if (Number(same) > 0) return;
  const row = {
    version: number,
    direction,
    status: 'success',
    backup_path: backup,
    error_message: null,
    started_at: startedAt,
    completed_at: completedAt,
  };
  await insert(
    connection,
    historyTable,
    Object.entries(row).filter(([column]) => columns.has(column)),
  );
}

async function insert(connection: RecordConnection, table: string, values: readonly (readonly [string, Value])[]): Promise<void> {
  const names = values.map(([column]) => `"${column}"`).join(', ');
  const marks = values.map(() => '?').join(', ');
  await connection.change(
    `INSERT INTO "${table}" (${names}) VALUES (${marks})`,
    values.map(([, value]) => value),
  );
}

const definitions: Readonly<Record<RecordShape, readonly string[]>> = {
  numbered: [
    `schema_migrations (id $id, migration_number INTEGER UNIQUE NOT NULL, filename VARCHAR(255) NOT NULL, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
      application_version VARCHAR(20), execution_time_ms INTEGER, status VARCHAR(20) DEFAULT 'completed', error_message TEXT, checksum VARCHAR(64))`,
  ],
  named: ['schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)'],
  versions: ['schema_migrations (version VARCHAR(255) PRIMARY KEY NOT NULL)'],
  pgmigrations: ['pgmigrations (id $id, name VARCHAR(255) NOT NULL, run_on TIMESTAMP NOT NULL)'],
  knex: ['knex_migrations (id $id, name VARCHAR(255), batch INTEGER, migration_time TIMESTAMP)'],
  history: [
    `migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT, applied_at TEXT NOT NULL, rolled_back_at TEXT, backup_path TEXT,
      status TEXT NOT NULL DEFAULT 'applied', error_message TEXT)`,
    `migration_history (id $id, version INTEGER NOT NULL, direction TEXT NOT NULL, status TEXT NOT NULL, backup_path TEXT, error_message TEXT,
      started_at TEXT NOT NULL, completed_at TEXT)`,
  ],
};
