// What it costs to ask: `upgrade status` and `upgrade --version` with 1,000 applied steps, beside `node -e 0` and the peers' status.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const count = 1000;

export async function run({ rounds }) {
  const applied = mkdtempSync(join(tmpdir(), 'rungs-bench-applied-'));
  try {
    const fill = (name, prepare, command) => {
      const dir = join(applied, name);
      prepare(dir);
      const [program, ...args] = command(dir);
      const { status, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      return dir;
    };
    const plain = (dir) => fixtures.plainSql(dir, { count });
    const ours = fill(
      'rungs',
      (dir) => fixtures.installation(dir, { count }),
      () => commands.upgrade('--yes'),
    );
    const ofUmzug = fill('umzug', plain, commands.umzug('up', 'sql'));
    const ofKnex = fill('knex', plain, commands.knex('up'));
    const ofKysely = fill('kysely', plain, commands.kysely('up'));
    const ofDbmate = commands.hasDbmate ? fill('dbmate', (dir) => fixtures.dbmateSql(dir, { count }), commands.dbmate('up')) : null;
    const nothing = () => undefined;
    const contestant = (name, dir, command) => ({ name, prepare: nothing, cwd: () => dir, command: () => command(dir) });
    const results = await takeTurns(
      [
        contestant('node -e 0', ours, () => [process.execPath, '-e', '0']),
        contestant('rungs --version', ours, () => commands.upgrade('--version')),
        contestant('rungs status', ours, () => commands.upgrade('status')),
        contestant('rungs status --json', ours, () => commands.upgrade('status', '--json')),
        contestant('umzug status', ofUmzug, commands.umzug('status', 'sql')),
        contestant('knex status', ofKnex, commands.knex('status')),
        contestant('kysely status', ofKysely, commands.kysely('status')),
        ...(ofDbmate === null ? [] : [contestant('dbmate status', ofDbmate, commands.dbmate('status', '--quiet'))]),
      ],
      // A start takes milliseconds, so more rounds cost nothing and say more.
      { rounds: rounds * 4 },
    );
    printTable(`start: with ${count} applied steps`, results, { against: 'rungs status' });
    const base = results.get('node -e 0').ms;
    for (const name of ['rungs --version', 'rungs status', 'rungs status --json']) {
      printBound(`${name} / node -e 0`, results.get(name).ms / base, 4);
      printBound(`${name}, peak memory`, results.get(name).megabytes, 90, ' MB');
    }
  } finally {
    rmSync(applied, { recursive: true, force: true });
  }
}
