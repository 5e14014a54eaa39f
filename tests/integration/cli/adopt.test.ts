// `upgrade adopt` on the records of every tool that Rungs grew from: what it finds, what it records, and that the old record is left to the byte.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { makeDatabase, makeSmall, type Small } from './installation.ts';

interface Found {
  readonly dryRun: boolean;
  readonly ladders: readonly {
    readonly name: string;
    readonly status: string;
    readonly source: { readonly kind: string; readonly tables?: readonly string[] } | null;
    readonly height: number;
    readonly steps: readonly { readonly number: number; readonly name: string; readonly appliedAt: string | null }[];
    readonly gaps: readonly number[];
    readonly duplicates: readonly number[];
    readonly missing: readonly number[];
    readonly changed: readonly number[];
    readonly problems: readonly {
      readonly level: string;
      readonly code: string;
      readonly hint: string;
      readonly place?: { readonly file: string };
    }[];
  }[];
  readonly failure: { readonly code: string } | null;
  readonly failures: readonly { readonly code: string }[];
}

const folder = {
  'inst/db/001_users.sql': 'CREATE TABLE a (id)',
  'inst/db/002_mail.sql': 'CREATE TABLE b (id)',
  'inst/db/003_more.sql': 'CREATE TABLE c (id)',
  'inst/db/010_last.up.sql': 'x',
  'inst/db/010_last.down.sql': 'y',
  'inst/db/README.md': 'read',
  'inst/db/schema.sql': 'all',
};
const folderLadder = 'ladders: { main: { dir: db, database: old } }\n';
const index = (migrations: unknown) => ({
  'inst/m/index.json': `${JSON.stringify(migrations, null, 2)}\n`,
  'inst/m/src/00000001.sh': 'echo 1',
  'inst/m/src/00000002.py': 'print(2)',
  'inst/m/src/00000003.sh': 'echo 3',
});
const indexLadder = 'ladders: { system: { index: m/index.json, dir: m/src } }\n';
const entry = (id: string, hasRun: boolean) => ({ id, description: `step ${id}`, has_run: hasRun });
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const mossTable = `CREATE TABLE schema_migrations (id INTEGER PRIMARY KEY, migration_number INTEGER UNIQUE NOT NULL, filename VARCHAR(255) NOT NULL, applied_at TIMESTAMP, application_version VARCHAR(20),
  execution_time_ms INTEGER, status VARCHAR DEFAULT 'completed', error_message TEXT, checksum VARCHAR(64));`;
const moss = (rows: readonly (readonly [number: number, filename: string, status: string, checksum: string | null])[]) =>
  mossTable +
  rows
    .map(
      ([number, filename, status, checksum]) =>
        `INSERT INTO schema_migrations (migration_number, filename, applied_at, status, checksum) VALUES (${number}, '${filename}', '2025-01-0${number}', '${status}', ${checksum === null ? 'NULL' : `'${checksum}'`});`,
    )
    .join('');
const ownprem = (versions: readonly (readonly [number: number, name: string])[]) =>
  `CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);${versions.map(([version, name]) => `INSERT INTO schema_migrations (version, name) VALUES (${version}, '${name}');`).join('')}`;
const manager = (
  rows: readonly (readonly [version: number, status: string])[],
  history: readonly (readonly [version: number, direction: string, status: string])[] = [],
) =>
  `CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT, applied_at TEXT NOT NULL, rolled_back_at TEXT, backup_path TEXT, status TEXT NOT NULL DEFAULT 'applied', error_message TEXT);
  CREATE TABLE migration_history (id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER NOT NULL, direction TEXT NOT NULL, status TEXT NOT NULL, backup_path TEXT, error_message TEXT, started_at TEXT NOT NULL, completed_at TEXT);
  ${rows.map(([version, status]) => `INSERT INTO migrations (version, name, applied_at, status) VALUES (${version}, 'step_${version}', '2025-02-0${version}', '${status}');`).join('')}
  ${history.map(([version, direction, status]) => `INSERT INTO migration_history (version, direction, status, started_at) VALUES (${version}, '${direction}', '${status}', 'x');`).join('')}`;

function withDatabase(sql: string, files: Readonly<Record<string, string>> = folder): Small {
  const small = makeSmall({ files });
  configure(small, folderLadder);
  makeDatabase(path.join(small.root, 'data/old.db'), sql);
  return small;
}

function withIndex(migrations: unknown): Small {
  return makeSmall({ config: indexLadder, files: index(migrations) });
}

function configure({ root }: Small, ladders: string): void {
  const file = path.join(root, 'upgrade.yaml');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(
      '{ app: { sqlite: data/app.db } }',
      '{ app: { sqlite: data/app.db }, old: { sqlite: data/old.db }, pg: { postgres: "postgres://u@127.0.0.1:1/d", connect: { attempts: 1 } } }',
    ) + ladders,
  );
}

async function adopt({ upgrade }: Small, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly found: Found }> {
  const { code, stdout } = await upgrade(['adopt', '--json', ...args]);
  return { code, found: JSON.parse(stdout) };
}

async function ladders({ upgrade }: Small): Promise<unknown> {
  const { stdout } = await upgrade(['status', '--json']);
  return JSON.parse(stdout).ladders;
}

interface Case {
  readonly why: string;
  readonly make: () => Small;
  readonly height: number;
  readonly numbers: readonly number[];
  readonly codes: readonly string[];
  readonly tables?: readonly string[];
  readonly status: unknown;
  readonly also?: Partial<Found['ladders'][number]>;
}

const cases: readonly Case[] = [
  {
    why: 'an index with metadata',
    make: () =>
      withIndex({ metadata: { version: 1 }, migrations: [entry('00000001', true), entry('00000002', true), entry('00000003', false)] }),
    height: 2,
    numbers: [1, 2],
    codes: [],
    status: { name: 'system', height: 2, latest: 3, pending: 1 },
  },
  {
    why: 'an index that is a bare array, whose order counts and not its ids',
    make: () => withIndex([entry('00000003', true), entry('00000001', true), entry('00000002', false)]),
    height: 1,
    numbers: [3, 1],
    codes: [],
    status: { name: 'system', height: 1, latest: 2, pending: 1 },
  },
  {
    why: 'an index with a step that was passed over',
    make: () => withIndex([entry('00000001', false), entry('00000002', true), entry('00000003', false)]),
    height: 2,
    numbers: [2],
    codes: ['LADDER_GAP'],
    status: { name: 'system', height: 2, latest: 3, pending: 2 },
    also: { gaps: [1] },
  },
  {
    why: 'an index whose script is gone',
    make: () => {
      const small = withIndex([entry('00000001', true), entry('00000002', true)]);
      rmSync(path.join(small.root, 'm/src/00000001.sh'));
      return small;
    },
    height: 2,
    numbers: [1, 2],
    codes: ['LADDER_FILE_MISSING'],
    status: { name: 'system', height: 2, latest: 2, pending: 0 },
    also: { missing: [1] },
  },
  {
    why: 'schema_migrations with version and name',
    make: () =>
      withDatabase(
        ownprem([
          [2, 'mail'],
          [1, 'users'],
        ]),
      ),
    height: 2,
    numbers: [1, 2],
    codes: [],
    tables: ['schema_migrations'],
    status: { name: 'main', height: 2, latest: 10, pending: 2 },
  },
  {
    why: 'schema_migrations with numbers, files and checksums: what failed does not count, what was edited is told',
    make: () =>
      withDatabase(
        moss([
          [1, '001_users.sql', 'completed', sha256('CREATE TABLE a (id)')],
          [2, '002_mail.sql', 'completed', sha256('as it was')],
          [3, '003_more.sql', 'failed', null],
        ]),
      ),
    height: 2,
    numbers: [1, 2],
    codes: ['LADDER_NOT_APPLIED', 'LADDER_STEP_EDITED'],
    tables: ['schema_migrations'],
    status: { name: 'main', height: 2, latest: 10, pending: 2 },
    also: { changed: [2] },
  },
  {
    why: 'a gap, a file that is gone, and two files with one number',
    make: () =>
      withDatabase(
        moss([
          [1, '001_users.sql', 'completed', null],
          [3, '003_more.sql', 'completed', null],
          [5, '005_gone.sql', 'completed', null],
        ]),
        { ...folder, 'inst/db/003_other.sql': 'z' },
      ),
    height: 5,
    numbers: [1, 3, 5],
    codes: ['LADDER_DUPLICATE', 'LADDER_GAP', 'LADDER_UNRECORDED_FILE', 'LADDER_FILE_MISSING'],
    status: { name: 'main', height: 5, latest: 10, pending: 2 },
    also: { gaps: [2], duplicates: [3], missing: [5] },
  },
  {
    why: 'migrations with migration_history: what was rolled back does not count, and a history that says otherwise is told',
    make: () =>
      withDatabase(
        manager(
          [
            [1, 'applied'],
            [2, 'applied'],
            [3, 'rolled_back'],
          ],
          [
            [1, 'up', 'success'],
            [2, 'up', 'success'],
            [2, 'down', 'success'],
            [3, 'up', 'success'],
            [3, 'down', 'success'],
          ],
        ),
      ),
    height: 2,
    numbers: [1, 2],
    codes: ['LADDER_NOT_APPLIED', 'LADDER_HISTORY_DIFFERS'],
    tables: ['migrations', 'migration_history'],
    status: { name: 'main', height: 2, latest: 10, pending: 2 },
  },
  {
    why: 'a table with no rows yet',
    make: () => withDatabase(ownprem([])),
    height: 0,
    numbers: [],
    codes: [],
    status: { name: 'main', height: 0, latest: 10, pending: 4 },
  },
];

test.each(cases)('adopted: $why', async ({ make, height, numbers, codes, tables, status, also = {} }) => {
  const small = make();
  const before = snapshot(small.dir);
  const dry = await adopt(small, '--dry-run');
  expect(dry.code).toBe(0);
  expect(dry.found).toMatchObject({ dryRun: true, ladders: [{ status: 'adopted', height }] });
  expect(snapshot(small.dir)).toEqual(before);

  const { code, found } = await adopt(small);
  expect(code).toBe(0);
  expect(found.failure).toBeNull();
  const [ladder] = found.ladders;
  expect(ladder).toMatchObject({ status: 'adopted', height, gaps: [], duplicates: [], missing: [], changed: [], ...also });
  expect(ladder?.steps.map(({ number }) => number)).toEqual(numbers);
  expect(ladder?.problems.map((problem) => problem.code)).toEqual(codes);
  for (const problem of ladder?.problems ?? [])
    expect(problem).toMatchObject({ hint: expect.stringMatching(/\w/), place: { file: expect.stringContaining(small.root) } });
  expect(ladder?.source?.tables).toEqual(tables ?? ladder?.source?.tables);
  expect(await ladders(small)).toEqual([status]);
  // All but the state folder, which is new, and the time of the root, which it lies in.
  const old = (lines: readonly string[]) => lines.filter((line) => !/^inst(\/\.upgrade(\/\S*)?)? /.test(line));
  expect(old(snapshot(small.dir))).toEqual(old(before));

  const again = await adopt(small);
  expect(again.code).toBe(0);
  expect(again.found.ladders[0]).toMatchObject({ status: 'already-adopted', height });
});

test('a ladder that was adopted is refused where its old record says something else now', async () => {
  const small = withDatabase(ownprem([[1, 'users']]));
  expect((await adopt(small)).code).toBe(0);
  makeDatabase(path.join(small.root, 'data/old.db'), "INSERT INTO schema_migrations (version, name) VALUES (2, 'mail')");
  const { code, found } = await adopt(small);
  expect(code).toBe(3);
  expect(found.failure).toMatchObject({ code: 'LADDER_ALREADY_ADOPTED' });
  expect(await ladders(small)).toEqual([{ name: 'main', height: 1, latest: 10, pending: 3 }]);
});

test.each<{
  readonly why: string;
  readonly make: () => Small;
  readonly code: string;
  readonly args?: readonly string[];
  readonly exit?: number;
}>([
  { why: 'an index that is cut off', make: () => withText('{ "migrations": [ { "id": "0000'), code: 'LADDER_INDEX_UNREADABLE' },
  { why: 'an index that is empty', make: () => withText(''), code: 'LADDER_INDEX_UNREADABLE' },
  { why: 'an index without migrations', make: () => withText('{ "metadata": {} }'), code: 'LADDER_INDEX_UNREADABLE' },
  { why: 'an index whose flag is a text', make: () => withIndex([{ id: '00000001', has_run: 'yes' }]), code: 'LADDER_INDEX_ENTRY' },
  { why: 'an index whose id is no number', make: () => withIndex([entry('first', true)]), code: 'LADDER_INDEX_ENTRY' },
  {
    why: 'an index with one id twice',
    make: () => withIndex([entry('00000001', true), entry('00000001', false)]),
    code: 'LADDER_DUPLICATE',
  },
  { why: 'a database without a record', make: () => withDatabase('CREATE TABLE users (id)'), code: 'LADDER_BOOKKEEPING_MISSING' },
  {
    why: 'a table of another shape',
    make: () => withDatabase('CREATE TABLE migrations (id, migration, batch)'),
    code: 'LADDER_BOOKKEEPING_MISSING',
  },
  { why: 'two records', make: () => withDatabase(ownprem([[1, 'users']]) + manager([[1, 'applied']])), code: 'LADDER_BOOKKEEPING_TWICE' },
  {
    why: 'a row without a number',
    make: () =>
      withDatabase(
        "CREATE TABLE schema_migrations (version TEXT, name TEXT, applied_at TEXT); INSERT INTO schema_migrations VALUES ('one', 'users', 'x')",
      ),
    code: 'LADDER_RECORD_UNREADABLE',
  },
  {
    why: 'a database that is none',
    make: () => withFile('data/old.db', 'not a database, but long enough to be read as one'.repeat(99)),
    code: 'DATABASE_CORRUPT',
  },
  { why: 'a database that is not there', make: () => withFile('data/other', ''), code: 'LADDER_BOOKKEEPING_MISSING' },
  {
    why: 'a PostgreSQL that does not answer',
    make: () => withLadder('ladders: { main: { dir: db, database: pg } }\n'),
    code: 'POSTGRES_UNREACHABLE',
    exit: 3,
  },
  { why: 'no database named among several', make: () => withLadder('ladders: { main: { dir: db } }\n'), code: 'LADDER_DATABASE_MISSING' },
  {
    why: 'a folder that is not there',
    make: () => withLadder('ladders: { main: { dir: nowhere, database: old } }\n', ownprem([])),
    code: 'LADDER_DIR_MISSING',
  },
  { why: 'no ladders', make: () => makeSmall(), code: 'LADDERS_MISSING' },
])('refused: $why', async ({ make, code: wanted, args = [], exit = 2 }) => {
  const small = make();
  const before = snapshot(small.dir);
  const { code, found } = await adopt(small, ...args);
  expect(found.failures.map((failure) => failure.code)).toEqual([wanted]);
  expect(code).toBe(exit);
  const text = await small.upgrade(['adopt', ...args]);
  expect(text.code).toBe(exit);
  expect(text.stdout + text.stderr).toContain(wanted);
  expect(snapshot(small.dir)).toEqual(before);
});

test('one ladder that cannot be adopted keeps all from it; named alone the other one is adopted', async () => {
  const small = withDatabase(moss([[1, '001_users.sql', 'completed', null]]));
  configure(small, '');
  const file = path.join(small.root, 'upgrade.yaml');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(
      folderLadder,
      'ladders: { main: { dir: db, database: old }, far: { dir: db, database: pg }, new: { dir: db, database: app } }\n',
    ),
  );
  const { code, found } = await adopt(small);
  expect(code).toBe(3);
  expect(found.ladders.map(({ name, status }) => [name, status])).toEqual([
    ['main', 'adopted'],
    ['far', 'blocked'],
    ['new', 'nothing-recorded'],
  ]);
  expect(found.failures).toMatchObject([{ code: 'POSTGRES_UNREACHABLE' }]);
  expect(await ladders(small)).toMatchObject([
    { name: 'main', height: 0 },
    { name: 'far', height: 0 },
    { name: 'new', height: 0 },
  ]);
  expect((await adopt(small, '--ladder', 'main')).code).toBe(0);
  expect(await ladders(small)).toMatchObject([
    { name: 'main', height: 1 },
    { name: 'far', height: 0 },
    { name: 'new', height: 0 },
  ]);
});

test('what is adopted is shown to people', async () => {
  const small = withDatabase(
    moss([
      [1, '001_users.sql', 'completed', null],
      [3, '003_more.sql', 'completed', null],
    ]),
  );
  const { code, stdout } = await small.upgrade(['adopt', '--ladder', 'main']);
  expect(code).toBe(0);
  for (const part of ['Ladder main', 'was adopted', 'old.db (schema_migrations)', '3, 2 steps applied', '001_users.sql', 'LADDER_GAP'])
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(part);
  expect((await small.upgrade(['status'])).stdout).toMatch(/Ladder\s+main\s+3 of 10, 2 pending/);
});

test('a ladder in disorder is a problem of check, too', async () => {
  const small = makeSmall({
    config: 'ladders: { main: { dir: db, database: app } }\n',
    files: { 'inst/db/001_a.sql': '', 'inst/db/001_b.sql': '', 'inst/db/2-c.sql': '' },
  });
  const { code, stdout } = await small.upgrade(['check', '--json']);
  expect(code).toBe(2);
  expect(
    JSON.parse(stdout)
      .problems.map((problem: { code: string }) => problem.code)
      .toSorted(),
  ).toEqual(['LADDER_DUPLICATE', 'LADDER_FILE_NAME']);
});

function withText(text: string): Small {
  return makeSmall({ config: indexLadder, files: { ...index([]), 'inst/m/index.json': text } });
}

function withFile(file: string, text: string): Small {
  const small = makeSmall({ files: folder });
  configure(small, folderLadder);
  writeFileSync(path.join(small.root, file), text);
  return small;
}

function withLadder(ladders: string, sql = ''): Small {
  const small = makeSmall({ files: folder });
  configure(small, ladders);
  if (sql !== '') makeDatabase(path.join(small.root, 'data/old.db'), sql);
  return small;
}
