// `timeouts.total` ends the step that runs, puts everything back, and is named as the cause.
import { afterEach, expect, test } from 'vitest';
import { makeTiny, type Tiny } from './installation.ts';

let tiny: Tiny;
afterEach(() => tiny.remove());

test('a run that takes longer than timeouts.total is put back, and says so', async () => {
  tiny = makeTiny();
  tiny.edit('upgrade.yaml', (text) => text.replace('total: 2m', 'total: 3s'));
  tiny.step('v1.1.0_to_v2.0.0/008_slow.sh', '#!/bin/sh\n[ "$1" = backward ] || sleep 60\n');
  const { code, stdout } = await tiny.upgrade(['--json', '--yes']);
  expect(code).toBe(10);
  expect(JSON.parse(stdout)).toMatchObject({
    version: '1.0.0',
    failure: { code: 'RUN_TIMED_OUT', step: 'v1.1.0_to_v2.0.0/008_slow', hint: expect.stringContaining('timeouts.total') },
    failures: [{ code: 'RUN_TIMED_OUT' }, { code: 'STEP_CANCELLED' }],
  });
});
