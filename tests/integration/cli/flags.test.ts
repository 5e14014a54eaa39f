// Flags before and after the command, where the executable is called from and by which name, help, and a reader that goes away.
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { environment, executable, makeSmall } from './installation.ts';

test.each([
  { flag: ['--json'], is: (stdout: string) => JSON.parse(stdout).product === 'small' },
  { flag: ['-c', 'upgrade.yaml'], is: (stdout: string) => stdout.includes('small is at 1.0.0') },
  { flag: ['--config', '../inst/upgrade.yaml'], is: (stdout: string) => stdout.includes('small is at 1.0.0') },
  { flag: ['--config=upgrade.yaml'], is: (stdout: string) => stdout.includes('small is at 1.0.0') },
  { flag: ['-c', '.'], is: (stdout: string) => stdout.includes('small is at 1.0.0') },
  { flag: ['--root', '../other'], is: (stdout: string) => stdout.includes('small is at 1.1.0') },
  { flag: ['-q'], is: (stdout: string) => stdout.includes('1.0.0') },
  { flag: ['-v'], is: (stdout: string) => stdout.includes('1.0.0') },
  { flag: ['--no-color'], is: (stdout: string) => stdout.includes('1.0.0') },
  { flag: ['--version'], is: (stdout: string) => /^\d+\.\d+\.\d+\n$/.test(stdout) },
  { flag: ['-h'], is: (stdout: string) => stdout.startsWith('Usage: upgrade') },
  { flag: ['--help'], is: (stdout: string) => stdout.startsWith('Usage: upgrade') },
])('$flag stands before and after the command', async ({ flag, is }) => {
  const { upgrade } = makeSmall({ files: { 'other/VERSION': '1.1.0\n' } });
  for (const args of [
    [...flag, 'status'],
    ['status', ...flag],
  ]) {
    const { code, stdout, stderr } = await upgrade(args);
    expect([code, stderr, is(stdout)], args.join(' ')).toEqual([0, '', true]);
  }
});

test('what stands nearer to the end wins', async () => {
  const { upgrade } = makeSmall();
  expect((await upgrade(['-c', 'nope.yaml', 'status', '-c', 'upgrade.yaml'])).code).toBe(0);
  expect((await upgrade(['-c', 'upgrade.yaml', 'status', '-c', 'nope.yaml'])).code).toBe(2);
});

test.each([
  'plan',
  'check',
  'status',
  'doctor',
  'history',
  'resume',
  'rollback',
  'follow',
  'new',
  'adopt',
  'up',
  'down',
  'redo',
  'baseline',
  'boot',
  'backup',
  'backup list',
  'backup create',
  'backup verify',
  'backup restore',
  'backup export',
])('%s knows the flags that all have', async (name) => {
  const { upgrade } = makeSmall();
  const words = name.split(' ');
  const { code, stdout } = await upgrade([...words, '--help']);
  expect(code).toBe(0);
  for (const flag of [
    '-c, --config',
    '--root',
    '--json',
    '--events',
    '-q, --quiet',
    '-v, --verbose',
    '--no-color',
    '--version',
    '-h, --help',
  ])
    expect(stdout).toContain(flag);
  expect((await upgrade([...words, '--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('help lists every command of this release and none of a later one', async () => {
  const { stdout } = await makeSmall().upgrade(['--help']);
  const listed = stdout
    .slice(stdout.indexOf('Commands:'))
    .split('\n')
    .flatMap((line) => /^ {2}([a-z]+) /.exec(line)?.[1] ?? []);
  expect(listed).toEqual([
    'plan',
    'check',
    'status',
    'doctor',
    'history',
    'resume',
    'rollback',
    'follow',
    'logs',
    'backup',
    'new',
    'adopt',
    'up',
    'down',
    'redo',
    'baseline',
    'boot',
    'serve',
    'token',
    'notify',
    'explain',
    'completion',
    'help',
  ]);
});

test('the config is found from a folder below it, and nowhere else', async () => {
  const { root, dir, upgrade } = makeSmall();
  expect((await upgrade(['status'], { cwd: path.join(root, 'data/deep') })).stdout).toContain('small is at 1.0.0');
  const outside = await upgrade(['status'], { cwd: dir });
  expect(outside.code).toBe(2);
  expect(outside.stderr).toContain('CONFIG_NOT_FOUND');
  expect((await upgrade(['status', '-c', 'inst/upgrade.yaml'], { cwd: dir })).stdout).toContain('small is at 1.0.0');
  expect((await upgrade(['-c', 'inst', '--json'], { cwd: dir })).code).toBe(0);
});

test('a link by another name is the same executable', async () => {
  const { dir, upgrade } = makeSmall();
  const rungs = path.join(dir, 'rungs');
  symlinkSync(executable, rungs);
  expect((await upgrade(['status'], { program: rungs })).stdout).toContain('small is at 1.0.0');
  expect((await upgrade(['--json'], { program: rungs })).code).toBe(0);
});

test('an installation behind a link is upgraded where it is', async () => {
  const { root, dir, upgrade } = makeSmall();
  mkdirSync(path.join(dir, 'links'));
  symlinkSync(root, path.join(dir, 'links/current'));
  expect((await upgrade(['--json'], { cwd: path.join(dir, 'links/current') })).code).toBe(0);
  expect((await upgrade(['status'])).stdout).toContain('small is at 2.0.0');
});

test.each([['plan'], ['plan', '--json'], ['--help'], ['status', '--json'], ['nope']])(
  'a reader that goes away is no error: %s %s',
  (...args) => {
    const { root } = makeSmall({
      files: Object.fromEntries(
        Array.from({ length: 400 }, (_, at) => [
          `migrations/v2.${at}.0_to_v2.${at + 1}.0/transition.yaml`,
          `description: ${'long '.repeat(60)}\n`,
        ]),
      ),
    });
    // `head -0` reads nothing and is gone before the first byte.
    const { stderr, stdout } = spawnSync(
      'bash',
      ['-c', 'set -o pipefail; "$@" 2>&1 | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"', 'bash', process.execPath, executable, ...args],
      { cwd: root, env: environment(), encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(args[0] === 'nope' ? '2' : '0');
  },
);

test('with -q an upgrade says what matters, and problems are told all the same', async () => {
  const { upgrade } = makeSmall({ fails: true });
  const loud = await upgrade(['-v', '--to', '2.0.0']);
  expect(loud.stdout).toContain('writing a note');
  const { code, stdout } = await upgrade(['-q']);
  expect(code).toBe(10);
  expect(stdout).toContain('STEP_FAILED');
  expect(stdout).not.toContain('phase');
});
