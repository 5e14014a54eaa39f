// New images on a real engine: what is made again is as it was but for the image, and what does not become well leaves exactly the old container.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, vi } from 'vitest';
import { UpdateManager } from '../../../src/update-manager.ts';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { describeContainer, makeInstallation, mapOf, namesIn, type Described } from './docker-installation.ts';

const isThere = test !== (test.skip as unknown);
let engine: DockerEngine;
beforeAll(async () => {
  if (!isThere) return;
  engine = await startDockerEngine({ flags: ['--live-restore'] });
  vi.stubEnv('DOCKER_HOST', engine.host);
  vi.stubEnv('DOCKER_CONFIG', engine.env['DOCKER_CONFIG'] ?? '');
  await makeImage(engine, 'web:1', { env: { COLOUR: 'old', KEPT_DEFAULT: '1' }, labels: { made: 'one' } });
  await makeImage(engine, 'web:2', { env: { COLOUR: 'new', ADDED: '2' }, labels: { made: 'two' } });
  await engine.network('front');
});
afterEach(async () => {
  if (!isThere) return;
  for (const name of await namesIn(engine)) await engine.docker('rm', '--force', '--volumes', name);
});

const service = '{ web: { docker: web, timeout: 20s, stableFor: 500ms } }';
const run = async (...args: readonly string[]): Promise<void> => {
  await engine.docker('run', '--detach', '--name', 'web', '--network', 'front', '--stop-timeout', '2', ...args);
};

describe('a container that is made again', () => {
  test('is as it was but for the image', async () => {
    await engine.docker('network', 'create', '--subnet', '10.250.250.0/24', 'back');
    await engine.docker('volume', 'create', 'named');
    const options =
      '--network-alias www --env OWN=mine --env COLOUR=old --label role=web --volume named:/named --volume /anonymous --volume /tmp:/host:ro ' +
      '--tmpfs /scratch --publish 127.0.0.1:18431:80 --restart on-failure:3 --memory 64m --cpu-shares 512 --cap-add NET_ADMIN --cap-drop MKNOD ' +
      '--device /dev/null:/dev/void --user 0:0 --hostname own-host --dns 10.0.0.1 --add-host db:10.0.0.2 --ulimit nofile=128 --log-opt max-size=1m ' +
      '--stop-signal TERM --workdir /tmp --sysctl net.core.somaxconn=99 --health-interval 300ms --init --group-add 7';
    await run(...options.split(' '), '--label', 'made=by hand', '--health-cmd', 'test -e /tmp/well', 'web:1');
    await engine.docker('network', 'connect', '--ip', '10.250.250.9', '--alias', 'behind', 'back', 'web');
    await engine.docker('exec', 'web', 'sh', '-c', 'echo precious > /anonymous/file');
    const before = await describeContainer(engine, 'web');
    const result = await makeInstallation({ services: service, images: '{ web: "web:2" }' }).run();
    expect(result.failure).toBeNull();
    expect(result.services).toEqual([expect.objectContaining({ name: 'web', status: 'healthy', image: 'web:2' })]);
    const after = await describeContainer(engine, 'web');
    expect(await engine.docker('exec', 'web', 'cat', '/anonymous/file')).toBe('precious');
    expect(await namesIn(engine)).toEqual(['web']);
    expect(after['Id']).not.toBe(before['Id']);
    const [was, is] = [comparable(before), comparable(after)];
    expect(is).toEqual({
      ...was,
      Config: { ...mapOf(was['Config']), Image: 'web:2' },
      Labels: { made: 'by hand', role: 'web', 'rungs.run': result.runId },
      // The variable that happens to have the old default's value is the new image's; the one that somebody set stays.
      Env: expect.arrayContaining(['OWN=mine', 'COLOUR=new', 'ADDED=2', 'VERSION=2']),
      // A volume without a name is mounted by the name that the engine gave it.
      Binds: [...listOf(was['Binds']), expect.stringMatching(/^[0-9a-f]{64}:\/anonymous:rw$/)],
    });
    expect(listOf(is['Env'])).not.toContain('KEPT_DEFAULT=1');
    await engine.docker('rm', '--force', 'web');
    await engine.docker('network', 'rm', 'back');
  });

  test('stays down where it did not run before', async () => {
    await run('web:1');
    await engine.docker('stop', 'web');
    const result = await makeInstallation({ services: service, images: '{ web: "web:2" }' }).run();
    expect(result.outcome).toBe('committed');
    expect(mapOf((await engine.inspect('web'))['State'])['Status']).toBe('created');
    expect(mapOf((await engine.inspect('web'))['Config'])['Image']).toBe('web:2');
  });
});

test('a probe that fails takes the new container back too, with what it wrote', async () => {
  const home = makeInstallation({
    services: '{ web: { docker: web, timeout: 20s, stableFor: 300ms } }',
    images: '{ web: "web:2" }',
    verify: '[{ name: never, command: [sh, -c, exit 1], within: 1s }]',
  });
  await run(
    '--volume',
    `${home.root}/data:/data`,
    '--entrypoint',
    'sh',
    'web:1',
    '-c',
    'echo "$VERSION" > /data/ran; . /lib/server.sh; serve',
  );
  await engine.docker('exec', 'web', 'sh', '-c', 'until test -e /tmp/well; do sleep 0.1; done');
  const before = await describeContainer(engine, 'web');
  const result = await home.run();
  expect(result.outcome).toBe('rolled-back');
  expect(home.read('data/ran')).toBe('1\n');
  expect(await describeContainer(engine, 'web')).toEqual(before);
});

describe('a container that somebody removes in the middle', () => {
  // Removes it, and fails when it has done so.
  const verify = (what: string) =>
    `[{ name: removes, command: [sh, -c, "${what}"], within: 60s }, { name: fails, command: ["false"], within: 100ms }]`;

  test('and that was kept for going back: stranded, until one is made by hand', async () => {
    await run('web:1');
    const home = makeInstallation({
      services: service,
      images: '{ web: "web:2" }',
      verify: verify('docker rm $(docker ps --all --quiet --filter name=web-rungs-)'),
    });
    const result = await home.run();
    expect(result.outcome).toBe('stranded');
    expect(result.failure).toMatchObject({ code: 'CONTAINER_KEPT_GONE', hint: expect.stringContaining('docker rm --force web') });
    expect(home.version()).toBe('0.1.0');
    // As the hint says.
    await engine.docker('rm', '--force', '--volumes', 'web');
    await run('web:1');
    const byHand = await describeContainer(engine, 'web');
    const manager = await UpdateManager.open({ config: home.configFile });
    expect((await manager.rollback()).outcome).toBe('rolled-back');
    expect(await describeContainer(engine, 'web')).toEqual(byHand);
    expect(await namesIn(engine)).toEqual(['web']);
  });

  test('and that was to be restarted only: stranded, until one is made by hand', async () => {
    await run('web:1');
    const home = makeInstallation({ services: service });
    home.write(
      'migrations/v0.1.0_to_v0.2.0/001_change.sh',
      '# rungs: { requires_restart: [web] }\n[ "$1" = backward ] || docker rm --force web\n',
    );
    const result = await home.run();
    expect(result.outcome).toBe('stranded');
    expect(result.failures.map(({ code }) => code)).toContain('CONTAINER_MISSING');
    await run('web:1');
    const manager = await UpdateManager.open({ config: home.configFile });
    expect((await manager.rollback()).outcome).toBe('rolled-back');
    expect(home.version()).toBe('0.1.0');
  });
});

test('two services that share a network are both made again', async () => {
  const services = '{ side: { docker: side, timeout: 20s, stableFor: 300ms }, web: { docker: web, timeout: 8s, stableFor: 300ms } }';
  await run('web:1');
  await engine.docker(
    'run',
    '-d',
    '--name',
    'side',
    '--stop-timeout',
    '1',
    '--network',
    'container:web',
    '--no-healthcheck',
    'web:1',
    'sleep',
    '1000',
  );
  const done = await makeInstallation({ services, images: '{ web: "web:2" }' }).run();
  expect(done.failure).toBeNull();
  expect(done.services.map(({ name, image }) => `${name} ${image}`).sort()).toEqual(['side web:1', 'web web:2']);
  const id = (await engine.inspect('web'))['Id'];
  expect(mapOf((await engine.inspect('side'))['HostConfig'])['NetworkMode']).toBe(`container:${String(id)}`);
  expect(await engine.docker('exec', 'side', 'wget', '-qO-', 'http://127.0.0.1/version')).toBe('2');
});

test('an image is loaded from the file beside the transition', async () => {
  const home = makeInstallation({
    services: '{ web: { docker: { label: role=web }, stableFor: 300ms } }',
    images: '{ web: { image: "filed:2", file: images/filed.tar } }',
  });
  home.write('migrations/v0.1.0_to_v0.2.0/images/README', 'made by docker save');
  await makeImage(engine, 'filed:2', { version: 'filed' });
  const { Id } = mapOf(JSON.parse(await engine.docker('image', 'inspect', '--format', '{{json .}}', 'filed:2')));
  await engine.docker('save', '--output', `${home.root}/migrations/v0.1.0_to_v0.2.0/images/filed.tar`, 'filed:2');
  await engine.docker('rmi', 'filed:2');
  await run('--label', 'role=web', 'web:1');
  const file = 'migrations/v0.1.0_to_v0.2.0/images/filed.tar';
  const manager = await UpdateManager.open({ config: home.configFile });
  const planned = await manager.plan();
  const bytes = readFileSync(path.join(home.root, file));
  appendFileSync(path.join(home.root, file), 'more');
  expect((await manager.plan()).hash).not.toBe(planned.hash);
  const refused = await manager.run(planned);
  expect(refused).toMatchObject({
    outcome: 'refused',
    failure: { code: 'PLAN_FILES_CHANGED', message: expect.stringContaining('filed.tar') },
  });
  writeFileSync(path.join(home.root, file), bytes);
  const ready: string[] = [];
  const result = await home.run({ onEvent: (event) => event.type === 'image-ready' && ready.push(event.id) });
  expect(result.failure).toBeNull();
  expect(ready).toEqual([Id]);
  expect((await engine.inspect('web'))['Image']).toBe(Id);
});

test('a downgrade goes back to the image that the service had, by its id', async () => {
  await makeImage(engine, 'moving:latest', { version: 'first' });
  await run('moving:latest');
  const first = (await engine.inspect('web'))['Image'];
  const home = makeInstallation({ services: service, images: '{ web: "web:2" }' });
  expect((await home.run()).outcome).toBe('committed');
  await makeImage(engine, 'moving:latest', { version: 'second' });
  const down = await home.run({ to: '0.1.0', allowDowngrade: true });
  expect(down.failure).toBeNull();
  expect((await engine.inspect('web'))['Image']).toBe(first);
  expect(home.version()).toBe('0.1.0');
});

describe('the engine', () => {
  test('that is down is found before anything is touched', async () => {
    const home = makeInstallation({ services: service, images: '{ web: "web:2" }' });
    await run('web:1');
    await engine.kill();
    try {
      const result = await home.run();
      expect(result.outcome).toBe('refused');
      expect(result.failure).toMatchObject({ code: 'DOCKER_UNREACHABLE', hint: expect.stringContaining('systemctl start docker') });
    } finally {
      await engine.start();
    }
  });

  test('may be restarted in the middle', async () => {
    const home = makeInstallation({ services: service, images: '{ web: "web:2" }' });
    await run('web:1');
    const restarting: Promise<void>[] = [];
    const result = await home.run({
      onEvent: (event) => {
        if (event.type === 'service' && event.action === 'recreating') restarting.push(engine.kill().then(async () => engine.start()));
      },
    });
    await Promise.all(restarting);
    expect(result.failure).toBeNull();
    expect(mapOf((await engine.inspect('web'))['Config'])['Image']).toBe('web:2');
    expect(await namesIn(engine)).toEqual(['web']);
  });
});

/** What `docker run` was told, apart from what the engine makes of it. */
function comparable({ Config, HostConfig, NetworkSettings }: Described): Described {
  const { Hostname, Labels, Env, Volumes, ...config } = mapOf(Config);
  const { Binds, ...host } = mapOf(HostConfig);
  const settings = mapOf(NetworkSettings);
  const networks = Object.entries(mapOf(settings['Networks'])).map(([name, endpoint]) => {
    const { Aliases, ...rest } = mapOf(endpoint);
    return [name, { ...rest, Aliases: listOf(Aliases).filter((alias) => !/^[0-9a-f]{12}$/.test(String(alias))) }];
  });
  return {
    Config: config,
    Hostname,
    Labels,
    Env,
    Volumes,
    Binds,
    HostConfig: host,
    Ports: settings['Ports'],
    Networks: Object.fromEntries(networks),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
