// A rollback that was killed after it had begun to restore: the tree is the backup's, or partly, so no backward may run on it any more.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { differencesBetween } from '../../../examples/demo/snapshot.ts';
import { fixtures, makeTiny, type Tiny } from './installation.ts';

let tiny: Tiny;
beforeEach(async () => {
  tiny = makeTiny();
  await tiny.start();
});
afterEach(() => tiny.remove());

test.each(['resume', 'rollback'])('%s ends it from the backup, and runs no backward again', async (command) => {
  const told = path.join(tiny.dir, 'backwards');
  const shell = (forward: string, backward: string): string =>
    `#!/bin/sh\nif [ "$1" = forward ]; then ${forward}; else echo "$UPGRADE_STEP" >> '${told}'; ${backward}; fi\n`;
  tiny.step('v1.0.0_to_v1.1.0/006_first.sh', shell('echo 1 > data/made', 'rm data/made'));
  tiny.step('v1.0.0_to_v1.1.0/007_bad_backward.sh', shell('true', 'exit 9'));
  tiny.step('v1.0.0_to_v1.1.0/008_break.sh', '#!/bin/sh\nexit 3\n');
  const before = await tiny.look();
  const { signal } = await tiny.node([
    path.join(fixtures, 'programs/kill-at.mjs'),
    tiny.configFile,
    'run',
    'orchestrator',
    'restored data/made#1',
  ]);
  expect(signal).toBe('SIGKILL');
  expect((await tiny.upgrade([command, '--json'])).code).toBe(10);
  expect(existsSync(path.join(tiny.root, 'data/made'))).toBe(false);
  expect(readFileSync(told, 'utf8')).toBe('v1.0.0_to_v1.1.0/007_bad_backward\n');
  const after = await tiny.look();
  expect(differencesBetween(before.tree, after.tree)).toEqual([]);
  expect([after.version, after.rows]).toEqual([before.version, before.rows]);
});
