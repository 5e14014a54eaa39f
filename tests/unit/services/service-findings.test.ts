import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServiceConfig } from '../../../src/model/config.ts';
import { serviceFindings } from '../../../src/services/service-findings.ts';
import { systemClock } from '../../../src/system-clock.ts';

const common = { after: [], stopDuringUpgrade: false, timeoutMs: 1_000, stableForMs: 100 };
const none = { restart: null, stop: null, start: null, health: null, status: null };

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rungs-findings-'));
  await mkdir(join(root, 'bin/folder'), { recursive: true });
  await writeFile(join(root, 'bin/proxy'), '#!/bin/sh\n');
  await chmod(join(root, 'bin/proxy'), 0o755);
  await writeFile(join(root, 'bin/readme'), 'text');
  await chmod(join(root, 'bin/readme'), 0o644);
  vi.stubEnv('DOCKER_HOST', `unix://${join(root, 'nowhere.sock')}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

async function found(...services: readonly ServiceConfig[]) {
  const findings = await serviceFindings(
    { root, state: join(root, '.upgrade'), services: Object.fromEntries(services.map((service) => [service.name, service])) },
    systemClock,
  );
  return findings.map(({ level, code, message }) => `${level} ${code} ${message}`);
}

test('commands that are there, in the root or along PATH, are no finding', async () => {
  const commands = { ...none, restart: ['bin/proxy', 'restart'], health: ['sh', '-c', 'true'] };
  expect(await found({ ...common, name: 'proxy', kind: 'command', commands, pidFile: null })).toEqual([]);
});

test('all that is wrong with all services is told at once', async () => {
  const findings = await found(
    { ...common, name: 'web', kind: 'docker', container: 'web' },
    { ...common, name: 'jobs', kind: 'compose', file: 'compose.yaml', service: 'jobs' },
    {
      ...common,
      name: 'a',
      kind: 'command',
      commands: { ...none, restart: ['bin/none'], health: ['no-such-program-anywhere'], stop: ['bin/readme'], status: ['bin/folder'] },
      pidFile: null,
    },
    { ...common, name: 'b', kind: 'command', commands: { ...none, start: ['bin/proxy'] }, pidFile: null, stopDuringUpgrade: true },
  );
  expect(findings).toEqual([
    'block SERVICE_EXECUTABLE_MISSING The restart command of service a is "bin/none", but there is no such file.',
    'block SERVICE_EXECUTABLE_MISSING The stop command of service a is "bin/readme", but it is not executable.',
    'block SERVICE_EXECUTABLE_MISSING The health command of service a is "no-such-program-anywhere", but no folder of PATH has it.',
    'block SERVICE_EXECUTABLE_MISSING The status command of service a is "bin/folder", but that is not a file.',
    'block SERVICE_ACTION_MISSING Service b has no command to restart it.',
    'block SERVICE_ACTION_MISSING Service b has no command to stop it.',
    expect.stringMatching(/^warn SERVICE_NOT_OBSERVABLE .*\bb\b/),
    // One engine, one finding.
    expect.stringMatching(/^block DOCKER_UNREACHABLE .*nowhere\.sock/),
  ]);
});

test('looking writes nothing', async () => {
  await found({ ...common, name: 'proxy', kind: 'command', commands: { ...none, restart: ['bin/proxy'] }, pidFile: null });
  expect(await readdir(root)).toEqual(['bin']);
});
