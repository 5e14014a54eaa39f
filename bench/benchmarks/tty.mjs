// 5,000 SQL steps with nobody who looks on (-q), and drawn on a terminal that somebody reads as fast as it comes.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const count = 5000;

export async function run({ rounds }) {
  if (spawnSync('script', ['--version']).status !== 0) {
    console.log('\ntty-5000: left out, "script" (util-linux) is missing');
    return;
  }
  const contestant = (name, args) => ({
    name,
    prepare: (dir) => fixtures.installation(dir, { count }),
    // Both on a pseudo-terminal of the same size, so that nothing differs but who looks on.
    command: () => ['script', '-qefc', `stty cols 100 rows 40; ${commands.upgrade('--yes', ...args).join(' ')}`, '/dev/null'],
    check: (dir, stdout) => {
      const found = fixtures.countItems(join(dir, 'data', 'app.db'));
      if (found !== count) throw new Error(`${found} rows instead of ${count}`);
      if (args.length === 0 && !stdout.includes('of 5000 steps')) throw new Error('nothing was drawn');
    },
  });
  const results = takeTurns([contestant('quiet', ['-q']), contestant('drawn', []), contestant('drawn, no colours', ['--no-color'])], {
    rounds,
  });
  printTable(`tty-5000: ${count} SQL steps, quiet and drawn on a terminal`, results, { against: 'quiet' });
  printBound('drawn / quiet', results.get('drawn').ms / results.get('quiet').ms, 1.15);
}
