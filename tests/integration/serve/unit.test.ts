// The unit that is printed: systemd understands it, rates it as hardened, and it starts the server.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { makeSmall } from '../cli/installation.ts';

const test = testNeeding('systemd-analyze');

test.each([
  { about: 'alone on its host', config: '', args: [] },
  { about: 'with somebody to tell', config: 'notify: [{ webhook: "https://example.invalid/hook" }]\n', args: [] },
  { about: 'on a socket, behind a proxy', config: '', args: ['--listen', 'unix:/run/rungs/serve.sock', '--allow-host', 'up.example.org'] },
])('$about: systemd understands it and rates it 2.0 at most', async ({ config, args }) => {
  const small = makeSmall({ config });
  const { code, stdout } = await small.upgrade(['serve', '--print-unit', ...args]);
  expect(code).toBe(0);
  const file = path.join(small.dir, 'rungs-serve.service');
  writeFileSync(file, stdout);
  const rated = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', file], { encoding: 'utf8' });
  expect(`${rated.stdout}${rated.stderr}`).toMatch(/Overall exposure level for rungs-serve.service: [01]\.\d|: 2\.0/);
  expect(rated.status).toBe(0);
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
  // Of units that this machine has not, it complains as well; of ours nothing.
  expect(`${verified.stdout}${verified.stderr}`).not.toMatch(/rungs-serve\.service:\d+|Unknown|Failed to parse|not executable/);
});
