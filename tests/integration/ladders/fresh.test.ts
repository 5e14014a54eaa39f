// Fresh installations: an empty database is brought to the top in one step, anything else is left alone until somebody says where it stands.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { UpdateManager } from '../../../src/update-manager.ts';
import { makeLadderHome, table, type LadderHome } from './scratch.ts';

const config = `
product: fresh
version: { journal: true }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db, fresh: db/schema.sql } }
`;
const users = 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n-- backward\nDROP TABLE users;\n';
const email = 'ALTER TABLE users ADD COLUMN email TEXT;\n-- backward\nALTER TABLE users DROP COLUMN email;\n';
const schema =
  'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);\nCREATE INDEX users_email ON users (email);\nCREATE TABLE posts (id INTEGER PRIMARY KEY);\n';
const index = 'CREATE INDEX users_email ON users (email);\n-- backward\nDROP INDEX users_email;\n';
const files = {
  'db/001_users.sql': users,
  'db/002_email.sql': email,
  'db/003_index.sql': index,
  'db/004_posts.sql': table('posts'),
  'db/schema.sql': schema,
};

interface Document {
  readonly outcome: string;
  readonly steps: readonly { readonly id: string; readonly status: string }[];
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string; readonly step?: string } | null;
  readonly failures: readonly { readonly code: string }[];
}

async function up(home: LadderHome, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly document: Document }> {
  const ended = await home.upgrade('up', ...args, '--json');
  return { code: ended.code, document: ended.json() as unknown as Document };
}

const idsOf = ({ steps }: Document): readonly string[] => steps.map(({ id }) => id);

function execute(home: LadderHome, sql: string): void {
  const db = new DatabaseSync(path.join(home.root, 'data/app.db'));
  db.exec(sql);
  db.close();
}

const bytesOf = (home: LadderHome): string => readFileSync(path.join(home.root, 'data/app.db')).toString('base64');

describe('an empty database', () => {
  test('is brought to the top in one step; the plan says so, and the ladder goes on from there, up and down', async () => {
    const home = makeLadderHome(config, files);
    const plan = await home.upgrade('up', '--dry-run', '--json');
    expect(plan.json()).toMatchObject({
      ladders: [{ name: 'main', from: 0, height: 4, steps: [{ id: 'main/fresh', kind: 'sql', description: 'fresh installation' }] }],
      findings: [{ code: 'DATABASE_MISSING' }],
    });
    expect(existsSync(path.join(home.root, '.upgrade'))).toBe(false);
    const first = await up(home);
    expect(first.code).toBe(0);
    expect(first.document).toMatchObject({ outcome: 'committed', steps: [{ id: 'main/fresh', status: 'applied' }] });
    expect(home.tables()).toEqual(['posts', 'users']);
    expect((await home.upgrade('status', '--json')).json()).toMatchObject({
      state: 'up-to-date',
      ladders: [{ height: 4, latest: 4, pending: 0 }],
    });
    expect((await up(home)).document.outcome).toBe('nothing-to-do');
    // A new step on top is run as any other.
    home.write('db/005_tags.sql', table('tags'));
    expect(idsOf((await up(home)).document)).toEqual(['main/005_tags']);
    expect(home.tables()).toEqual(['posts', 'tags', 'users']);
    // Down by the ladder's own ways back, which never ran forwards here.
    expect((await home.upgrade('down', '2')).code).toBe(0);
    expect(home.tables()).toEqual(['users']);
    expect(home.query("SELECT name FROM sqlite_schema WHERE type = 'index'")).toEqual([]);
    expect((await home.upgrade('down', '0')).code).toBe(0);
    expect(home.tables()).toEqual([]);
    // Empty again, and nothing of it applied.
    expect(idsOf((await up(home)).document)).toEqual(['main/fresh']);
  });

  test('a height below the top is climbed from the ground, the top by its number is fresh', async () => {
    const home = makeLadderHome(config, files);
    expect(idsOf((await up(home, '2')).document)).toEqual(['main/001_users', 'main/002_email']);
    const other = makeLadderHome(config, files);
    expect(idsOf((await up(other, '4')).document)).toEqual(['main/fresh']);
  });

  test('an edited step is no way down', async () => {
    const home = makeLadderHome(config, files);
    await up(home);
    home.write('db/004_posts.sql', `${table('posts')}DELETE FROM users;\n`);
    const ended = await home.upgrade('down', '--json');
    expect(ended.json()).toMatchObject({ failure: { code: 'LADDER_EDITED' } });
    expect(home.tables()).toEqual(['posts', 'users']);
  });

  test('by a folder of steps, whose names may be those of the ladder', async () => {
    const home = makeLadderHome(config.replace('db/schema.sql', 'db/fresh'), {
      ...files,
      'db/fresh/001_users.sql': schema,
      'db/fresh/004_posts.sql': 'INSERT INTO posts VALUES (7);\n-- backward\nDELETE FROM users;\n',
      'db/fresh/005_words.ts':
        "import { word } from './_words.ts';\nexport default { forward: async ({ files, sqlite }) => { await sqlite('app').exec(`INSERT INTO users (name) VALUES ('Ada')`); await files.write('data/word', word); } };\n",
      'db/fresh/_words.ts': "export const word: string = 'fresh';\n",
    });
    expect((await up(home)).document).toMatchObject({
      outcome: 'committed',
      steps: [{ id: 'main/fresh-001_users' }, { id: 'main/fresh-004_posts' }, { id: 'main/fresh-005_words' }],
    });
    expect(home.read('data/word')).toBe('fresh');
    expect(await home.heights()).toEqual({ main: 4 });
    // The ladder's 004, not the one that made the installation.
    expect((await home.upgrade('down')).code).toBe(0);
    expect(home.tables()).toEqual(['users']);
    expect(home.query('SELECT name FROM users')).toEqual([{ name: 'Ada' }]);
  });

  test('in a plan of versions whose height is the top, and at boot', async () => {
    const transitions = {
      'migrations/v1.0.0_to_v1.1.0/transition.yaml': 'ladders: { main: 4 }\n',
      'migrations/v1.0.0_to_v1.1.0/001_seed.sql': "INSERT INTO users (name) VALUES ('Ada');\n",
      VERSION: '1.0.0\n',
    };
    const home = makeLadderHome(config.replace('{ journal: true }', '{ file: VERSION }'), { ...files, ...transitions });
    const ended = await home.upgrade('--to', '1.1.0', '--json');
    expect(ended.json()).toMatchObject({ outcome: 'committed', steps: [{ id: 'main/fresh' }, { id: 'v1.0.0_to_v1.1.0/001_seed' }] });
    expect(await home.heights()).toEqual({ main: 4 });
    const booted = makeLadderHome(config, files);
    expect((await booted.upgrade('boot', '--', 'true')).code).toBe(0);
    expect(booted.query("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'users_email'")).toEqual([{ n: 1 }]);
    expect(await booted.heights()).toEqual({ main: 4 });
  });

  test('a height below the top first, then the top, is climbed: the database is not empty by then', async () => {
    const home = makeLadderHome(config.replace('{ journal: true }', '{ file: VERSION }'), {
      ...files,
      'migrations/v1.0.0_to_v1.1.0/001_own.sql': 'CREATE TABLE own (id INTEGER);\n',
      'migrations/v1.1.0_to_v1.2.0/transition.yaml': 'ladders: { main: 4 }\n',
      VERSION: '1.0.0\n',
    });
    const ended = await home.upgrade('--to', '1.2.0', '--json');
    expect(idsOf(ended.json() as unknown as Document)).toEqual([
      'v1.0.0_to_v1.1.0/001_own',
      'main/001_users',
      'main/002_email',
      'main/003_index',
      'main/004_posts',
    ]);
  });

  test('a fresh installation that fails leaves nothing', async () => {
    const home = makeLadderHome(config, { ...files, 'db/schema.sql': `${schema}INSERT INTO nowhere VALUES (1);\n` });
    const { code, document } = await up(home);
    expect(code).toBe(10);
    expect(document).toMatchObject({ outcome: 'rolled-back', failure: { code: 'STEP_FAILED', step: 'main/fresh' } });
    expect(document.failure?.message).toContain('line 4');
    expect(existsSync(path.join(home.root, 'data/app.db'))).toBe(false);
    expect(await home.heights()).toEqual({ main: 0 });
    home.write('db/schema.sql', schema);
    expect((await up(home)).document.outcome).toBe('committed');
  });

  test('a fresh installation whose process is killed is finished by resume, each step once', async () => {
    const home = makeLadderHome(config.replace('db/schema.sql', 'db/fresh'), {
      ...files,
      'db/fresh/001_schema.sql': schema,
      // Kills the program that runs it, the first time.
      'db/fresh/002_kill.sh':
        '#!/bin/sh\n# rungs: { idempotent: true }\nif [ ! -e data/killed ]; then : > data/killed; kill -9 "$PPID" $$; fi\n: > data/second\n',
      'db/fresh/003_seed.sql': "INSERT INTO users (name) VALUES ('Ada');\n",
    });
    expect((await home.upgrade('up')).code).toBe(null);
    expect(existsSync(path.join(home.root, 'data/killed'))).toBe(true);
    expect((await home.upgrade('status', '--json')).json()).toMatchObject({ state: 'unfinished', ladders: [{ height: 0 }] });
    expect((await home.upgrade('resume', '--json')).json()).toMatchObject({ outcome: 'committed' });
    expect(home.query('SELECT name FROM users')).toEqual([{ name: 'Ada' }]);
    expect(await home.heights()).toEqual({ main: 4 });
  });

  test('rolled back after a kill, the database is empty again', async () => {
    const home = makeLadderHome(config.replace('db/schema.sql', 'db/fresh'), {
      ...files,
      'db/fresh/001_schema.sql': schema,
      'db/fresh/002_kill.sh': '#!/bin/sh\nkill -9 "$PPID" $$\n',
    });
    expect((await home.upgrade('up')).code).toBe(null);
    expect((await home.upgrade('status', '--json')).json()).toMatchObject({ state: 'unfinished', lock: null });
    expect(home.tables()).toEqual(['_rungs_marker', 'posts', 'users']);
    expect((await home.upgrade('rollback', '--json')).json()).toMatchObject({ outcome: 'rolled-back' });
    expect(existsSync(path.join(home.root, 'data/app.db'))).toBe(false);
    expect(await home.heights()).toEqual({ main: 0 });
  });
});

describe('a database that is not empty', () => {
  const record =
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL); CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT); INSERT INTO schema_migrations VALUES (1, 'users', '2024-01-01')";

  // What befell Ownprem: schema.sql ran before the migrations on an existing database, and made an index on a column that came later.
  test.each([
    ['with', config],
    ['without', config.replace(', fresh: db/schema.sql', '')],
  ])('that another tool has migrated is refused %s a fresh, until it is adopted', async (_, text) => {
    const home = makeLadderHome(text, files);
    execute(home, record);
    const before = bytesOf(home);
    const { code, document } = await up(home);
    expect(code).toBe(3);
    expect(document).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_ADOPT_FIRST' } });
    expect(document.failure?.hint).toContain('upgrade adopt --ladder main');
    expect(bytesOf(home)).toBe(before);
    expect((await home.upgrade('adopt')).code).toBe(0);
    expect(idsOf((await up(home)).document)).toEqual(['main/002_email', 'main/003_index', 'main/004_posts']);
    expect(home.query('SELECT version FROM schema_migrations')).toEqual([{ version: 1 }]);
  });

  test('by a tool whose record Rungs does not understand, a baseline is asked for', async () => {
    const home = makeLadderHome(config, files);
    execute(
      home,
      'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL); CREATE TABLE schema_migrations (version INTEGER, dirty BOOLEAN); INSERT INTO schema_migrations VALUES (1, 0)',
    );
    const { document } = await up(home);
    expect(document.failure).toMatchObject({ code: 'LADDER_ADOPT_FIRST', hint: expect.stringContaining('upgrade baseline N') });
    expect((await home.upgrade('baseline', '1')).code).toBe(0);
    expect(idsOf((await up(home)).document)).toEqual(['main/002_email', 'main/003_index', 'main/004_posts']);
  });

  test('of which nobody knows anything is refused where the ladder makes the whole database, until somebody says where it stands', async () => {
    const home = makeLadderHome(config, files);
    execute(home, 'CREATE TABLE guests (id INTEGER)');
    const before = bytesOf(home);
    expect(await up(home)).toMatchObject({ code: 3, document: { outcome: 'refused', failure: { code: 'LADDER_NOT_EMPTY' } } });
    expect(bytesOf(home)).toBe(before);
    expect((await home.upgrade('baseline', '0')).code).toBe(0);
    expect(idsOf((await up(home)).document)).toEqual(['main/001_users', 'main/002_email', 'main/003_index', 'main/004_posts']);
  });

  test('is what a ladder without a fresh may begin on', async () => {
    const home = makeLadderHome(config.replace(', fresh: db/schema.sql', ''), files);
    execute(home, 'CREATE TABLE guests (id INTEGER)');
    expect((await up(home)).document.outcome).toBe('committed');
  });

  test('by another ladder is climbed from the ground', async () => {
    const two = config.replace('fresh: db/schema.sql }', 'fresh: db/schema.sql }, more: { dir: more, fresh: more/schema.sql }');
    const home = makeLadderHome(two, {
      ...files,
      'more/001_b.sql': table('b'),
      'more/schema.sql': 'CREATE TABLE b (id INTEGER PRIMARY KEY);',
    });
    expect(idsOf((await up(home, '--ladder', 'main')).document)).toEqual(['main/fresh']);
    expect(idsOf((await up(home, '--ladder', 'more')).document)).toEqual(['more/001_b']);
    // Both at once, on an empty one, are both fresh.
    const both = makeLadderHome(two, {
      ...files,
      'more/001_b.sql': table('b'),
      'more/schema.sql': 'CREATE TABLE b (id INTEGER PRIMARY KEY);',
    });
    expect(idsOf((await up(both)).document)).toEqual(['main/fresh', 'more/fresh']);
  });
});

describe('others at work', () => {
  test('what was planned before another run is refused under the lock: a climbed ladder, a database that was filled', async () => {
    const home = makeLadderHome(config, files);
    const manager = await UpdateManager.open({ config: path.join(home.root, 'upgrade.yaml') });
    const [first, second] = [await manager.planLadders({ kind: 'up' }), await manager.planLadders({ kind: 'up' })];
    expect((await manager.run(first)).outcome).toBe('committed');
    const before = bytesOf(home);
    expect(await manager.run(second)).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_MOVED' } });
    expect(bytesOf(home)).toBe(before);
    const other = makeLadderHome(config, files);
    const another = await UpdateManager.open({ config: path.join(other.root, 'upgrade.yaml') });
    const planned = await another.planLadders({ kind: 'up' });
    execute(other, 'CREATE TABLE guests (id INTEGER)');
    expect(await another.run(planned)).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_FRESH_STALE' } });
    expect(other.tables()).toEqual(['guests']);
  });

  test('several that boot at once on an empty database all start, and it is installed once', async () => {
    const home = makeLadderHome(config.replace('db/schema.sql', 'db/fresh'), {
      ...files,
      'db/fresh/001_schema.sql': schema,
      'db/fresh/002_count.sh': '#!/bin/sh\necho once >> data/count\n',
    });
    const boots = await Promise.all([1, 2, 3, 4].map(() => home.upgrade('boot', '--', 'true')));
    expect(boots.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(home.read('data/count')).toBe('once\n');
    expect(await home.heights()).toEqual({ main: 4 });
  });
});

describe('check', () => {
  test.each([
    ['is not there', (home: LadderHome) => rmSync(path.join(home.root, 'db/schema.sql')), 'LADDER_FRESH_MISSING', 'does not exist'],
    ['has nothing to run', (home: LadderHome) => home.write('db/schema.sql', '-- later\n;'), 'LADDER_FRESH_EMPTY', 'db/schema.sql'],
    [
      'has commands of a shell',
      (home: LadderHome) => home.write('db/schema.sql', `${schema}.mode csv\n`),
      'LADDER_FRESH_DIALECT',
      'Line 4',
    ],
    [
      'is of another dialect',
      (home: LadderHome) => home.write('db/schema.sql', `${schema}CREATE EXTENSION pgcrypto;`),
      'LADDER_FRESH_DIALECT',
      'Line 4',
    ],
    [
      'brings its own transaction',
      (home: LadderHome) => home.write('db/schema.sql', `BEGIN;\n${schema}COMMIT;`),
      'STEP_OWN_TRANSACTION',
      'line 1',
    ],
  ])('a fresh that %s is a problem', async (_, spoil, code, text) => {
    const home = makeLadderHome(config, files);
    expect((await home.upgrade('check')).code).toBe(0);
    spoil(home);
    const ended = await home.upgrade('check', '--json');
    expect(ended.code).toBe(2);
    const { problems } = ended.json() as { problems: { code: string; message: string }[] };
    expect(problems).toContainEqual(expect.objectContaining({ code, message: expect.stringContaining(text) }));
    if (code.startsWith('LADDER_FRESH_MISSING')) expect((await up(home)).document.failure).toMatchObject({ code });
  });

  test('an index ladder has no database that could be fresh', async () => {
    const home = makeLadderHome(
      'product: x\nversion: { journal: true }\nladders: { main: { index: i.json, dir: db, fresh: db/schema.sql } }\n',
      files,
    );
    expect((await home.upgrade('check', '--json')).json()).toMatchObject({ failure: { code: 'TWO_FORMS' } });
  });
});
