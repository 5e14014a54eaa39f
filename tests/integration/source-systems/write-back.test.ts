// The old tool's record in every shape and both kinds of database: what is written back is what adopting reads, and a second call changes nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSqliteRecord } from '../../../src/databases/adoption.ts';
import { readPostgresRecord } from '../../../src/databases/postgres/adoption.ts';
import { writeBackToPostgres } from '../../../src/databases/postgres/write-back.ts';
import type { RecordChange } from '../../../src/databases/record-changes.ts';
import { writeBackToSqlite, type WriteBackRequest } from '../../../src/databases/write-back.ts';
import type { Bookkeeping, RecordShape } from '../../../src/model/ladder.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { execSql, rows } from './tree.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rungs-write-back-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let postgres: TestPostgres;

interface Database {
  readonly write: (request: WriteBackRequest) => Promise<boolean>;
  readonly read: () => Promise<Bookkeeping>;
  readonly rows: (table: string) => Promise<readonly Record<string, unknown>[]>;
  readonly exec: (sql: string) => Promise<void>;
}

let made = 0;
function sqlite(): Database {
  const file = path.join(folder, `${(made += 1)}.db`);
  execSql(file, 'CREATE TABLE users (id INTEGER PRIMARY KEY)');
  return {
    write: (request) => writeBackToSqlite(file, request),
    read: () => readSqliteRecord({ ladder: 'main', database: 'app', file }),
    rows: async (table) => rows(file, `SELECT * FROM ${table}`),
    exec: async (sql) => execSql(file, sql),
  };
}

async function server(): Promise<Database> {
  const url = await postgres.database();
  const target = { url, attempts: 1, backoffMs: 10 };
  return {
    write: (request) => writeBackToPostgres('main', target, request),
    read: () => readPostgresRecord({ ladder: 'main', database: 'main', target, place: { file: 'upgrade.yaml' } }),
    rows: (table) => postgres.query(url, `SELECT * FROM ${table}`),
    exec: async (sql) => void (await postgres.query(url, sql)),
  };
}

const tables: Readonly<Record<RecordShape, string>> = {
  numbered: 'schema_migrations',
  named: 'schema_migrations',
  versions: 'schema_migrations',
  history: 'migrations',
  pgmigrations: 'pgmigrations',
  knex: 'knex_migrations',
};
const shapes = Object.keys(tables) as RecordShape[];

function change(number: number, direction: 'up' | 'down'): RecordChange {
  return {
    direction,
    number,
    file: `00${number}_step_${number}.sql`,
    description: `step ${number}`,
    sha256: String(number).repeat(64),
    startedAt: `2026-01-0${number}T10:00:00.000Z`,
    completedAt: `2026-01-0${number}T10:00:00.250Z`,
    durationMs: 250.4,
    version: '1.2.3',
    backup: '/backups/one.tar.zst',
  };
}

const kinds: readonly { readonly kind: string; readonly it: typeof test; readonly open: () => Promise<Database> }[] = [
  { kind: 'SQLite', it: test, open: async () => sqlite() },
  { kind: 'PostgreSQL', it: testWithPostgres, open: server },
];

describe.each(kinds)('$kind', ({ kind, it, open }) => {
  beforeAll(async () => {
    if (kind === 'PostgreSQL') postgres = await startPostgres();
  });

  it.each(shapes)('%s: a run up and a run down, each told twice', async (shape) => {
    const database = await open();
    const up = { adoptedShape: shape, standing: [], changes: [change(1, 'up'), change(2, 'up'), change(3, 'up')] };
    expect(await database.write(up)).toBe(true);
    const once = await database.rows(tables[shape]);
    const history = shape === 'history' ? await database.rows('migration_history') : [];
    expect(await database.write(up)).toBe(true);
    expect(await database.rows(tables[shape])).toEqual(once);
    if (shape === 'history') expect(await database.rows('migration_history')).toEqual(history);
    expect(await database.read()).toMatchObject({ source: { shape, tables: expect.arrayContaining([tables[shape]]) }, problems: [] });
    expect((await database.read()).applied.map(({ number }) => number)).toEqual([1, 2, 3]);

    const down = { adoptedShape: shape, standing: [], changes: [change(3, 'down')] };
    await database.write(down);
    await database.write(down);
    const { applied, problems } = await database.read();
    expect(applied.map(({ number }) => number)).toEqual([1, 2]);
    expect(problems.map(({ level }) => level)).toEqual(shape === 'history' ? ['info'] : []);
    await database.write({ adoptedShape: shape, standing: [], changes: [change(3, 'up')] });
    expect((await database.read()).applied.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it('numbered: every column says what that system would have said', async () => {
    const database = await open();
    await database.write({ adoptedShape: 'numbered', standing: [], changes: [change(4, 'up')] });
    const [row] = await database.rows('schema_migrations');
    expect(row).toMatchObject({
      migration_number: 4,
      filename: '004_step_4.sql',
      application_version: '1.2.3',
      execution_time_ms: 250,
      status: 'completed',
      error_message: null,
      checksum: '4'.repeat(64),
    });
    expect((await database.read()).applied).toMatchObject([{ number: 4, sha256: '4'.repeat(64) }]);
  });

  it('numbered: a row that failed becomes one that is completed', async () => {
    const database = await open();
    await database.write({ adoptedShape: 'numbered', standing: [], changes: [change(4, 'up')] });
    await database.exec("UPDATE schema_migrations SET status = 'failed', error_message = 'no', checksum = NULL");
    expect((await database.read()).applied).toEqual([]);
    await database.write({ adoptedShape: null, standing: [], changes: [change(4, 'up')] });
    expect(await database.rows('schema_migrations')).toMatchObject([
      { status: 'completed', error_message: null, checksum: '4'.repeat(64) },
    ]);
  });

  it('a table with fewer columns than that system makes is written as far as it goes', async () => {
    const database = await open();
    await database.exec('CREATE TABLE schema_migrations (migration_number INTEGER, filename VARCHAR(99), checksum VARCHAR(64))');
    expect(await database.write({ adoptedShape: null, standing: [], changes: [change(5, 'up')] })).toBe(true);
    expect(await database.rows('schema_migrations')).toEqual([
      { migration_number: 5, filename: '005_step_5.sql', checksum: '5'.repeat(64) },
    ]);
  });

  it('what cannot be written leaves the record as it was', async () => {
    const database = await open();
    await database.exec(`CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY CHECK (version < 3), name VARCHAR(99) NOT NULL)`);
    const request = { adoptedShape: null, standing: [], changes: [change(1, 'up'), change(2, 'up'), change(3, 'up')] };
    await expect(database.write(request)).rejects.toThrow(/check/i);
    expect(await database.rows('schema_migrations')).toEqual([]);
  });

  it('where there is no record, and none was adopted, nothing is made', async () => {
    const database = await open();
    expect(await database.write({ adoptedShape: null, standing: [], changes: [change(1, 'up')] })).toBe(false);
    expect((await database.read()).source).toBeNull();
  });

  it('a table that says nothing of each step (golang-migrate: one row, the height) is of another shape', async () => {
    const database = await open();
    await database.exec('CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN NOT NULL)');
    const { source, problems } = await database.read();
    expect(source).toBeNull();
    expect(problems).toMatchObject([
      { level: 'block', code: 'LADDER_BOOKKEEPING_MISSING', message: expect.stringContaining('another shape') },
    ]);
    expect(await database.write({ adoptedShape: null, standing: [], changes: [change(1, 'up')] })).toBe(false);
  });

  it('a lock of the old tool that looks held is told, and not obeyed', async () => {
    const database = await open();
    await database.exec('CREATE TABLE knex_migrations_lock (id INTEGER, is_locked INTEGER)');
    await database.exec('INSERT INTO knex_migrations_lock VALUES (1, 1)');
    await database.write({ adoptedShape: 'knex', standing: [], changes: [change(1, 'up')] });
    expect(await database.read()).toMatchObject({ applied: [{ number: 1 }], problems: [{ level: 'info', code: 'LADDER_OLD_LOCK' }] });
    await database.exec('UPDATE knex_migrations_lock SET is_locked = 0');
    expect((await database.read()).problems).toEqual([]);
  });
});

testWithPostgres('only the table that an unqualified name means is read', async () => {
  const database = await server();
  await database.exec(
    "CREATE SCHEMA other; CREATE TABLE other.schema_migrations (version INTEGER, name TEXT); INSERT INTO other.schema_migrations VALUES (9, 'x')",
  );
  expect((await database.read()).source).toBeNull();
});
