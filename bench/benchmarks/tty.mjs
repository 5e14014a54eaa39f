// 5,000 SQL steps with nobody who looks on (-q), drawn on a terminal that somebody reads as fast as it comes, and so with 50 who follow by HTTP.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  const contestant = (name, args, followers = 0) => ({
    name,
    async prepare(dir) {
      fixtures.installation(dir, { count });
      if (followers > 0) following.set(dir, await startFollowers(dir, followers));
    },
    // Both on a pseudo-terminal of the same size, so that nothing differs but who looks on.
    command: () => ['script', '-qefc', `stty cols 100 rows 40; ${commands.upgrade('--yes', ...args).join(' ')}`, '/dev/null'],
    async check(dir, stdout) {
      await following.get(dir)?.stop();
      const found = fixtures.countItems(join(dir, 'data', 'app.db'));
      if (found !== count) throw new Error(`${found} rows instead of ${count}`);
      if (args.length === 0 && !stdout.includes('of 5000 steps')) throw new Error('nothing was drawn');
    },
  });
  const results = await takeTurns(
    [
      contestant('quiet', ['-q']),
      contestant('drawn', []),
      contestant('drawn, no colours', ['--no-color']),
      contestant('drawn, 50 followers', [], 50),
    ],
    { rounds },
  );
  printTable(`tty-5000: ${count} SQL steps, quiet and drawn on a terminal`, results, { against: 'quiet' });
  printBound('drawn / quiet', results.get('drawn').ms / results.get('quiet').ms, 1.15);
  printBound('drawn with 50 followers / quiet', results.get('drawn, 50 followers').ms / results.get('quiet').ms, 1.15);
}

const following = new Map();

/** A process of its own that serves the installation and reads its events. */
async function startFollowers(root, followers) {
  const ready = join(root, '.followers');
  const child = spawn(process.execPath, [fileURLToPath(new URL('../lib/followers.mjs', import.meta.url)), root, String(followers), ready], {
    stdio: 'inherit',
  });
  while (!existsSync(ready)) {
    if (child.exitCode !== null) throw new Error(`the followers ended with ${child.exitCode}`);
    await new Promise((resolve) => void setTimeout(resolve, 20));
  }
  return {
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      if (Number(readFileSync(ready, 'utf8')) < followers) throw new Error('the followers heard nothing');
    },
  };
}
