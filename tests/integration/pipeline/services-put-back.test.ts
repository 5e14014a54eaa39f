// After a rollback the services are as they were, also where a step has meddled with them without a word.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fixtures, makeTiny, until, type Tiny } from './installation.ts';

let tiny: Tiny;
beforeEach(() => {
  tiny = makeTiny();
  tiny.edit('upgrade.yaml', (text) => text.replace('stopDuringUpgrade: true', 'stopDuringUpgrade: false'));
  rmSync(tiny.migrations, { recursive: true });
  tiny.step('v1.0.0_to_v1.1.0/002_break.sh', '#!/bin/sh\nexit 3\n');
});
afterEach(() => tiny.remove());

test('a service that a step has stopped runs again', async () => {
  await tiny.start();
  tiny.step('v1.0.0_to_v1.1.0/001_stop.sh', '#!/bin/sh\n[ "$1" = backward ] || bin/service stop\n');
  expect((await tiny.upgrade(['--json', '--yes'])).code).toBe(10);
  expect(await tiny.answer()).not.toBeNull();
});

test('a service that a step has started is stopped again', async () => {
  tiny.step('v1.0.0_to_v1.1.0/001_start.sh', '#!/bin/sh\n[ "$1" = backward ] || bin/service start > /dev/null 2>&1\n');
  expect((await tiny.upgrade(['--json', '--yes'])).code).toBe(10);
  expect(await tiny.answer()).toBeNull();
});

test('what a service writes after the old state was proven stays, when the rollback is killed and taken up again', async () => {
  tiny.edit('upgrade.yaml', (text) => text.replace('stopDuringUpgrade: false', 'stopDuringUpgrade: true'));
  await tiny.start();
  const killer = path.join(fixtures, 'programs/kill-at.mjs');
  const killed = await tiny.node([killer, tiny.configFile, 'run', 'orchestrator', 'service waiting app#1']);
  expect(killed.signal).toBe('SIGKILL');
  // As the service would that runs again by now.
  writeFileSync(path.join(tiny.root, 'data/since'), 'written after the proof\n');
  await until('the lock is free', async () => (await tiny.upgrade(['resume', '--json'])).code !== 75);
  expect(JSON.parse((await tiny.upgrade(['status', '--json'])).stdout)).toMatchObject({ run: null, lastRun: { outcome: 'rolled-back' } });
  expect(readFileSync(path.join(tiny.root, 'data/since'), 'utf8')).toBe('written after the proof\n');
});
