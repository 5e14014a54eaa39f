import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from '../../../src/lock/lock.ts';

const contender = join(import.meta.dirname, '../../fixtures/steps/contender.ts');
const who = { pid: process.pid, host: 'here', since: '2030-01-01T00:00:00.000Z' };
let state: string;

beforeEach(() => {
  state = join(mkdtempSync(join(tmpdir(), 'rungs-lock-')), 'state');
});
afterEach(() => rmSync(join(state, '..'), { recursive: true, force: true }));

interface Contender {
  readonly pid: number;
  readonly said: Promise<string>;
  readonly end: () => Promise<void>;
}

/** A process that tries at once, says how it went, and keeps the lock until its input ends. */
function contend(mode = 'plain'): Contender {
  const child = spawn(process.execPath, [contender, state, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise<void>((done) => void child.once('exit', () => done()));
  const said = new Promise<string>((done) => void child.stdout.once('data', (chunk: Buffer) => done(chunk.toString('utf8').trim())));
  return {
    pid: child.pid ?? 0,
    said,
    end: async () => {
      child.stdin.end();
      await gone;
    },
  };
}

test('of two that start together one wins, and the other names it, every time', async () => {
  for (let round = 0; round < 40; round += 1) {
    const both = [contend(), contend()];
    const said = await Promise.all(both.map((each) => each.said));
    await Promise.all(both.map((each) => each.end()));
    const winner = both.find((_, at) => said[at] === 'won');
    expect(said.toSorted()).toEqual([`lost to ${winner?.pid}`, 'won']);
  }
});

test('the state folder is made private, and the owner is written into the lock', async () => {
  const lock = await acquireLock(state, who);
  if ('holder' in lock) throw new Error('held');
  expect(statSync(state).mode & 0o777).toBe(0o700);
  expect(JSON.parse(readFileSync(join(state, 'lock'), 'utf8'))).toEqual(who);
  lock.release();
  lock.release();
  expect(readFileSync(join(state, 'lock'), 'utf8')).toBe('');
});

test('what a dead holder wrote is not believed', async () => {
  const first = await acquireLock(state, { ...who, pid: 1 });
  if ('holder' in first) throw new Error('held');
  writeFileSync(join(state, 'lock'), JSON.stringify({ pid: 999_999_999, host: 'gone', since: '2001-01-01T00:00:00.000Z' }));
  const second = await acquireLock(state, who);
  expect(second).toMatchObject({ holder: { pid: process.pid, since: null, step: null } });
  first.release();
});

test('a daemon that inherited the descriptor does not keep a released lock', async () => {
  const holder = contend('daemon');
  expect(await holder.said).toBe('won');
  await holder.end();
  const daemon = Number(readFileSync(join(state, 'daemon'), 'utf8'));
  expect(existsSync(`/proc/${daemon}`)).toBe(true);
  const lock = await acquireLock(state, who);
  process.kill(daemon, 'SIGKILL');
  expect('holder' in lock).toBe(false);
  if ('release' in lock) lock.release();
});

test('a step that inherited the descriptor keeps the lock when its orchestrator is killed', async () => {
  const holder = contend('step');
  expect(await holder.said).toBe('won');
  process.kill(holder.pid, 'SIGKILL');
  await holder.end();
  const step = Number(readFileSync(join(state, 'daemon'), 'utf8'));
  expect(await acquireLock(state, who)).toMatchObject({ holder: { pid: step, step: 'v1_to_v2/007_slow', command: 'sleep 300' } });
  process.kill(step, 'SIGKILL');
  for (;;) {
    const lock = await acquireLock(state, who);
    if ('holder' in lock) continue;
    lock.release();
    break;
  }
});

test('a lock file that was deleted and made anew is not locked twice', async () => {
  const first = await acquireLock(state, who);
  unlinkSync(join(state, 'lock'));
  const second = await acquireLock(state, who);
  // The kernel cannot know: but the new one is a whole lock of its own, and nobody waits for ever.
  expect('fd' in first && 'fd' in second).toBe(true);
  for (const lock of [first, second]) if ('release' in lock) lock.release();
});

test.each([
  { tool: 'perl', words: ['perl'] },
  { tool: 'python3', words: ['python3'] },
])('without flock, $tool takes it', async ({ tool }) => {
  const { symlinkSync, mkdirSync, realpathSync } = await import('node:fs');
  const { execFileSync } = await import('node:child_process');
  const bin = join(state, '..', 'bin');
  mkdirSync(bin);
  const real =
    tool === 'python3'
      ? execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
      : execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
  symlinkSync(realpathSync(real), join(bin, tool));
  const path = process.env['PATH'];
  process.env['PATH'] = bin;
  try {
    const lock = await acquireLock(state, who);
    expect(await acquireLock(state, who)).toMatchObject({ holder: { pid: process.pid } });
    if (!('release' in lock)) throw new Error('held');
    lock.release();
    const again = await acquireLock(state, who);
    expect('fd' in again).toBe(true);
    if ('release' in again) again.release();
  } finally {
    process.env['PATH'] = path;
  }
});

test('with no tool at all it refuses, naming what is missing', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = join(state, 'nowhere');
  try {
    await expect(acquireLock(state, who)).rejects.toThrow(/LOCK_UNAVAILABLE.*flock.*perl.*python3/);
  } finally {
    process.env['PATH'] = path;
  }
});

test('who waits gets it when it is let go of, hears in time who still has it, and stops waiting when told to', async () => {
  const first = await acquireLock(state, who);
  if ('holder' in first) throw new Error('held');
  expect(await acquireLock(state, who, { waitMs: 60 })).toMatchObject({ holder: { pid: process.pid } });
  const stop = new AbortController();
  const stopped = acquireLock(state, who, { waitMs: 60_000, signal: stop.signal });
  stop.abort();
  await expect(stopped).rejects.toThrow(/abort/i);
  const second = acquireLock(state, who, { waitMs: 60_000 });
  first.release();
  const got = await second;
  if ('holder' in got) throw new Error('it was free');
  got.release();
});
