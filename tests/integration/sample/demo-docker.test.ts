// `npm run demo:docker` and `npm run demo:docker -- --break` as a new user runs them, on an engine of the test's own.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';

const demo = resolve(import.meta.dirname, '../../../examples/demo-docker.mjs');
let tmp: string;
let engine: DockerEngine;

beforeAll(async () => {
  engine = await startDockerEngine();
});

beforeEach(() => {
  // A temporary folder of the test's own, so that what the demo leaves behind is seen.
  tmp = mkdtempSync(join(tmpdir(), 'rungs-demo-test-'));
});

afterEach(() => {
  rmSync(tmp, { recursive: true, force: true });
});

describe('on an engine that is there', () => {
  test('image 0.1.0 becomes 0.3.0, with everything else of the container as it was, and nothing is left behind', async () => {
    const { status, stdout, stderr } = await run();
    expect(stderr).toBe('');
    expect(status, stdout).toBe(0);
    const [before, after] = stdout.split(/^After /m);
    expect(before).toContain('200 {"ok":true,"version":"0.1.0","format":1,"notes":4}');
    expect(before).toContain('exit code 0: committed');
    expect(after).toContain('200 {"ok":true,"version":"0.3.0","format":3,"notes":4}');
    expect(after).toMatch(/image +\S+\/home-server:0\.3\.0, id/);
    expect(after?.match(/^ {2}yes {2}/gm)).toHaveLength(3);
    await expectNothingLeft();
  }, 300_000);

  test('with --break the image of 0.3.0 never becomes well, and the very same container is back', async () => {
    const { status, stdout, stderr } = await run('--break');
    expect(stderr).toBe('');
    expect(status, stdout).toBe(0);
    // The container's own last words are in the report.
    expect(stdout).toContain('cannot open /var/cache/thumbs');
    expect(stdout).toContain('exit code 10: failed, rolled back');
    const proof = stdout.slice(stdout.indexOf('Proof'));
    expect(proof.match(/^ {2}yes {2}/gm)).toHaveLength(4);
    await expectNothingLeft();
  }, 300_000);

  test('an unknown flag, and an engine that does not answer, are told in a sentence', async () => {
    expect(await run('--brake')).toMatchObject({ status: 2, stderr: expect.stringContaining('npm run demo:docker -- [--break] [--keep]') });
    const env = { ...environment(), DOCKER_HOST: `unix://${tmp}/nobody.sock` };
    const { status, stdout, stderr } = spawnSync(process.execPath, [demo], { encoding: 'utf8', env, timeout: 60_000 });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toMatch(/^The engine that DOCKER_HOST names does not answer: /);
  });
});

async function expectNothingLeft(): Promise<void> {
  expect(await engine.docker('ps', '-aq')).toBe('');
  expect(await engine.docker('images', '-aq')).toBe('');
  expect(await engine.docker('volume', 'ls', '-q')).toBe('');
  expect(await engine.docker('network', 'ls', '--filter', 'type=custom', '-q')).toBe('');
  expect(readdirSync(tmp).filter((name) => name !== 'node-compile-cache')).toEqual([]);
}

/** Not by `spawnSync`: the engine's own output has to be read meanwhile. */
async function run(
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((settle) => {
    const child = spawn(process.execPath, [demo, ...args], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('close', (status) => settle({ status, stdout, stderr }));
  });
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, ...engine.env, TMPDIR: tmp, NO_COLOR: '1' };
}
