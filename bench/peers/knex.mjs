// knex with better-sqlite3: `node knex.mjs up|down|status DIR [whole]`. By default it puts all migrations into one transaction, which is no
// durable record per step; without it a migration commits, then its record. `whole` keeps the default, for comparison.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import Knex from 'knex';

const [action, dir, way] = process.argv.slice(2);
const knex = Knex({
  client: 'better-sqlite3',
  connection: { filename: path.join(dir, 'app.db') },
  useNullAsDefault: true,
  pool: {
    min: 1,
    max: 1,
    afterCreate: (db, done) => {
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      done(null, db);
    },
  },
});
const run = (folder, name) => (trx) => trx.raw(readFileSync(path.join(dir, folder, name), 'utf8'));
const config = {
  disableTransactions: way !== 'whole',
  migrationSource: {
    getMigrations: async () => readdirSync(path.join(dir, 'migrations')).sort(),
    getMigrationName: (name) => name,
    getMigration: async (name) => ({ up: run('migrations', name), down: run('down', name) }),
  },
};
if (action === 'up') await knex.migrate.latest(config);
else if (action === 'down') await knex.migrate.rollback(config, true);
else console.log((await knex.migrate.list(config)).map((names) => names.length).join(' '));
await knex.destroy();
