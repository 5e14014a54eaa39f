import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../../../src/processes/run-command.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'rungs-run-command-'));
});
afterEach(async () => rm(cwd, { recursive: true, force: true }));

const sh = (script: string, over: { timeoutMs?: number; outputFile?: string; signal?: AbortSignal } = {}) =>
  runCommand({ argv: ['sh', '-c', script], cwd, timeoutMs: 20_000, ...over });

test.each([
  { script: 'exit 0', end: 'exited', exitCode: 0, account: 'exited with 0' },
  { script: 'exit 7', end: 'exited', exitCode: 7, account: 'exited with 7' },
  { script: 'kill -SEGV $$', end: 'exited', exitCode: null, account: 'was killed by SIGSEGV' },
  { script: 'sleep 60', timeoutMs: 100, end: 'timed-out', exitCode: null, account: 'did not end within 0.1 s' },
])('"$script" $account', async ({ script, timeoutMs = 20_000, end, exitCode, account }) => {
  expect(await sh(script, { timeoutMs })).toMatchObject({ end, exitCode, account });
});

test('a program that is not there, is not executable, or has no folder to run in', async () => {
  expect(await runCommand({ argv: ['./none'], cwd, timeoutMs: 1_000 })).toMatchObject({
    end: 'not-started',
    exitCode: null,
    account: expect.stringContaining('no such file'),
  });
  expect(await runCommand({ argv: [cwd], cwd, timeoutMs: 1_000 })).toMatchObject({
    end: 'not-started',
    account: expect.stringContaining('not executable'),
  });
});

test('both streams are kept by lines, stdout by itself too; standard input is empty', async () => {
  const { stdout, lines } = await sh('cat; echo one; sleep 0.05; echo two >&2; sleep 0.05; printf "\\n\\nthree  "');
  expect(stdout).toBe('one\n\n\nthree  ');
  expect(lines).toEqual(['one', 'two', 'three']);
});

test('arguments go through no shell', async () => {
  expect((await runCommand({ argv: ['printf', '%s', '$HOME; `id` *'], cwd, timeoutMs: 5_000 })).stdout).toBe('$HOME; `id` *');
});

test('a child that holds the pipes open is not waited for', async () => {
  const started = performance.now();
  const { exitCode, stdout } = await sh('sleep 5 & echo done');
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'done\n' });
  expect(performance.now() - started).toBeLessThan(4_000);
});

test('a flood keeps its beginning and its end', async () => {
  const { stdout, lines } = await sh('echo first; head -c 20000000 /dev/zero | tr "\\0" x | fold -w 80; echo; echo last');
  expect(stdout.length).toBe(64 * 1024);
  expect([stdout.startsWith('first\n'), lines.at(-1), lines.length]).toEqual([true, 'last', 20]);
});

test('output into a file begins anew each time, and is the owner’s', async () => {
  const outputFile = join(cwd, 'state/services/api.log');
  await sh('echo first', { outputFile });
  expect((await sh('echo second >&2', { outputFile })).lines).toEqual(['second']);
  expect(await readFile(outputFile, 'utf8')).toBe('second\n');
  expect((await stat(outputFile)).mode & 0o777).toBe(0o600);
});

test('a slow flood into a file stays small while the command runs', async () => {
  const outputFile = join(cwd, 'out.log');
  const { lines } = await sh(
    'for i in 1 2 3 4 5 6; do head -c 3000000 /dev/zero | tr "\\0" "x" | fold -w 80; sleep 0.15; done; echo; echo last',
    { outputFile },
  );
  expect(lines.at(-1)).toBe('last');
  expect((await stat(outputFile)).size).toBeLessThan(10_000_000);
});

test('a file that cannot be made costs the output, not the command', async () => {
  await writeFile(join(cwd, 'state'), 'a file where the folder would be');
  expect(await sh('echo hello; exit 3', { outputFile: join(cwd, 'state/out.log') })).toMatchObject({
    end: 'exited',
    exitCode: 3,
    lines: [],
  });
});
