// `npm run demo` and `npm run demo -- --break` as a new user runs them.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../../..');
const demo = join(repository, 'examples/demo.mjs');
let tmp: string;

beforeEach(async () => {
  // A temporary folder of the test's own, so that what the demo leaves behind is seen.
  tmp = await mkdtemp(join(tmpdir(), 'rungs-demo-test-'));
});

afterEach(async () => {
  await rm(tmp, { recursive: true, force: true });
});

test('the demo upgrades 0.1.0 to 0.3.0, shows what changed, and leaves nothing behind', () => {
  const { status, stdout, stderr } = run();
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const [before, after] = stdout.split(/^After /m);
  expect(before).toMatch(/version +0\.1\.0\n/);
  expect(before).toContain('"version":"0.1.0","schema":1,"users":3000');
  expect(before).toContain('exit code 0: committed');
  expect(after).toMatch(/version +0\.3\.0\n/);
  expect(after).toContain('"version":"0.3.0","schema":3,"users":3000');
  expect(after).toContain('addresses 2940');
  expect(after).toContain('latest → ibn8/2024--photo-23.bin');
  expect(after).toContain('mode 600: PORT, SESSION_SECRET, MAIL_HOST, MAIL_TOKEN');
  expect(after).toContain('+ # New in 0.3.0. The token is in .env.');
  expect(stdout).not.toContain('not-set-yet');
  expect(leftBehind()).toEqual([]);
});

test('the demo with --break proves that the failed upgrade changed nothing, and leaves nothing behind', () => {
  const { status, stdout, stderr } = run('--break');
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/006_break[^]*the disk for the archive\s+is not there/);
  expect(stdout).toContain('exit code 10: failed, rolled back');
  const proof = stdout.slice(stdout.indexOf('Proof'));
  expect(proof.match(/^ {2}yes {2}/gm)).toHaveLength(3);
  expect(proof).not.toContain('NO');
  expect(leftBehind()).toEqual([]);
});

test('an unknown flag is refused with the known ones', () => {
  expect(run('--brake')).toMatchObject({ status: 2, stderr: expect.stringContaining('npm run demo -- [--break] [--keep]') });
});

test('an interrupted demo stops its service and removes its copy', async () => {
  const child = spawn(process.execPath, [demo], { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((settle) => child.once('exit', (code) => settle(code)));
  await new Promise<void>((settle) => child.stdout.on('data', (chunk: Buffer) => chunk.includes('$ upgrade') && settle()));
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(leftBehind()).toEqual([]);
});

// The machine's own Node may be older than ours; where it is not, there is nothing to see.
const older = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (path) => existsSync(path) && Number.parseInt(spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout, 10) < 24,
);
test.skipIf(older === undefined)('an older Node is told what is missing in one sentence', () => {
  const { status, stderr, stdout } = spawnSync(older ?? '', [demo], { encoding: 'utf8', timeout: 30_000 });
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(/^The demo needs Node\.js 24 or newer, and this is /)]);
});

function run(...args: readonly string[]) {
  return spawnSync(process.execPath, [demo, ...args], { encoding: 'utf8', env: environment(), timeout: 60_000 });
}

/** Node's own compile cache is meant to stay. */
function leftBehind(): readonly string[] {
  return readdirSync(tmp).filter((name) => name !== 'node-compile-cache');
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, TMPDIR: tmp, NO_COLOR: '1' };
}
