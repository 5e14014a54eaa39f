// Scratch installations for the benchmarks: a SQLite database in WAL mode and any number of steps of one row each, in each tool's own form.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export function database(dir, { folder = '.' } = {}) {
  mkdirSync(join(dir, folder), { recursive: true });
  const db = new DatabaseSync(join(dir, folder, 'app.db'));
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
  db.close();
}

export function countItems(file) {
  const db = new DatabaseSync(file);
  try {
    return db.prepare('SELECT count(*) AS n FROM items').get().n;
  } finally {
    db.close();
  }
}

const insert = (n) => `INSERT INTO items (id, name) VALUES (${n}, 'item ${n}');`;
const remove = (n) => `DELETE FROM items WHERE id = ${n};`;
const number = (n) => String(n).padStart(5, '0');

/** Ours: one transition of `count` steps. `failing`: another step behind them that cannot work. */
export function installation(dir, { count, kind = 'sql', failing = false, target = '0.2.0' }) {
  database(dir, { folder: 'data' });
  writeFileSync(join(dir, 'VERSION'), '0.1.0\n');
  writeFileSync(
    join(dir, 'upgrade.yaml'),
    [
      'product: bench',
      'version: { file: VERSION }',
      'databases:',
      '  app: { sqlite: data/app.db }',
      'backup:',
      '  include: [VERSION, data]',
      '',
    ].join('\n'),
  );
  const folder = join(dir, 'migrations', `v0.1.0_to_v${target}`);
  mkdirSync(folder, { recursive: true });
  for (let n = 1; n <= count; n++) writeFileSync(join(folder, `${number(n)}_item.${kind}`), kind === 'sql' ? ourSql(n) : ourModule(n));
  if (failing)
    writeFileSync(join(folder, `${number(count + 1)}_wrong.sql`), '-- forward\nINSERT INTO nowhere VALUES (1);\n-- backward\nSELECT 1;\n');
}

const ourSql = (n) => `-- forward\n${insert(n)}\n-- backward\n${remove(n)}\n`;

const ourModule = (n) => `import { defineStep } from 'rungs';

export default defineStep({
  description: 'Add item ${n}',
  forward: async ({ sqlite }) => {
    await sqlite('app').exec(${JSON.stringify(insert(n))});
  },
  backward: async ({ sqlite }) => {
    await sqlite('app').exec(${JSON.stringify(remove(n))});
  },
});
`;

/** Ours: `transitions` folders in a row, with `steps` steps each. */
export function manyTransitions(dir, { transitions, steps }) {
  installation(dir, { count: 0, target: '0.1.1' });
  for (let n = 0; n < transitions; n++) {
    const folder = join(dir, 'migrations', `v0.1.${n}_to_v0.1.${n + 1}`);
    mkdirSync(folder, { recursive: true });
    for (let step = 1; step <= steps; step++)
      writeFileSync(join(folder, `${String(step).padStart(3, '0')}_item.sql`), ourSql(n * steps + step));
  }
}

/** The peers': an up and a down file for each step, plain SQL. */
export function plainSql(dir, { count }) {
  database(dir);
  mkdirSync(join(dir, 'migrations'));
  mkdirSync(join(dir, 'down'));
  for (let n = 1; n <= count; n++) {
    writeFileSync(join(dir, 'migrations', `${number(n)}_item.sql`), `${insert(n)}\n`);
    writeFileSync(join(dir, 'down', `${number(n)}_item.sql`), `${remove(n)}\n`);
  }
}

/** dbmate's: both directions in one file. */
export function dbmateSql(dir, { count }) {
  database(dir);
  mkdirSync(join(dir, 'migrations'));
  for (let n = 1; n <= count; n++)
    writeFileSync(join(dir, 'migrations', `${number(n)}_item.sql`), `-- migrate:up\n${insert(n)}\n-- migrate:down\n${remove(n)}\n`);
}

/** umzug's: the shape of ours, on umzug's context. */
export function umzugModules(dir, { count }) {
  database(dir);
  mkdirSync(join(dir, 'migrations'));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }\n');
  for (let n = 1; n <= count; n++) {
    writeFileSync(
      join(dir, 'migrations', `${number(n)}_item.ts`),
      `interface Step {
  readonly context: { exec(sql: string): void };
}

export const description = 'Add item ${n}';

export const up = async ({ context }: Step): Promise<void> => {
  context.exec(${JSON.stringify(insert(n))});
};

export const down = async ({ context }: Step): Promise<void> => {
  context.exec(${JSON.stringify(remove(n))});
};
`,
    );
  }
}

/** knex-migrator's: modules in a folder of the version, and its configuration. */
export function knexMigrator(dir, { count }) {
  database(dir);
  mkdirSync(join(dir, 'migrations', 'init'), { recursive: true });
  mkdirSync(join(dir, 'migrations', 'versions', '1.0'), { recursive: true });
  for (let n = 1; n <= count; n++) {
    writeFileSync(
      join(dir, 'migrations', 'versions', '1.0', `${n}-item.js`),
      `module.exports.config = { transaction: true };
module.exports.up = ({ transacting }) => transacting.raw(${JSON.stringify(insert(n))});
module.exports.down = ({ transacting }) => transacting.raw(${JSON.stringify(remove(n))});
`,
    );
  }
  writeFileSync(
    join(dir, 'MigratorConfig.js'),
    `module.exports = {
  currentVersion: '1.0',
  migrationPath: __dirname + '/migrations',
  database: {
    client: 'better-sqlite3',
    connection: { filename: __dirname + '/app.db' },
    useNullAsDefault: true,
    pool: { min: 1, max: 1, afterCreate: (db, done) => { db.pragma('synchronous = FULL'); done(null, db); } },
  },
};
`,
  );
}
