// The installations whose runs are killed: files, SQLite and PostgreSQL ladders, scripts, groups, fresh installations, the journal in the database itself.
import type { Home } from './home.ts';

export interface Tree {
  readonly files: Readonly<Record<string, string>>;
  readonly seed?: (home: Home) => Promise<void>;
}

const back = (forward: string, backward: string): string => `-- forward\n${forward}\n-- backward\n${backward}\n`;

const mixedConfig = `
product: mixed
version: { file: VERSION }
databases:
  app:  { sqlite: data/app.db }
  main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } }
ladders:
  local:  { dir: local, database: app }
  shared: { dir: shared, database: main }
backup: { include: [VERSION, config, data] }
`;

const mixedFiles = {
  'upgrade.yaml': mixedConfig,
  VERSION: '0.1.0\n',
  'config/app.yaml': '# kept\nmail: off\n',
  'local/001_a.sql': back('CREATE TABLE a (id INTEGER PRIMARY KEY, word TEXT);', 'DROP TABLE a;'),
  'local/002_b.sql': back(
    "CREATE TABLE b (id INTEGER PRIMARY KEY);\nINSERT INTO b VALUES (1), (2);\nUPDATE a SET word = 'b';",
    'DROP TABLE b;',
  ),
  'shared/001_users.sql': back('CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);', 'DROP TABLE users;'),
  'shared/002_upper.sql': back('UPDATE users SET name = upper(name);\nCREATE TABLE leftover (id int);', 'DROP TABLE leftover;'),
  'shared/003_email.sql': back(
    "ALTER TABLE users ADD COLUMN email text;\nINSERT INTO users (name) VALUES ('THREE');",
    "DELETE FROM users WHERE name = 'THREE';\nALTER TABLE users DROP COLUMN email;",
  ),
  'migrations/v0.1.0_to_v0.2.0/transition.yaml': 'ladders: { local: 1, shared: 2 }\n',
  'migrations/v0.1.0_to_v0.2.0/001_mail.ts': `import { defineStep } from 'rungs';
export default defineStep({ forward: async ({ files, postgres, log }) => {
  await files.updateYaml('config/app.yaml', (doc) => doc.set('mail', 'on'));
  log('half');
  await postgres('main').exec("INSERT INTO users (name) VALUES ('new')");
} });
`,
  'migrations/v0.2.0_to_v0.3.0/transition.yaml': 'ladders: { local: 2, shared: 3 }\n',
  'migrations/v0.2.0_to_v0.3.0/001_move.sh': '#!/bin/sh\necho moving\nmv config/app.yaml config/new.yaml\necho moved\n',
};

async function seedMixed(home: Home): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(`${home.root}/data/app.db`);
  db.exec("CREATE TABLE kept (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO kept VALUES (1, 'one')");
  db.close();
  await expectDone(home, 'up', '1', '--ladder', 'shared');
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: home.url });
  await client.connect();
  await client.query("INSERT INTO users (name) VALUES ('ada'), ('bob'), ('eve')");
  await client.query('CREATE VIEW names AS SELECT name FROM users');
  await client.end();
}

async function expectDone(home: Home, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await home.upgrade(...args);
  if (code !== 0) throw new Error(`upgrade ${args.join(' ')}: ${code}\n${stdout}${stderr}`);
}

export const mixed: Tree = { files: mixedFiles, seed: seedMixed };

const failing = {
  ...mixedFiles,
  // Undoes half of it, and says that all is well: nothing but the backup knows how the names were.
  'shared/002_upper.sql': back('UPDATE users SET name = upper(name);\nCREATE TABLE leftover (id int);', 'SELECT 1;'),
  'migrations/v0.2.0_to_v0.3.0/002_last.sql': '-- rungs: { database: main }\nSELECT * FROM nowhere;\n',
};

export const broken: Tree = { files: failing, seed: seedMixed };

/** The journal lies in the database that has to be restored. */
export const journalInside: Tree = {
  files: { ...failing, 'upgrade.yaml': `${mixedConfig}journal: { postgres: "\${DATABASE_URL}" }\n` },
  seed: seedMixed,
};
export const journalInsideSound: Tree = { ...journalInside, files: { ...journalInside.files, ...sound() } };
function sound(): Readonly<Record<string, string>> {
  return { 'migrations/v0.2.0_to_v0.3.0/002_last.sql': '-- rungs: { database: main }\nCREATE TABLE last (id int);\n' };
}

const script = (word: string, more = ''): string =>
  `#!/bin/bash\necho ${word} >> "$LADDER_LOG"\necho ${word} begins\nmkdir -p etc/${word}\necho ${word} > etc/${word}/file\n${more}echo ${word} ends\n`;

/** Scripts by the contract of an index; the third does half of its work, and fails until somebody mends the cause. */
export const kept: Tree = {
  files: {
    'upgrade.yaml': `
product: scripts
version: { journal: true }
ladders: { system: { index: modules/index.json, dir: modules/src } }
backup: { include: [etc] }
`,
    'modules/index.json': JSON.stringify({
      migrations: ['00000001', '00000002', '00000003', '00000004'].map((id) => ({ id, description: `step ${id}`, has_run: false })),
    }),
    'modules/src/00000001.sh': script('one', 'echo changed > etc/shared\n'),
    'modules/src/00000002.py':
      "import os\nfrom helper import word\nopen(os.environ['LADDER_LOG'], 'a').write(word + '\\n')\nprint('two begins', flush=True)\nos.makedirs('etc/two', exist_ok=True)\nopen('etc/two/file', 'w').write(word + '\\n')\nopen('etc/shared', 'w').write('two\\n')\nprint('two ends', flush=True)\n",
    'modules/src/helper.py': "word = 'two'\n",
    'modules/src/00000003.sh': script(
      'three',
      'echo half > etc/shared\nrm -r etc/one\necho half done\ntest -e "$LADDER_LOG.ready" || exit 1\n',
    ),
    'modules/src/00000004.sh': script('four'),
    'etc/shared': 'as it was\n',
  },
};

/** The same for a folder of all kinds of steps with a database in it. */
export const keptMixed: Tree = {
  files: {
    'upgrade.yaml': `
product: kinds
version: { journal: true }
databases: { main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } } }
ladders: { main: { dir: db, onFailure: keep } }
backup: { include: [etc] }
`,
    'db/001_one.sql': back(
      "CREATE TABLE one (id serial PRIMARY KEY, word text);\nINSERT INTO one (word) VALUES ('one');",
      'DROP TABLE one;',
    ),
    'db/002_two.sh':
      '#!/bin/sh\n# rungs: { idempotent: true }\necho two >> "$LADDER_LOG"\necho two begins\necho two > etc/two\necho two ends\n',
    'db/003_three.ts': `export default { idempotent: true, forward: async ({ files, postgres, log }) => {
  await files.write('etc/three', 'three');
  log('half');
  await postgres('main').exec("INSERT INTO one (word) VALUES ('three')");
} };
`,
    'db/004_four.sql': back("CREATE TABLE four (id int);\nUPDATE one SET word = 'four' WHERE word = 'one';", 'DROP TABLE four;'),
    'db/005_five.sh': `#!/bin/sh
# rungs: { idempotent: true }
echo five >> "$LADDER_LOG"
echo five begins
echo half > etc/two
psql -q -X "$UPGRADE_DB_MAIN" -c "UPDATE one SET word = 'half'"
echo five half
test -e "$LADDER_LOG.ready" || exit 1
psql -q -X "$UPGRADE_DB_MAIN" -c "UPDATE one SET word = 'five'"
`,
    'db/006_six.sql': 'CREATE TABLE six (id int);\n',
    'etc/kept': 'as it was\n',
  },
};

const steps = Array.from({ length: 12 }, (_, index) => String(index + 1).padStart(3, '0'));

/** Each ladder is one transaction. */
export const grouped: Tree = {
  files: {
    'upgrade.yaml': `
product: groups
version: { journal: true }
databases:
  app:  { sqlite: data/app.db }
  main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } }
ladders:
  shared: { dir: shared, database: main, group: true }
  local:  { dir: local, database: app, group: true }
backup: { include: [etc] }
`,
    ...Object.fromEntries(
      steps.flatMap((number) => [
        [
          `shared/${number}_t.sql`,
          back(`CREATE TABLE t${number} (id serial);\nINSERT INTO t${number} DEFAULT VALUES;`, `DROP TABLE t${number};`),
        ],
        [
          `local/${number}_t.sql`,
          back(`CREATE TABLE t${number} (id INTEGER);\nINSERT INTO t${number} VALUES (1);`, `DROP TABLE t${number};`),
        ],
      ]),
    ),
  },
  seed: async (home) => {
    const { DatabaseSync } = await import('node:sqlite');
    const db = new DatabaseSync(`${home.root}/data/app.db`);
    db.exec('CREATE TABLE own (id INTEGER PRIMARY KEY)');
    db.close();
  },
};

/** Stands at its top; the way down loses rows, which only the backup can bring back. */
export const climbed: Tree = {
  files: {
    'upgrade.yaml': `
product: climbed
version: { journal: true }
databases: { main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } } }
ladders: { main: { dir: db } }
backup: { include: [etc] }
`,
    'db/001_users.sql': back('CREATE TABLE users (id serial PRIMARY KEY, name text);', 'DROP TABLE users;'),
    'db/002_email.sql': back('ALTER TABLE users ADD COLUMN email text;', 'ALTER TABLE users DROP COLUMN email;'),
    'db/003_file.sh':
      '#!/bin/sh\n# rungs: { idempotent: true }\necho "$1 begins"\ncase "$1" in\n  forward) echo three > etc/three ;;\n  backward) rm -f etc/three ;;\nesac\necho "$1 ends"\n',
    'db/004_posts.ts': `export default {
  forward: async ({ postgres }) => { await postgres('main').exec('CREATE TABLE posts (id serial PRIMARY KEY, text text)'); },
  backward: async ({ postgres }) => { await postgres('main').exec('DROP TABLE posts'); },
};
`,
    'db/005_index.sql': back('CREATE INDEX users_name ON users (name);', 'DROP INDEX users_name;'),
    'etc/kept': 'as it was\n',
  },
  seed: async (home) => {
    await expectDone(home, 'up');
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: home.url });
    await client.connect();
    await client.query("INSERT INTO users (name, email) VALUES ('ada', 'ada@example.invalid'), ('bob', NULL)");
    await client.query("INSERT INTO posts (text) VALUES ('first')");
    await client.end();
  },
};

export const redone: Tree = {
  ...climbed,
  files: {
    ...climbed.files,
    'db/006_last.sql': back(
      'ALTER TABLE users ADD COLUMN last text;\nUPDATE users SET last = name;',
      'ALTER TABLE users DROP COLUMN last;',
    ),
  },
};

/** Its way down loses what was written into its column; its way up fails as soon as there are posts. */
export const redoBroken: Tree = {
  files: {
    ...climbed.files,
    'db/006_last.sql': back(
      'ALTER TABLE users ADD COLUMN last text;\nSELECT 1 / (1 - count(*)) FROM posts;',
      'ALTER TABLE users DROP COLUMN last;',
    ),
  },
  seed: async (home) => {
    await climbed.seed?.(home);
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: home.url });
    await client.connect();
    await client.query("UPDATE users SET last = 'lovelace' WHERE name = 'ada'");
    await client.end();
  },
};

/** Nothing is there yet. */
export const fresh: Tree = {
  files: {
    'upgrade.yaml': `
product: fresh
version: { journal: true }
databases:
  app:  { sqlite: data/app.db }
  main: { postgres: "\${DATABASE_URL}", connect: { attempts: 1 } }
ladders:
  local:  { dir: local, database: app, fresh: local/schema.sql }
  shared: { dir: shared, database: main, fresh: shared/fresh }
backup: { include: [etc, data] }
`,
    'local/001_a.sql': back('CREATE TABLE a (id INTEGER PRIMARY KEY);', 'DROP TABLE a;'),
    'local/002_b.sql': back('CREATE TABLE b (id INTEGER PRIMARY KEY);', 'DROP TABLE b;'),
    'local/schema.sql': 'CREATE TABLE a (id INTEGER PRIMARY KEY);\nCREATE TABLE b (id INTEGER PRIMARY KEY);\n',
    'shared/001_users.sql': back('CREATE TABLE users (id serial PRIMARY KEY);', 'DROP TABLE users;'),
    'shared/002_posts.sql': back('CREATE TABLE posts (id serial PRIMARY KEY);', 'DROP TABLE posts;'),
    'shared/fresh/001_schema.sql': 'CREATE TABLE users (id serial PRIMARY KEY);\nCREATE TABLE posts (id serial PRIMARY KEY);\n',
    'shared/fresh/002_seed.ts': `export default { forward: async ({ files, postgres }) => {
  await files.write('etc/seeded', 'yes');
  await postgres('main').exec('INSERT INTO users DEFAULT VALUES');
} };
`,
    'etc/kept': 'as it was\n',
  },
};

export const freshBroken: Tree = {
  files: { ...fresh.files, 'shared/fresh/003_break.sh': '#!/bin/sh\necho breaking\nrm etc/kept\nexit 1\n' },
};
