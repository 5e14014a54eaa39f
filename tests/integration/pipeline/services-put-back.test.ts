// After a rollback the services are as they were, also where a step has meddled with them without a word.
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeTiny, type Tiny } from './installation.ts';

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
