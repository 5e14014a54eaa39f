// `upgrade check --fresh`: a fresh installation and the ladder are tried on scratch databases and compared; nothing of that stays, and the installation
// is not touched.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compareSchemas } from '../../../src/databases/schema-diff.ts';
import { dumpPostgresSchema } from '../../../src/databases/postgres/schema-dump.ts';
import type { SchemaComparison } from '../../../src/model/schema.ts';
import { renderSchemaDiff } from '../../../src/report/schema-diff.ts';
import { programs, startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { richDatabase } from '../databases/rich-database.ts';
import { makeLadderHome, table, type LadderHome } from './scratch.ts';

interface Checked {
  readonly code: number | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly problems: readonly {
    readonly code: string;
    readonly message: string;
    readonly step?: string;
    readonly place?: { readonly file: string };
  }[];
  readonly findings: readonly { readonly level: string; readonly message: string }[];
  readonly fresh: readonly { readonly name: string; readonly status: string; readonly comparison: SchemaComparison | null }[];
}

const config = `
product: checked
version: { journal: true }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db, fresh: db/schema.sql } }
`;
const files = {
  'db/001_users.sql': 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n',
  'db/002_email.ts':
    "export default { forward: async ({ sqlite, files }) => { await sqlite('app').exec('ALTER TABLE users ADD COLUMN email TEXT'); await files.write('data/mail.txt', 'on'); } };\n",
  'db/003_index.sql': 'CREATE INDEX users_email ON users (email);\n',
  'db/schema.sql':
    'create table "users" (id integer primary key, name text not null, -- all of them\n email text);\nCREATE INDEX users_email ON users(email ASC);\n',
};

/** With a folder of its own for temporary files, which has to be empty afterwards; and the installation as it was, to the byte and the time. */
async function check(home: LadderHome, temporary: string, ...args: readonly string[]): Promise<Checked> {
  const before = stampsOf(home.root);
  const ended = await home.upgrade('check', '--fresh', ...args, '--json');
  expect(stampsOf(home.root)).toEqual(before);
  expect(readdirSync(temporary)).toEqual([]);
  return { code: ended.code, ...(ended.json() as unknown as Omit<Checked, 'code'>) };
}

const textOf = async (home: LadderHome): Promise<string> => (await home.upgrade('check', '--fresh')).stdout;

function stampsOf(dir: string, relative = '.'): readonly string[] {
  return readdirSync(path.join(dir, relative), { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(relative, entry.name);
      if (file === 'tmp') return [];
      const { mtimeMs, size } = statSync(path.join(dir, file));
      if (entry.isDirectory()) return [`${file} ${mtimeMs}`, ...stampsOf(dir, file)];
      return [
        `${file} ${mtimeMs} ${size} ${createHash('sha256')
          .update(readFileSync(path.join(dir, file)))
          .digest('hex')}`,
      ];
    });
}

function homeOf(text: string, of: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  const variables: Record<string, string> = { ...env };
  const home = makeLadderHome(text, of, variables);
  const temporary = path.join(home.root, 'tmp');
  mkdirSync(temporary);
  variables['TMPDIR'] = temporary;
  return { home, temporary };
}

describe('SQLite', () => {
  test('a schema that says the same in other words is the same; a database with data is not looked at', async () => {
    const { home, temporary } = homeOf(config, files);
    await home.upgrade('up', '2');
    const { code, fresh } = await check(home, temporary);
    const text = await textOf(home);
    expect(code).toBe(0);
    expect(fresh).toMatchObject([{ name: 'main', status: 'same', comparison: { differences: [], minor: [] } }]);
    expect(text).toContain('✓ Ladder main: db/schema.sql (1 step) and 3 steps up to 3 lead to the same schema.');
    expect(home.query('SELECT * FROM users')).toEqual([]);
  });

  test('differences are told object by object, and are exit 2', async () => {
    const { home, temporary } = homeOf(config, {
      ...files,
      'db/schema.sql':
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody', mail TEXT);\nCREATE TABLE posts (id INTEGER);\n",
    });
    const { code, problems, fresh } = await check(home, temporary);
    const text = await textOf(home);
    expect(code).toBe(2);
    expect(problems).toMatchObject([{ code: 'LADDER_FRESH_DIFFERS', message: expect.stringContaining('5 differences') }]);
    expect(fresh[0]?.comparison?.differences).toContainEqual({ kind: 'table', name: 'posts', side: 'only in fresh', facts: [] });
    const [, diff = ''] = /not the same\n([\s\S]*)\n\n1 problem/.exec(text) ?? [];
    expect(diff.trimEnd().split('\n')).toEqual([
      '  + table posts',
      '  - column users.email',
      '  -     type: text',
      '  + column users.mail',
      '  +     type: text',
      '  ~ column users.name',
      "    + default: 'nobody'",
      '  - index users_email',
      '  -     definition: on users(email)',
    ]);
  });

  test('the order of columns and seed rows are warnings, which --strict takes seriously', async () => {
    const { home, temporary } = homeOf(config, {
      ...files,
      'db/schema.sql':
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT NOT NULL);\nCREATE INDEX users_email ON users (email);\nINSERT INTO users (name) VALUES ('Ada');\n",
    });
    const { code, findings } = await check(home, temporary);
    expect(code).toBe(0);
    expect(findings).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('order of columns: id, email, name in the fresh one, id, name, email by the ladder'),
      },
      { level: 'warn', message: expect.stringContaining('users has 1 rows in the fresh one, 0 by the ladder') },
    ]);
    expect((await home.upgrade('check', '--fresh', '--strict')).code).toBe(2);
  });

  test.each([
    ['db/schema.sql', 'CREATE TABLE users (id INTEGER);\nCREATE INDEX i ON users (email);\n', 'main/fresh', 'line 2'],
    ['db/003_index.sql', 'CREATE INDEX i ON users (nothing);\n', 'main/003_index', 'line 1'],
    [
      'db/002_email.ts',
      "export default { forward: async () => { throw new Error('no mail today'); } };\n",
      'main/002_email',
      'no mail today',
    ],
  ])('a way that fails is told with its step and place: %s', async (file, text, step, said) => {
    const { home, temporary } = homeOf(config, { ...files, [file]: text });
    const { code, problems, fresh } = await check(home, temporary);
    expect(code).toBe(2);
    expect(fresh).toMatchObject([{ status: 'failed', comparison: null }]);
    expect(problems).toMatchObject([{ code: 'STEP_FAILED', step, message: expect.stringContaining(said) }]);
  });

  test('steps find the scratch database where they look for the real one', async () => {
    const { home, temporary } = homeOf(
      config.replace('data/app.db', '"${APP_DB}"'),
      {
        ...files,
        'db/004_script.sh':
          '#!/bin/sh\n[ "$1" = forward ] || exit 0\n[ "$APP_DB" = "$UPGRADE_DB_APP" ] && [ -e "$APP_DB" ] && [ "$PWD" = "$UPGRADE_ROOT" ] && case "$PWD" in */rungs-check-*) exit 0;; esac\nexit 9\n',
      },
      { APP_DB: 'data/app.db' },
    );
    expect(await check(home, temporary)).toMatchObject({ code: 0, fresh: [{ status: 'same' }] });
  });

  test('one ladder of several, and what cannot be asked', async () => {
    const two = `product: two\nversion: { journal: true }\ndatabases: { app: { sqlite: data/app.db } }\nladders: { main: { dir: db, fresh: db/schema.sql }, plain: { dir: plain }, bad: { dir: plain, fresh: bad.sql } }\n`;
    const { home, temporary } = homeOf(two, { ...files, 'plain/001_a.sql': table('a'), 'bad.sql': 'CREATE TABLE b (id);' });
    expect(await check(home, temporary, '--ladder', 'main')).toMatchObject({ code: 0, fresh: [{ name: 'main', status: 'same' }] });
    expect(await check(home, temporary)).toMatchObject({
      code: 2,
      fresh: [
        { name: 'main', status: 'same' },
        { name: 'bad', status: 'different' },
      ],
    });
    expect((await home.upgrade('check', '--fresh', '--ladder', 'plain', '--json')).json()).toMatchObject({
      failure: { code: 'LADDER_FRESH_NONE' },
    });
    expect((await home.upgrade('check', '--fresh', '--ladder', 'mian', '--json')).json()).toMatchObject({
      failure: { code: 'LADDER_UNKNOWN' },
    });
    expect((await home.upgrade('check', '--ladder', 'main', '--json')).json()).toMatchObject({ failure: { code: 'USAGE' } });
  });
});

describe('PostgreSQL', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    if (programs() !== null) postgres = await startPostgres();
  }, 120_000);

  const onServer = config.replace('sqlite: data/app.db', 'postgres: "${DATABASE_URL}"');
  const steps = {
    'db/001_users.sql':
      "CREATE TYPE mood AS ENUM ('sad', 'ok');\nCREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, feeling mood);\n",
    'db/002_email.sql': 'ALTER TABLE users ADD COLUMN email varchar(80) UNIQUE;\n',
    'db/003_index.sql': '-- rungs: { transaction: false }\nCREATE INDEX CONCURRENTLY users_name ON users (lower(name));\n',
    'db/schema.sql':
      "SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TYPE public.mood AS ENUM ('sad', 'ok');\nCREATE TABLE public.users (\n  id serial PRIMARY KEY,\n  name text NOT NULL,\n  feeling public.mood,\n  email varchar(80) UNIQUE\n);\nCREATE INDEX users_name ON public.users USING btree (lower(name));\n",
  };
  const scratches = async (): Promise<readonly unknown[]> =>
    postgres.query(postgres.url('postgres'), "SELECT datname FROM pg_database WHERE datname LIKE 'rungs\\_check%'");

  testWithPostgres('an empty database is made fresh in one step, as a dump tells it, and the ladder goes on', async () => {
    const url = await postgres.database();
    const home = makeLadderHome(onServer, steps, { DATABASE_URL: url });
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({
      outcome: 'committed',
      steps: [{ id: 'main/fresh', status: 'applied' }],
    });
    expect(await home.heights()).toEqual({ main: 3 });
    home.write('db/004_posts.sql', 'CREATE TABLE posts (id integer);\n');
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'committed', steps: [{ id: 'main/004_posts' }] });
    expect(
      await postgres.query(url, "SELECT to_regclass('public.posts')::text AS posts, to_regclass('public.users_name')::text AS i"),
    ).toEqual([{ posts: 'posts', i: 'users_name' }]);
  });

  testWithPostgres('a database that another tool has migrated, or that holds a type, is refused', async () => {
    const url = await postgres.database();
    const home = makeLadderHome(onServer, steps, { DATABASE_URL: url });
    await postgres.query(url, "CREATE TYPE mood AS ENUM ('sad')");
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_NOT_EMPTY' } });
    await postgres.query(url, 'CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text, applied_at timestamptz)');
    await postgres.query(url, "INSERT INTO schema_migrations VALUES (1, 'users')");
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_ADOPT_FIRST' } });
  });

  testWithPostgres('fresh and ladder are compared, the differences told, and the scratch databases dropped', async () => {
    const url = await postgres.database();
    const { home, temporary } = homeOf(onServer, steps, { DATABASE_URL: url });
    expect(await check(home, temporary)).toMatchObject({ code: 0, fresh: [{ status: 'same', comparison: { minor: [] } }] });
    home.write(
      'db/schema.sql',
      `${steps['db/schema.sql'].replace("'ok')", "'ok', 'glad')").replace('name text NOT NULL', 'name text')}COMMENT ON TABLE public.users IS 'people';\n`,
    );
    const { code } = await check(home, temporary);
    const text = await textOf(home);
    expect(code).toBe(2);
    expect(text).toMatch(/~ enum mood\n {4}\+ values: sad, ok, glad\n {4}- values: sad, ok\n/);
    expect(text).toMatch(/~ table users\n {4}\+ comment: people\n/);
    expect(text).toMatch(/~ column users\.name\n {4}- not null\n/);
    expect(await scratches()).toEqual([]);
    expect(await postgres.query(url, "SELECT count(*)::int AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace")).toEqual([
      { n: 0 },
    ]);
  });

  testWithPostgres('scratch databases are gone after a failure, and steps do not find the real one in their environment', async () => {
    const url = await postgres.database();
    const { home, temporary } = homeOf(
      onServer,
      {
        ...steps,
        'db/004_look.sh':
          '#!/bin/sh\n[ "$DATABASE_URL" = "$UPGRADE_DB_APP" ] || exit 9\ncase "$DATABASE_URL" in */rungs_check_*) exit 0;; esac\nexit 8\n',
        'db/005_bad.sql': 'SELECT 1;\nSELECT * FROM nowhere;\n',
      },
      { DATABASE_URL: url },
    );
    const { code, problems } = await check(home, temporary);
    expect(code).toBe(2);
    expect(problems).toMatchObject([
      { code: 'STEP_FAILED', step: 'main/005_bad', place: { file: path.join(home.root, 'db/005_bad.sql') } },
    ]);
    expect(JSON.stringify(problems)).not.toContain('rungs_check_');
    expect(await scratches()).toEqual([]);
  });

  testWithPostgres('SIGINT ends the step that runs, and the scratch databases are dropped', async () => {
    const url = await postgres.database();
    const { home, temporary } = homeOf(onServer, { ...steps, 'db/002_email.sql': 'SELECT pg_sleep(600);\n' });
    const executable = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');
    const child = spawn(process.execPath, [executable, 'check', '--fresh'], {
      cwd: home.root,
      env: { ...process.env, NO_COLOR: '1', DATABASE_URL: url, TMPDIR: temporary },
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const sleeps = async (): Promise<boolean> => {
      const rows = await postgres.query(
        postgres.url('postgres'),
        "SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'rungs\\_check%' AND query LIKE '%pg_sleep(600)%' AND state = 'active'",
      );
      return rows.length > 0;
    };
    await expect.poll(sleeps, { timeout: 60_000, interval: 50 }).toBe(true);
    child.kill('SIGINT');
    expect(await ended).not.toBe(0);
    expect(await scratches()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  testWithPostgres('a role that may not make databases is told what it needs', async () => {
    await postgres.query(postgres.url('postgres'), 'CREATE ROLE modest LOGIN');
    const url = await postgres.database({ owner: 'modest' });
    const { home, temporary } = homeOf(onServer, steps, { DATABASE_URL: url });
    const { code, problems } = await check(home, temporary);
    expect(code).toBe(2);
    expect(problems).toContainEqual(expect.objectContaining({ code: 'POSTGRES_NO_SCRATCH' }));
    expect(problems).toHaveLength(1);
  });

  testWithPostgres.for([
    ['CREATE TABLE more (a int)', '+ table more'],
    ['ALTER TABLE nothing_in_it ADD COLUMN w numeric(4,2) DEFAULT 1.5', '+ column nothing_in_it.w'],
    ['ALTER TABLE child ALTER COLUMN extra TYPE bigint', '~ column child.extra'],
    ['ALTER TABLE users ADD CHECK (id > 0)', '+ constraint users CHECK ((id > 0))'],
    ['ALTER TABLE users ADD UNIQUE (id, name)', '+ constraint users UNIQUE (id, name)'],
    ['DROP INDEX users_recent', '- index users_recent'],
    [
      "CREATE OR REPLACE FUNCTION twice(value integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT value + value'",
      '~ function twice(integer)',
    ],
    ['DROP TRIGGER note ON users', '- trigger users.note'],
    ['CREATE OR REPLACE VIEW "Other schema".recent AS SELECT u.*, 1::bigint AS total FROM users u', '~ view "Other schema".recent'],
    ["ALTER TYPE mood ADD VALUE 'glad'", '~ enum mood'],
    ['ALTER DOMAIN positive SET NOT NULL', '~ domain positive'],
    ['ALTER SEQUENCE untouched INCREMENT 3', '~ sequence untouched'],
    ["COMMENT ON COLUMN users.status IS 'how'", '~ column users.status'],
    ['DROP POLICY own ON users', '- policy users.own'],
    ['GRANT SELECT ON plain TO PUBLIC', '~ table plain'],
    ['CREATE SCHEMA more', '+ schema more'],
    ['CREATE EXTENSION citext', '+ extension citext'],
    ['ALTER TABLE users ALTER COLUMN name DROP NOT NULL', '~ column users.name'],
    ['DROP COLLATION nordic', '- collation nordic'],
  ] as const)('on a rich database this is one difference: %s', { timeout: 60_000 }, async ([sql, line]) => {
    await rich();
    const changed = `changed_${(made += 1)}`;
    await postgres.query(postgres.url('postgres'), `CREATE DATABASE ${changed} TEMPLATE rich_one`);
    await postgres.query(postgres.url(changed), sql);
    const comparison = await compared(changed, 'rich_two');
    const heads = renderSchemaDiff(comparison)
      .slice(1)
      .filter((text) => /^[-+~] \S/.test(text));
    expect(heads).toEqual([line]);
    await postgres.query(postgres.url('postgres'), `DROP DATABASE ${changed}`);
  });

  testWithPostgres('two databases of the same script are the same; names that were made up are minor', async () => {
    await rich();
    expect(await compared('rich_one', 'rich_two')).toEqual({ differences: [], minor: [], rows: [], records: [] });
    await postgres.query(postgres.url('postgres'), 'CREATE DATABASE renamed TEMPLATE rich_one');
    await postgres.query(postgres.url('renamed'), 'ALTER TABLE users RENAME CONSTRAINT users_name_check TO other_check');
    await postgres.query(postgres.url('renamed'), "INSERT INTO plain VALUES ('one more'); UPDATE child SET extra = 2");
    expect(await compared('renamed', 'rich_two')).toMatchObject({
      differences: [],
      minor: [{ kind: 'constraint', facts: [{ name: 'name', fresh: 'other_check', ladder: 'users_name_check' }] }],
      rows: [
        { table: 'child', kind: 'values' },
        { table: 'plain', fresh: 504, ladder: 503, kind: 'counts' },
      ],
    });
  });

  let made = 0;
  let ready: Promise<void> | null = null;
  const rich = (): Promise<void> => {
    ready ??= (async () => {
      for (const name of ['rich_one', 'rich_two']) {
        await postgres.query(postgres.url('postgres'), `CREATE DATABASE ${name}`);
        await postgres.query(postgres.url(name), richDatabase);
      }
    })();
    return ready;
  };
  const compared = async (fresh: string, ladder: string): Promise<SchemaComparison> => {
    const [one, other] = await Promise.all(
      [fresh, ladder].map((name) => dumpPostgresSchema('app', { url: postgres.url(name), attempts: 1, backoffMs: 10 })),
    );
    if (one === undefined || other === undefined) throw new Error('no dumps');
    return compareSchemas(one, other);
  };
});
