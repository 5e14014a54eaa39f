// kysely with better-sqlite3: `node kysely.mjs up|down|status DIR`. On SQLite it uses no transactions: a migration commits, then its record.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect, sql } from 'kysely';
import { Migrator, NO_MIGRATIONS } from 'kysely/migration';

const [action, dir] = process.argv.slice(2);
const database = new Database(path.join(dir, 'app.db'));
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
const db = new Kysely({ dialect: new SqliteDialect({ database }) });
const run = (folder, name) => (trx) => sql.raw(readFileSync(path.join(dir, folder, name), 'utf8')).execute(trx);
const migrator = new Migrator({
  db,
  provider: {
    getMigrations: async () =>
      Object.fromEntries(
        readdirSync(path.join(dir, 'migrations')).map((name) => [name, { up: run('migrations', name), down: run('down', name) }]),
      ),
  },
});
if (action === 'status') console.log((await migrator.getMigrations()).filter(({ executedAt }) => executedAt !== undefined).length);
else {
  const { error } = action === 'up' ? await migrator.migrateToLatest() : await migrator.migrateTo(NO_MIGRATIONS);
  if (error !== undefined) throw error;
}
await db.destroy();
