// The log of a run, as people read it: past, and live from another process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { environment, executable, makeSmall } from './installation.ts';

const secret = 'hunter2-of-the-log';
const talking = {
  text: `#!/bin/sh
# rungs: { timeout: 60s }
case "$1" in
  forward) printf 'first \\033[31mred\\033[0m word\\n'; echo "password $TALK_SECRET"; until [ -e ../go ]; do sleep 0.05; done; echo "last word" ;;
  backward) echo "taking it back" ;;
esac
`,
  mode: 0o755,
};
const small = () =>
  makeSmall({
    config: 'verify: [{ name: answers, http: "http://127.0.0.1:1/?key=${TALK_SECRET}", within: 1s }]\n',
    files: { 'migrations/v2.0.0_to_v3.0.0/001_talk.sh': talking },
  });
const env = { TALK_SECRET: secret };

test('a run is told entry by entry, and of a step all that it printed, forwards and back', async () => {
  const { dir, upgrade } = small();
  writeFileSync(path.join(dir, 'go'), '');
  // The probe cannot pass: everything is taken back.
  expect((await upgrade(['--yes'], { env })).code).toBe(10);
  const all = await upgrade(['logs'], { env });
  expect(all.code).toBe(0);
  expect(all.stdout).toMatch(/^\d{4}-\d\d-\d\d UTC\n\d\d:\d\d:\d\d\.\d{3} {2}\S/);
  for (const part of [
    'orchestration begins',
    'v2.0.0_to_v3.0.0/001_talk applied',
    '│ first red word',
    '│ password ***',
    'rollback begins',
    'run rolled-back',
  ])
    expect(all.stdout).toContain(part);
  const one = await upgrade(['logs', '--step', '001_talk'], { env });
  const lines = one.stdout.split('\n').map((line) => line.slice(14));
  const order = [
    '│ first red word',
    '│ password ***',
    '│ last word',
    'v2.0.0_to_v3.0.0/001_talk applied',
    '│ taking it back',
    'v2.0.0_to_v3.0.0/001_talk reverted',
  ];
  expect(lines.filter((line) => order.includes(line))).toEqual(order);
  const entries = JSON.parse((await upgrade(['logs', '--json'], { env })).stdout) as readonly { readonly type: string }[];
  expect(entries.at(0)?.type).toBe('run-started');
  expect(entries.at(-1)?.type).toBe('run-finished');
  for (const text of [all.stdout, one.stdout, JSON.stringify(entries)]) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain('\u001b');
  }
});

test.each([{ args: [] }, { args: ['--step', 'v2.0.0_to_v3.0.0/001_talk'] }])(
  '-f $args goes on with what comes, and ends with the run',
  async ({ args }) => {
    const { dir, root, upgrade } = small();
    const run = upgrade(['--yes', '--to', '3.0.0'], { env });
    const deadline = performance.now() + 30_000;
    // A run that is not recorded yet cannot be followed.
    while ((await upgrade(['history', '--json'], { env })).stdout.trim() === '[]') expect(performance.now()).toBeLessThan(deadline);
    const follower = spawn(process.execPath, [executable, 'logs', '-f', ...args], {
      cwd: root,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    follower.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      // It was heard while the step still ran.
      if (text.includes('first red word')) writeFileSync(path.join(dir, 'go'), '');
    });
    const [[code]] = await Promise.all([once(follower, 'close'), run]);
    expect(code).toBe(0);
    expect(text).toContain('last word');
    expect(text).not.toContain(secret);
  },
);

test.each([
  { args: ['logs', '01JC3M4V7K2Q8Z5W9X0Y1A2B3C'], code: 3, error: 'RUN_UNKNOWN' },
  { args: ['logs', '--step', '001_tlak'], code: 2, error: 'Did you mean "001_talk"?' },
])('$args: $error', async ({ args, code, error }) => {
  const { dir, upgrade } = small();
  writeFileSync(path.join(dir, 'go'), '');
  await upgrade(['--yes'], { env });
  const answer = await upgrade(args, { env });
  expect(answer.code).toBe(code);
  // As wide as the terminal: the words may stand on two lines.
  expect(answer.stderr.replace(/\s+/g, ' ')).toContain(error);
});

test('a log that was deleted is told to be so', async () => {
  const { root, upgrade } = makeSmall();
  await upgrade(['--yes', '--to', '1.1.0']);
  const [{ id = '' } = {}] = JSON.parse((await upgrade(['history', '--json'])).stdout) as readonly { readonly id?: string }[];
  rmSync(path.join(root, '.upgrade/runs', id), { recursive: true });
  const { code, stderr } = await upgrade(['logs']);
  expect(code).toBe(3);
  expect(stderr).toContain('LOG_MISSING');
});
