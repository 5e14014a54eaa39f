// A step has made noise of a database and was killed: what cannot be read any more must not stand in the way of putting it back.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fixtures, makeTiny, until, type Ended, type Tiny } from './installation.ts';

let tiny: Tiny;
beforeEach(() => {
  tiny = makeTiny();
  rmSync(tiny.migrations, { recursive: true });
  tiny.step(
    'v1.0.0_to_v1.1.0/001_noise.ts',
    `import { rmSync, writeFileSync } from 'node:fs';
    export default {
      forward: async ({ root, log }) => {
        for (const end of ['-wal', '-shm']) rmSync(root + '/data/app.db' + end, { force: true });
        writeFileSync(root + '/data/app.db', 'noise'.repeat(2_000));
        log('made noise');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      },
    };`,
  );
});
afterEach(() => tiny.remove());

test.each(['rollback', 'resume'] as const)('%s puts it back', async (command) => {
  const before = await tiny.look();
  const killer = path.join(fixtures, 'programs/kill-at.mjs');
  const killed = await tiny.node([killer, tiny.configFile, 'run', 'both', 'step-output v1.0.0_to_v1.1.0/001_noise#1']);
  expect(killed.signal).toBe('SIGKILL');
  let ended: Ended | null = null;
  await until('the lock is free', async () => {
    ended = await tiny.upgrade([command, '--json']);
    return ended.code !== 75;
  });
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 10 });
  expect((await tiny.look()).rows).toBe(before.rows);
});
