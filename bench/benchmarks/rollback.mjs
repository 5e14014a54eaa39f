// 1,000 SQL steps and one that fails: how long putting everything back takes, beside the peers' reverting of 1,000 steps.
// Ours is the rollback phase as its event tells it, comparison with the backup included, and once more as the difference between a run that
// fails behind the steps and one that does not. The peers' are whole processes.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { fastest, printBound, printTable } from '../lib/report.mjs';

const count = 1000;

export async function run({ rounds }) {
  const isEmpty = (folder) => (dir) => {
    const found = fixtures.countItems(join(dir, folder, 'app.db'));
    if (found !== 0) throw new Error(`${found} rows are left`);
  };
  const peer = (name, fill, up, down) => ({
    name,
    prepare(dir) {
      fill(dir);
      const [program, ...args] = up(dir);
      const { status, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
    },
    command: down,
    check: isEmpty('.'),
  });
  const plain = (dir) => fixtures.plainSql(dir, { count });
  const failing = { prepare: (dir) => fixtures.installation(dir, { count, failing: true }), exitCode: 10, check: isEmpty('data') };
  const results = await takeTurns(
    [
      {
        ...failing,
        name: 'rungs, the rollback phase',
        command: () => commands.upgrade('--yes', '--json'),
        measure: (dir, stdout) => phase(stdout, 'rollback'),
      },
      { ...failing, name: 'rungs, a run that fails', command: () => commands.upgrade('--yes') },
      {
        name: 'rungs, a run that does not',
        prepare: (dir) => fixtures.installation(dir, { count }),
        command: () => commands.upgrade('--yes'),
      },
      peer('umzug', plain, commands.umzug('up', 'sql'), commands.umzug('down', 'sql')),
      peer('umzug, joined transactions', plain, commands.umzug('up', 'sql', 'joined'), commands.umzug('down', 'sql', 'joined')),
      peer('knex', plain, commands.knex('up'), commands.knex('down')),
      peer('kysely', plain, commands.kysely('up'), commands.kysely('down')),
      peer('knex, all in one transaction', plain, commands.knex('up', 'whole'), commands.knex('down', 'whole')),
    ],
    { rounds },
  );
  const difference = results.get('rungs, a run that fails').ms - results.get('rungs, a run that does not').ms;
  results.set('rungs, the difference', { ms: difference, megabytes: Number.NaN });
  printTable(`rollback-1000: ${count} SQL steps put back`, results, { against: 'rungs, the rollback phase' });
  const best = fastest(results, ['umzug', 'knex', 'kysely']);
  printBound(
    `rungs' rollback phase / ${best.name}, the fastest with a durable record per step`,
    results.get('rungs, the rollback phase').ms / best.ms,
    1,
  );
  printBound(`rungs' difference / ${best.name}`, difference / best.ms, 1);
}

function phase(stdout, name) {
  return JSON.parse(stdout).phases.find((each) => each.name === name).durationMs;
}
