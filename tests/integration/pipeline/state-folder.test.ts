// What happens when the state folder is not as it was left: half made, or taken away in the middle of a run.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makeTiny, type Tiny } from './installation.ts';

let tiny: Tiny | null = null;
afterEach(async () => {
  await tiny?.remove();
  tiny = null;
});

test('a journal that was killed while it was made is made anew: nothing had been recorded in it', async () => {
  tiny = makeTiny();
  await tiny.start();
  mkdirSync(tiny.state, { mode: 0o700 });
  writeFileSync(path.join(tiny.state, 'journal.db'), '');
  expect((await tiny.upgrade(['status', '--json'])).code).toBe(0);
  const { code, stderr } = await tiny.upgrade(['--json']);
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

test('a step that removes the state folder stops the run with the truth, and nothing goes on without a record', async () => {
  tiny = makeTiny();
  await tiny.start();
  // Long enough for the journal's own writing of events to meet it too.
  tiny.step('v1.0.0_to_v1.1.0/005_careless.sh', '#!/bin/sh\nrm -rf "$UPGRADE_ROOT/.upgrade"\nsleep 0.5\n');
  tiny.step('v1.0.0_to_v1.1.0/006_after.sh', '#!/bin/sh\ntouch "$UPGRADE_ROOT/data/after"\n');
  const { code, stdout, stderr } = await tiny.upgrade(['--to', '1.1.0', '--json', '-y']);
  expect({ code, stderr }).toMatchObject({ code: 12 });
  expect(JSON.parse(stdout)).toMatchObject({ failure: { code: 'JOURNAL_GONE' } });
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(existsSync(path.join(tiny.root, 'data/after'))).toBe(false);
});
