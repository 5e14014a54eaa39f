// umzug with better-sqlite3: `node umzug.mjs up|down|status sql|ts DIR [joined]`. As in its documentation a step commits, then the storage records
// it. `joined` opens a transaction in the step that the storage commits: half the syncs, by way of what umzug promises nothing about.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { Umzug } from 'umzug';

const [action, kind, dir, way] = process.argv.slice(2);
const db = new Database(path.join(dir, 'app.db'));
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec('CREATE TABLE IF NOT EXISTS umzug (name TEXT PRIMARY KEY)');
const record = db.prepare('INSERT INTO umzug (name) VALUES (?)');
const forget = db.prepare('DELETE FROM umzug WHERE name = ?');

const isJoined = way === 'joined';
const step = (work) => async () => {
  if (isJoined) db.exec('BEGIN IMMEDIATE');
  await work();
};
const umzug = new Umzug({
  context: db,
  logger: undefined,
  migrations: {
    glob: [`migrations/*.${kind}`, { cwd: dir }],
    resolve: ({ name, path: file, context }) =>
      kind === 'sql'
        ? {
            name,
            up: step(() => context.exec(readFileSync(file, 'utf8'))),
            down: step(() => context.exec(readFileSync(path.join(dir, 'down', name), 'utf8'))),
          }
        : {
            name,
            up: step(async () => (await import(file)).up({ name, context })),
            down: step(async () => (await import(file)).down({ name, context })),
          },
  },
  storage: {
    executed: async () => db.prepare('SELECT name FROM umzug ORDER BY name').pluck().all(),
    logMigration: async ({ name }) => {
      record.run(name);
      if (isJoined) db.exec('COMMIT');
    },
    unlogMigration: async ({ name }) => {
      forget.run(name);
      if (isJoined) db.exec('COMMIT');
    },
  },
});

if (action === 'up') await umzug.up();
else if (action === 'down') await umzug.down({ to: 0 });
else console.log((await umzug.executed()).length, (await umzug.pending()).length);
db.close();
