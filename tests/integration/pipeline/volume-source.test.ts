// A real Docker volume goes through an upgrade that fails, and comes back as it was: names, owners, modes and contents.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { startDockerEngine, testWithDocker, type DockerEngine } from '../../support/docker-engine.ts';
import { makeTiny, type Tiny } from './installation.ts';

let engine: DockerEngine;
let tiny: Tiny;
let volume: string;
beforeAll(async () => {
  engine = await startDockerEngine();
});
beforeEach(async () => {
  tiny = makeTiny();
  await engine.docker('volume', 'create', 'shop');
  volume = (await engine.docker('volume', 'inspect', '--format', '{{.Mountpoint}}', 'shop')).trim();
  mkdirSync(path.join(volume, 'a/empty'), { recursive: true });
  writeFileSync(path.join(volume, 'a/one'), 'one');
  chownSync(path.join(volume, 'a/one'), 70, 70);
  chmodSync(path.join(volume, 'a/one'), 0o640);
  linkSync(path.join(volume, 'a/one'), path.join(volume, 'a/same'));
  symlinkSync('a/one', path.join(volume, '.link'));
  tiny.edit('upgrade.yaml', (text) => text.replace('include: [config, data]', 'include: [config, data]\n  volumes: [shop]'));
});
afterEach(async () => {
  await tiny.remove();
  await engine.docker('volume', 'rm', 'shop');
});

function environment(): Readonly<Record<string, string>> {
  const known = Object.entries({ ...process.env, ...engine.env }).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return { ...Object.fromEntries(known), PATH: `${path.dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };
}

/** As an independent tool sees it. */
function listing(): string {
  return spawnSync(
    'sh',
    ['-c', 'find . -mindepth 1 -printf "%P %y %#m %U:%G %n %T@ %l\\n" | sort; find . -type f | sort | xargs sha256sum'],
    { cwd: volume, encoding: 'utf8' },
  ).stdout;
}

testWithDocker('a volume is put back by the rollback, and nothing is left beside it', async () => {
  const before = listing();
  const harm = `rm -r ${volume}/a; echo new > ${volume}/new; ln -sfn elsewhere ${volume}/.link`;
  tiny.step('v1.0.0_to_v1.1.0/009_break.sh', `#!/bin/sh\n[ "$1" = backward ] && exit 0\n${harm}\nexit 3\n`);
  const { code, stdout } = await tiny.upgrade(['--json', '--yes'], { env: environment() });
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'rolled-back' });
  expect(code).toBe(10);
  expect(listing()).toBe(before);
  expect(readdirSync(path.dirname(volume))).toEqual(['_data']);
});

testWithDocker('a volume that is not there refuses the upgrade untouched', async () => {
  tiny.edit('upgrade.yaml', (text) => text.replace('volumes: [shop]', 'volumes: [shop, none]'));
  const { code, stdout } = await tiny.upgrade(['--json', '--yes'], { env: environment() });
  expect(JSON.parse(stdout).failure).toMatchObject({ code: 'SOURCE_COMMAND_FAILED', message: expect.stringContaining('volume.none') });
  expect(code).toBe(3);
});
