// 5,000 SQL steps of one row each on PostgreSQL, one durable record per step, and the status with 1,000 applied. Ours is the whole climb: plan,
// preflight, verified backup (pg_dump), run, verify, commit.
import { spawnSync } from 'node:child_process';
import * as commands from '../lib/commands.mjs';
import * as ladders from '../lib/ladders.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { startPostgres } from '../lib/postgres.mjs';
import { fastest, printBound, printTable } from '../lib/report.mjs';

export async function run({ rounds }) {
  const server = startPostgres();
  if (server === null) return console.log('\npostgres-5000: PostgreSQL is missing: install the package postgresql');
  const all = contestants(server, { count: 5000, isApplied: false });
  const results = await takeTurns(all, { rounds });
  printTable('postgres-5000: 5000 SQL steps of one row, one durable record per step', results, { against: 'rungs' });
  const best = fastest(results, ['node-pg-migrate', 'dbmate']);
  printBound(`rungs / ${best.name}, the fastest`, results.get('rungs').ms / best.ms, 1);
  const status = await takeTurns(contestants(server, { count: 1000, isApplied: true }), { rounds });
  printTable('postgres-status: 1000 steps applied', status, { against: 'rungs' });
}

function contestants(server, { count, isApplied }) {
  const check = (dir) => {
    const found = server.count(dir);
    if (found !== count) throw new Error(`${found} rows instead of ${count}`);
  };
  const contestant = (name, write, up, status) => ({
    name,
    prepare: (dir) => {
      server.create(dir);
      write(dir);
      if (!isApplied) return;
      const [program, ...args] = up(dir);
      const { status: code, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8', maxBuffer: 1 << 28 });
      if (code !== 0) throw new Error(stderr);
    },
    command: isApplied ? status : up,
    check,
  });
  return [
    contestant(
      'rungs',
      (dir) => ladders.ladder(dir, { count, url: server.url(dir) }),
      () => commands.upgrade('up', '--yes', '-q'),
      () => commands.upgrade('status'),
    ),
    contestant(
      'node-pg-migrate',
      (dir) => ladders.nodePgMigrate(dir, { count }),
      commands.nodePgMigrate(server.url, '--no-single-transaction'),
      commands.nodePgMigrate(server.url, '--dry-run'),
    ),
    ...(commands.hasDbmate
      ? [
          contestant(
            'dbmate',
            (dir) => ladders.dbmate(dir, { count }),
            commands.dbmatePostgres(server.url, 'up'),
            commands.dbmatePostgres(server.url, 'status'),
          ),
        ]
      : []),
  ];
}
