// kill -9 before and after each call that changes something while a container is made again, or put back; then resume, or rollback: exactly the
// new container, or exactly the old one, and nothing beside it.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { startKillingProxy } from '../../support/docker-proxy.ts';
import { level } from '../../support/level.ts';
import { describeContainer, makeInstallation, mapOf, namesIn, type Installation } from './docker-installation.ts';

const program = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');
const isThere = test !== (test.skip as unknown);
let engine: DockerEngine;
beforeAll(async () => {
  if (!isThere) return;
  engine = await startDockerEngine();
  await makeImage(engine, 'web:1');
  await makeImage(engine, 'web:2');
  await makeImage(engine, 'bad:1', { behaviour: 'exitsAtOnce', hasHealthCheck: false });
  for (const network of ['front', 'back']) await engine.network(network);
});
afterEach(async () => {
  if (!isThere) return;
  for (const name of await namesIn(engine)) await engine.docker('rm', '--force', '--volumes', name);
});

interface Case {
  readonly at: number;
  readonly side: 'before' | 'after';
  readonly command: 'resume' | 'rollback';
  readonly image: string;
}

const forwards = ['POST update', 'POST stop', 'POST rename', 'POST create', 'POST connect', 'POST start'];
const backwards = ['POST stop', 'DELETE container', 'POST rename', 'POST update', 'POST start'];
const all: readonly Case[] = [
  ...forwards.flatMap((_, index): readonly Case[] =>
    (['before', 'after'] as const).flatMap((side) =>
      (['resume', 'rollback'] as const).map((command) => ({ at: index + 1, side, command, image: 'web:2' })),
    ),
  ),
  ...backwards.flatMap((_, index): readonly Case[] =>
    (['before', 'after'] as const).map((side) => ({ at: forwards.length + index + 1, side, command: 'resume', image: 'bad:1' })),
  ),
];
// Quick: where the name is nobody's, where the new one is half connected, and in the middle of going back.
const quick = new Set(['3 after resume', '5 before rollback', '8 after resume']);
const cases = level === 'quick' ? all.filter(({ at, side, command }) => quick.has(`${at} ${side} ${command}`)) : all;

describe('killed', () => {
  test.each(cases)('$side call $at with $image, then $command', async ({ at, side, command, image }) => {
    await engine.docker(
      'run',
      '-d',
      '--name',
      'web',
      '--network',
      'front',
      '--stop-timeout',
      '2',
      '--restart',
      'always',
      '--volume',
      '/own',
      'web:1',
    );
    await engine.docker('network', 'connect', 'back', 'web');
    const home = makeInstallation({ services: '{ web: { docker: web, timeout: 4s, stableFor: 200ms } }', images: `{ web: "${image}" }` });
    const before = await describeContainer(engine, 'web');

    let pid: number | undefined;
    const proxy = await startKillingProxy(engine, { at, side, kill: () => pid !== undefined && process.kill(pid, 'SIGKILL') });
    const killed = await upgrade(home, ['--yes'], proxy.host, (started) => (pid = started));
    await proxy.close();
    expect(killed.signal).toBe('SIGKILL');
    expect(proxy.calls.at(-1)).toBe([...forwards, ...backwards][at - 1]);

    const { code, output } = await upgrade(home, [command], engine.host);
    const isNew = command === 'resume' && image === 'web:2';
    expect({ code, output }).toMatchObject({ code: isNew ? 0 : 10 });
    expect(await namesIn(engine)).toEqual(['web']);
    expect(home.version()).toBe(isNew ? '0.2.0' : '0.1.0');
    const after = await describeContainer(engine, 'web');
    if (!isNew) return expect(after).toEqual(before);
    expect(mapOf(after['State'])['Running']).toBe(true);
    expect(mapOf(after['Config'])['Image']).toBe('web:2');
    expect(mapOf(after['HostConfig'])['RestartPolicy']).toEqual({ Name: 'always', MaximumRetryCount: 0 });
    expect(Object.keys(mapOf(mapOf(after['NetworkSettings'])['Networks'])).sort()).toEqual(['back', 'front']);
  });
});

async function upgrade(home: Installation, args: readonly string[], host: string, onStart?: (pid: number | undefined) => void) {
  const child = spawn(process.execPath, [program, ...args, '-c', home.configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...engine.env, DOCKER_HOST: host, NO_COLOR: '1' },
  });
  onStart?.(child.pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise<{ readonly code: number | null; readonly signal: string | null; readonly output: string }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, output })),
  );
}
