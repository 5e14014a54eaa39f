// On a real terminal: when something is asked and when not, what the answers do, and colours.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { environment, executable, makeSmall } from './installation.ts';

interface Shown {
  readonly code: number;
  readonly output: string;
  readonly asked: boolean;
}

function onTerminal(
  root: string,
  args: readonly string[],
  { answer = '', env = {} }: { readonly answer?: string; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Shown {
  const { stdout, stderr, status } = spawnSync(
    'python3',
    [path.join(import.meta.dirname, 'on-terminal.py'), answer, process.execPath, executable, ...args],
    {
      cwd: root,
      env: { ...environment(), TERM: 'xterm', ...env },
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const irreversible = {
  'migrations/v2.0.0_to_v2.1.0/001_no_way_back.sql': '-- rungs: { database: app, transaction: false }\nCREATE TABLE t (id)',
};

describe('a question', () => {
  test.each([
    { why: 'no for an answer', answer: 'n\\n' },
    { why: 'an empty answer', answer: '\\n' },
    { why: 'another word', answer: 'maybe\\n' },
    { why: 'the end of input', answer: '\\x04' },
    { why: 'Ctrl-C', answer: '\\x03' },
  ])('$why leaves everything as it is', ({ answer }) => {
    const { root, dir } = makeSmall({ breaks: true });
    const before = snapshot(dir);
    const { code, output, asked } = onTerminal(root, [], { answer });
    expect(asked).toBe(true);
    expect(output).toContain('v1.1.0_to_v2.0.0');
    expect(output).toContain('NOT_CONFIRMED');
    expect(code).toBe(3);
    expect(snapshot(dir)).toEqual(before);
  });

  test.each(['y\\n', 'Yes\\n'])('%j goes on', (answer) => {
    const { root } = makeSmall({ breaks: true });
    expect(onTerminal(root, [], { answer })).toMatchObject({ code: 0, asked: true });
    expect(readFileSync(path.join(root, 'VERSION'), 'utf8')).toBe('2.0.0\n');
  });

  test('is asked where a step cannot be undone, and names it', () => {
    const { root } = makeSmall({ files: irreversible });
    const { output, asked } = onTerminal(root, [], { answer: 'n\\n' });
    expect(asked).toBe(true);
    expect(output).toContain('v2.0.0_to_v2.1.0/001_no_way_back');
  });

  test.each([
    { why: 'the plan breaks nothing', breaks: false, args: [] },
    { why: '--yes is given', breaks: true, args: ['--yes'] },
    { why: '-y is given', breaks: true, args: ['-y'] },
    { why: 'it is a dry run', breaks: true, args: ['--dry-run'] },
    { why: 'only the plan is wanted', breaks: true, args: ['plan'] },
    { why: 'the part of the plan that is wanted breaks nothing', breaks: true, args: ['--to', '1.1.0'] },
  ])('is not asked where $why', ({ breaks, args }) => {
    const { root } = makeSmall({ breaks });
    expect(onTerminal(root, args)).toMatchObject({ code: 0, asked: false });
  });

  test('is not asked by a restore', async () => {
    const { root, upgrade } = makeSmall();
    const { id } = JSON.parse((await upgrade(['backup', 'create', '--json'])).stdout);
    expect(onTerminal(root, ['backup', 'restore', id])).toMatchObject({ code: 0, asked: false });
  });

  test('is not asked where nobody can answer', async () => {
    const { upgrade } = makeSmall({ breaks: true });
    const { code, stderr, stdout } = await upgrade([]);
    expect(stdout + stderr).not.toContain('[y/N]');
    expect(code).toBe(0);
  });
});

describe('colours', () => {
  const escape = '\u001b[';
  test.each([
    { args: ['status'], env: { NO_COLOR: undefined }, isColored: true },
    { args: ['nope'], env: { NO_COLOR: undefined }, isColored: true },
    { args: ['status'], env: { NO_COLOR: '1' }, isColored: false },
    { args: ['nope'], env: { NO_COLOR: '1' }, isColored: false },
    { args: ['status'], env: { NO_COLOR: '' }, isColored: true },
    { args: ['status', '--no-color'], env: { NO_COLOR: undefined }, isColored: false },
    { args: ['--no-color', 'status'], env: { NO_COLOR: undefined }, isColored: false },
    { args: ['nope', '--no-color'], env: { NO_COLOR: undefined }, isColored: false },
    { args: ['status'], env: { NO_COLOR: undefined, TERM: 'dumb' }, isColored: false },
    { args: ['status', '--json'], env: { NO_COLOR: undefined }, isColored: false },
  ])('$args with $env: $isColored', ({ args, env, isColored }) => {
    const { root } = makeSmall();
    expect(onTerminal(root, args, { env }).output.includes(escape)).toBe(isColored);
  });
});
