// kill -9 before and after each call that changes something while a container is made again, or put back; then resume, or rollback: exactly the
// new container, or exactly the old one, and nothing beside it. The cases share an engine, and run side by side: most of their time is waiting.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { startKillingProxy } from '../../support/docker-proxy.ts';
import { level } from '../../support/level.ts';
import { describeContainer, makeInstallation, mapOf, namesIn, type Described, type Installation } from './docker-installation.ts';

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
afterAll(async () => {
  // Each case has removed its own.
  if (isThere) expect(await namesIn(engine)).toEqual([]);
});

interface Case {
  readonly at: number;
  readonly side: 'before' | 'after';
  readonly command: 'resume' | 'rollback';
  readonly image: string;
}

const forwards = ['POST update', 'POST stop', 'POST rename', 'POST create', 'POST connect', 'POST start'];
const backwards = ['POST stop', 'DELETE container', 'POST rename', 'POST update', 'POST start'];
const sides = ['before', 'after'] as const;
const commands = ['resume', 'rollback'] as const;
const all = [...forwards, ...backwards].flatMap((_, index) =>
  sides.flatMap((side) =>
    commands.map((command): Case => ({ at: index + 1, side, command, image: index < forwards.length ? 'web:2' : 'bad:1' })),
  ),
);
// Quick: where the name is nobody's, where the new one is half connected, and in the middle of going back.
const quick = new Set(['3 after resume', '5 before rollback', '8 after resume']);
const cases = level === 'quick' ? all.filter(({ at, side, command }) => quick.has(`${at} ${side} ${command}`)) : all;

describe('killed', () => {
  test.concurrent.each(cases)('$side call $at with $image, then $command', async ({ at, side, command, image }) => {
    const name = `web-${at}-${side}-${command}`;
    const { home, before } = await install(name, image);
    try {
      const proxy = await killAt(home, at, side);
      expect(proxy.calls.at(-1)).toBe([...forwards, ...backwards][at - 1]);
      const { code, output } = await upgrade(home, [command], engine.host);
      const isNew = command === 'resume' && image === 'web:2';
      expect({ code, output }).toMatchObject({ code: isNew ? 0 : 10 });
      expect(await namesOf(name)).toEqual([name]);
      expect(home.version()).toBe(isNew ? '0.2.0' : '0.1.0');
      const after = await describeContainer(engine, name);
      if (isNew) expectMade(after);
      else expect(after).toEqual(before);
    } finally {
      await remove(name);
    }
  });

  test.concurrent.each([
    { args: ['resume'], code: 3, says: 'no unfinished run' },
    { args: ['--yes'], code: 0, says: 'nothing to do' },
  ])('between the commit and the removal of the old container: "upgrade $args.0" removes it', async ({ args, code, says }) => {
    const name = `web-committed-${args[0]?.replace(/\W/g, '')}`;
    const { home } = await install(name, 'web:2');
    try {
      const proxy = await killAt(home, forwards.length + 1, 'before');
      expect(proxy.calls.at(-1)).toBe('DELETE container');
      expect(home.version()).toBe('0.2.0');
      const kept = (await namesOf(name)).find((other) => other !== name);
      const looked = await upgrade(home, ['doctor'], engine.host);
      expect(looked.code).toBe(0);
      expect(looked.output.replaceAll(/\s+/g, ' ')).toContain(`had removed what it kept for going back: ${kept}`);
      const ended = await upgrade(home, args, engine.host);
      expect({ code: ended.code, text: ended.output.toLowerCase() }).toEqual({ code, text: expect.stringContaining(says) });
      expect(await namesOf(name)).toEqual([name]);
      expectMade(await describeContainer(engine, name));
      expect((await upgrade(home, ['doctor'], engine.host)).output).not.toContain(kept);
    } finally {
      await remove(name);
    }
  });
});

async function install(name: string, image: string): Promise<{ readonly home: Installation; readonly before: Described }> {
  const options = '--network front --stop-timeout 2 --restart always --volume /own --no-healthcheck'.split(' ');
  await engine.docker('run', '-d', '--name', name, ...options, 'web:1');
  await engine.docker('network', 'connect', 'back', name);
  // One that never becomes well is not worth waiting for.
  const timeout = image === 'bad:1' ? '1s' : '30s';
  const home = makeInstallation({
    services: `{ web: { docker: ${name}, timeout: ${timeout}, stableFor: 200ms } }`,
    images: `{ web: "${image}" }`,
  });
  return { home, before: await describeContainer(engine, name) };
}

async function killAt(home: Installation, at: number, side: Case['side']) {
  let pid: number | undefined;
  const proxy = await startKillingProxy(engine, { at, side, kill: () => pid !== undefined && process.kill(pid, 'SIGKILL') });
  const killed = await upgrade(home, ['--yes'], proxy.host, (started) => (pid = started));
  await proxy.close();
  expect(killed).toMatchObject({ signal: 'SIGKILL' });
  return proxy;
}

function expectMade(after: Described): void {
  expect(mapOf(after['State'])['Running']).toBe(true);
  expect(mapOf(after['Config'])['Image']).toBe('web:2');
  expect(mapOf(after['HostConfig'])['RestartPolicy']).toEqual({ Name: 'always', MaximumRetryCount: 0 });
  expect(Object.keys(mapOf(mapOf(after['NetworkSettings'])['Networks'])).sort()).toEqual(['back', 'front']);
}

/** The container of that name, and what was kept of it. */
async function namesOf(name: string): Promise<readonly string[]> {
  return (await namesIn(engine)).filter((other) => other === name || other.startsWith(`${name}-rungs-`));
}

async function remove(name: string): Promise<void> {
  for (const one of await namesOf(name)) await engine.docker('rm', '--force', '--volumes', one);
}

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
