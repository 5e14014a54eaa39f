// 5,000 SQL steps of one row each in one transaction (`group: true`): beside knex's on SQLite, and node-pg-migrate's on PostgreSQL.
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import * as ladders from '../lib/ladders.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const count = 5000;

export async function run({ rounds }) {
  const expect = (found) => {
    if (found !== count) throw new Error(`${found} rows instead of ${count}`);
  };
  const sqlite = await takeTurns(
    [
      {
        name: 'rungs',
        prepare: (dir) => ladders.ladder(dir, { count, group: true }),
        command: () => commands.upgrade('up', '--yes', '-q'),
        check: (dir) => expect(fixtures.countItems(join(dir, 'data', 'app.db'))),
      },
      {
        name: 'knex, all in one transaction',
        prepare: (dir) => fixtures.plainSql(dir, { count }),
        command: commands.knex('up', 'whole'),
        check: (dir) => expect(fixtures.countItems(join(dir, 'app.db'))),
      },
    ],
    { rounds },
  );
  printTable(`group-5000: ${count} SQL steps in one transaction, SQLite`, sqlite, { against: 'rungs' });
  printBound('rungs / knex, both in one transaction', sqlite.get('rungs').ms / sqlite.get('knex, all in one transaction').ms, 1);

  const server = startPostgres();
  if (server === null) return console.log('\ngroup-5000 on PostgreSQL: PostgreSQL is missing: install the package postgresql');
  const check = (dir) => expect(server.count(dir));
  const prepare = (write) => (dir) => {
    server.create(dir);
    write(dir);
  };
  const postgres = await takeTurns(
    [
      {
        name: 'rungs',
        prepare: prepare((dir) => ladders.ladder(dir, { count, group: true, url: server.url(dir) })),
        command: () => commands.upgrade('up', '--yes', '-q'),
        check,
      },
      {
        name: 'node-pg-migrate',
        prepare: prepare((dir) => ladders.nodePgMigrate(dir, { count })),
        command: commands.nodePgMigrate(server.url),
        check,
      },
    ],
    { rounds },
  );
  printTable(`group-5000: ${count} SQL steps in one transaction, PostgreSQL`, postgres, { against: 'rungs' });
  printBound('rungs / node-pg-migrate, both in one transaction', postgres.get('rungs').ms / postgres.get('node-pg-migrate').ms, 1);
}
