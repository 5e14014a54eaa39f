// A service of a Compose project gets a new image: in the container, and in the file that Compose reads at the next `up`.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, vi } from 'vitest';
import { startDockerEngine, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { testAsRoot } from '../../support/needs.ts';
import { describeContainer, makeInstallation, mapOf, namesIn, type Installation } from './docker-installation.ts';

const test = testAsRoot('dockerd', 'docker', 'busybox', 'unshare', 'docker-compose');
const isThere = test !== (test.skip as unknown);
const outside = process.env['PATH'] ?? '';
let engine: DockerEngine;
beforeAll(async () => {
  if (!isThere) return;
  engine = await startDockerEngine();
  vi.stubEnv('DOCKER_HOST', engine.host);
  await makeImage(engine, 'web:1');
  await makeImage(engine, 'web:2');
  await makeImage(engine, 'bad:1', { behaviour: 'exitsAtOnce', hasHealthCheck: false });
});

const file = `version: "3.7"
services:
  web: { image: "web:1", stop_grace_period: 2s, environment: { OWN: mine }, volumes: [kept:/kept] }
volumes: { kept: {} }
`;

async function up(home: Installation): Promise<void> {
  await promisify(execFile)('docker-compose', ['up', '--detach'], { cwd: home.root, env: { ...process.env, ...engine.env } });
}

function install(image: string): Installation {
  const home = makeInstallation({
    services: '{ web: { compose: docker-compose.yml, service: web, timeout: 10s, stableFor: 300ms } }',
    images: `{ web: "${image}" }`,
  });
  home.write('docker-compose.yml', file);
  return home;
}

describe('the next "up" keeps the new image', () => {
  test.each([
    { asked: 'docker-compose', programs: ['docker-compose'], makesItAnew: false },
    { asked: 'the plugin', programs: ['docker'], makesItAnew: false },
    { asked: 'nobody: Compose is not here', programs: [], makesItAnew: true },
  ])('asked was $asked; made anew: $makesItAnew', async ({ programs, makesItAnew }) => {
    const home = install('web:2');
    await up(home);
    const [name = ''] = await namesIn(engine);
    vi.stubEnv('PATH', pathWith(programs));
    vi.stubEnv('DOCKER_CONFIG', clientWithPlugin());
    const result = await home.run().finally(() => {
      vi.stubEnv('PATH', outside);
      vi.stubEnv('DOCKER_CONFIG', engine.env['DOCKER_CONFIG'] ?? '');
    });
    expect(result.failure).toBeNull();
    expect(await namesIn(engine)).toEqual([name]);
    expect(home.read('docker-compose.override.yml')).toContain('image: web:2');
    const after = await describeContainer(engine, name);
    expect(mapOf(after['Config'])['Image']).toBe('web:2');
    await up(home);
    const next = await describeContainer(engine, name);
    if (makesItAnew) expect(next).toMatchObject({ Config: { Image: 'web:2' } });
    else expect(next).toEqual(after);
    expect(next['Id'] === after['Id']).toBe(!makesItAnew);
    await engine.docker('rm', '--force', '--volumes', name);
  });
});

/** All programs of the machine, and of Docker's only these. */
function pathWith(programs: readonly string[]): string {
  const dir = mkdtempSync(path.join(path.dirname(engine.socket), 'path-'));
  const left = ['docker', 'docker-compose'].filter((program) => !programs.includes(program));
  const folders = outside.split(':').filter((folder) => existsSync(folder));
  for (const folder of folders)
    for (const program of readdirSync(folder))
      if (!left.includes(program) && !existsSync(path.join(dir, program))) symlinkSync(path.join(folder, program), path.join(dir, program));
  return dir;
}

/** A client of Docker that has Compose as its plugin: what the plugin does is what docker-compose does. */
function clientWithPlugin(): string {
  const dir = mkdtempSync(path.join(path.dirname(engine.socket), 'client-'));
  const compose = execFileSync('sh', ['-c', 'command -v docker-compose'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: outside },
  }).trim();
  mkdirSync(path.join(dir, 'cli-plugins'));
  const metadata = '{"SchemaVersion":"0.1.0","Vendor":"test","Version":"v1","ShortDescription":"Compose"}';
  writeFileSync(
    path.join(dir, 'cli-plugins/docker-compose'),
    `#!/bin/sh\n[ "$1" = docker-cli-plugin-metadata ] && { echo '${metadata}'; exit; }\nshift\nexec ${compose} "$@"\n`,
    { mode: 0o755 },
  );
  return dir;
}

test('a rollback leaves the old container, and takes the file away', async () => {
  const home = install('bad:1');
  await up(home);
  const [name = ''] = await namesIn(engine);
  const before = await describeContainer(engine, name);
  const result = await home.run();
  expect(result.outcome).toBe('rolled-back');
  expect(await describeContainer(engine, name)).toEqual(before);
  expect(existsSync(path.join(home.root, 'docker-compose.override.yml'))).toBe(false);
  expect(await namesIn(engine)).toEqual([name]);
  await engine.docker('rm', '--force', '--volumes', name);
});

test('an override file of somebody else is left alone: a finding names the line for .env', async () => {
  const home = install('web:2');
  home.write('docker-compose.override.yml', 'version: "3.7"\nservices:\n  web: { labels: { role: web } }\n');
  await up(home);
  const [name = ''] = await namesIn(engine);
  const hints: string[] = [];
  const result = await home.run({ onEvent: (event) => event.type === 'finding' && hints.push(event.finding.hint) });
  expect(result.failure).toBeNull();
  expect(hints.join('\n')).toContain('docker-compose.rungs.yml to the .env file');
  expect(home.read('docker-compose.rungs.yml')).toContain('image: web:2');
  expect(home.read('docker-compose.override.yml')).not.toContain('image');
  await engine.docker('rm', '--force', '--volumes', name);
});

test('what a service depends on in its project is well before it is started', async () => {
  const own = (service: string) => `{ compose: docker-compose.yml, service: ${service}, timeout: 20s, stableFor: 300ms }`;
  const home = makeInstallation({ services: `{ web: ${own('web')}, store: ${own('store')} }`, images: '{ web: "web:2", store: "web:2" }' });
  const service = '{ image: "web:1", stop_grace_period: 1s }';
  home.write(
    'docker-compose.yml',
    `version: "3.7"\nservices:\n  web: ${service.replace('{', '{ depends_on: [store],')}\n  store: ${service}\n`,
  );
  await up(home);
  const told: string[] = [];
  const result = await home.run({
    onEvent: (event) => {
      if (event.type === 'service' && event.action === 'recreating') told.push(`${event.service} is made anew`);
      if (event.type === 'service-settled') told.push(`${event.report.name} is ${event.report.status}`);
    },
  });
  expect(result.failure).toBeNull();
  expect(told).toEqual(['store is made anew', 'store is healthy', 'web is made anew', 'web is healthy']);
  await engine.docker('rm', '--force', '--volumes', ...(await namesIn(engine)));
});
