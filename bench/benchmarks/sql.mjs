// 5,000 SQL steps of one row each, from nothing applied to all applied. Ours is the whole upgrade: plan, preflight, backup, run, verify, commit.
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { fastest, printBound, printTable } from '../lib/report.mjs';

const count = 5000;

export async function run({ rounds }) {
  const inDir = (folder) => (dir) => {
    const found = fixtures.countItems(join(dir, folder, 'app.db'));
    if (found !== count) throw new Error(`${found} rows instead of ${count}`);
  };
  const plain = (dir) => fixtures.plainSql(dir, { count });
  const results = await takeTurns(
    [
      {
        name: 'rungs',
        prepare: (dir) => fixtures.installation(dir, { count }),
        command: () => commands.upgrade('--yes'),
        check: inDir('data'),
      },
      { name: 'umzug', prepare: plain, command: commands.umzug('up', 'sql'), check: inDir('.') },
      { name: 'umzug, joined transactions', prepare: plain, command: commands.umzug('up', 'sql', 'joined'), check: inDir('.') },
      { name: 'knex', prepare: plain, command: commands.knex('up'), check: inDir('.') },
      { name: 'kysely', prepare: plain, command: commands.kysely('up'), check: inDir('.') },
      { name: 'knex, all in one transaction', prepare: plain, command: commands.knex('up', 'whole'), check: inDir('.') },
      {
        name: 'knex-migrator',
        prepare: (dir) => fixtures.knexMigrator(dir, { count }),
        command: commands.knexMigrator('up'),
        check: inDir('.'),
      },
      ...(commands.hasDbmate
        ? [{ name: 'dbmate', prepare: (dir) => fixtures.dbmateSql(dir, { count }), command: commands.dbmate('up'), check: inDir('.') }]
        : []),
    ],
    { rounds },
  );
  printTable(`sql-5000: ${count} SQL steps of one row, WAL, synchronous=FULL`, results, { against: 'rungs' });
  const best = fastest(results, ['umzug', 'knex', 'kysely', 'knex-migrator', 'dbmate']);
  printBound(`rungs / ${best.name}, the fastest with a durable record per step`, results.get('rungs').ms / best.ms, 1);
}
