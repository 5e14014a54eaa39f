// Files, a SQLite ladder and a PostgreSQL ladder in one upgrade: it fails in the last step, and all three are back, proven by digest.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';
import { makeLadderHome, table, type LadderHome } from './scratch.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});

const config = `
product: mixed
version: { file: VERSION }
databases:
  app:  { sqlite: data/app.db }
  main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } }
ladders:
  local:  { dir: local, database: app }
  shared: { dir: shared, database: main }
backup: { include: [VERSION, config] }
`;
const back = (forward: string, backward: string): string => `-- forward\n${forward}\n-- backward\n${backward}\n`;
const files = {
  VERSION: '0.1.0\n',
  'config/app.yaml': '# kept\nmail: off\n',
  'local/001_a.sql': table('a'),
  'local/002_b.sql': table('b'),
  'shared/001_users.sql': back('CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);', 'DROP TABLE users;'),
  // Nothing but the backup knows how it was: the backward undoes half of it, and says that all is well.
  'shared/002_upper.sql': back('UPDATE users SET name = upper(name); CREATE TABLE leftover (id int);', 'SELECT 1;'),
  'shared/003_email.sql': back('ALTER TABLE users ADD COLUMN email text;', 'ALTER TABLE users DROP COLUMN email;'),
  'migrations/v0.1.0_to_v0.2.0/transition.yaml': 'ladders: { local: 1, shared: 2 }\n',
  'migrations/v0.1.0_to_v0.2.0/001_mail.ts':
    "import { defineStep } from 'rungs';\nexport default defineStep({ forward: async ({ files, postgres }) => {\n  await files.updateYaml('config/app.yaml', (doc) => doc.set('mail', 'on'));\n  await postgres('main').exec(\"INSERT INTO users (name) VALUES ('new')\");\n} });\n",
  'migrations/v0.2.0_to_v0.3.0/transition.yaml': 'ladders: { local: 2, shared: 3 }\n',
  'migrations/v0.2.0_to_v0.3.0/001_move.sh': '#!/bin/sh\nmv config/app.yaml config/new.yaml\n',
};
const failing = { ...files, 'migrations/v0.2.0_to_v0.3.0/002_last.sql': '-- rungs: { database: main }\nSELECT * FROM nowhere;\n' };

describe('an upgrade of files and two ladders', () => {
  test('that fails in its last step is back everywhere', async () => {
    const { home, url } = await installation(failing);
    const before = await digest(home, url);
    const ended = await home.upgrade('--json');
    expect(ended.json()).toMatchObject({
      outcome: 'rolled-back',
      failure: { code: 'STEP_FAILED', step: 'v0.2.0_to_v0.3.0/002_last' },
      version: '0.1.0',
    });
    expect(ended.code).toBe(10);
    expect(ended.json()['restored']).toEqual(expect.arrayContaining([expect.objectContaining({ path: 'database:main' })]));
    expect(await digest(home, url)).toEqual(before);
    expect(await home.heights()).toEqual({ local: 0, shared: 1 });
    // Nobody is left behind: neither a database that was staged, nor the marker table.
    expect(await server.query(server.url('postgres'), "SELECT datname FROM pg_database WHERE datname LIKE '%rungs%'")).toEqual([]);
  });

  test('that succeeds stands at its heights, and goes down again as it came', async () => {
    const { home, url } = await installation(files);
    expect((await home.upgrade('--json')).json()).toMatchObject({ outcome: 'committed', version: '0.3.0' });
    expect(await home.heights()).toEqual({ local: 2, shared: 3 });
    expect(await server.query(url, 'SELECT name, email FROM users ORDER BY id')).toEqual(
      [
        { name: 'ADA', email: null },
        { name: 'NEW', email: null },
      ].map((row) => (row.name === 'NEW' ? { ...row, name: 'new' } : row)),
    );
    expect((await home.upgrade('down', '2', '--ladder', 'shared')).code).toBe(0);
    expect(await home.heights()).toEqual({ local: 2, shared: 2 });
    expect(await server.query(url, "SELECT column_name FROM information_schema.columns WHERE table_name = 'users' ORDER BY 1")).toEqual([
      { column_name: 'id' },
      { column_name: 'name' },
    ]);
  });
});

async function installation(tree: Readonly<Record<string, string>>): Promise<{ readonly home: LadderHome; readonly url: string }> {
  const url = await server.database();
  const home = makeLadderHome(config, tree, { DATABASE_URL: url });
  home.query('CREATE TABLE kept (id INTEGER PRIMARY KEY, word TEXT)');
  home.query("INSERT INTO kept VALUES (1, 'one')");
  expect((await home.upgrade('up', '1', '--ladder', 'shared')).code).toBe(0);
  await server.query(url, "INSERT INTO users (name) VALUES ('ada')");
  return { home, url };
}

/** Every file with its mode and time, the rows and schema of both databases. */
async function digest({ root, query }: LadderHome, url: string): Promise<Readonly<Record<string, unknown>>> {
  const tree = ['VERSION', ...readdirSync(path.join(root, 'config')).map((name) => `config/${name}`)].map((file) => {
    const { mode, mtimeMs } = statSync(path.join(root, file));
    return [
      file,
      mode,
      Math.round(mtimeMs),
      createHash('sha256')
        .update(readFileSync(path.join(root, file)))
        .digest('hex'),
    ];
  });
  const tables = await server.query(
    url,
    "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
  );
  return {
    tree,
    sqlite: [query('SELECT name, sql FROM sqlite_schema ORDER BY name'), query('SELECT * FROM kept')],
    postgres: [
      tables,
      await server.query(url, 'SELECT * FROM users ORDER BY id'),
      await server.query(url, 'SELECT last_value, is_called FROM users_id_seq'),
    ],
  };
}
