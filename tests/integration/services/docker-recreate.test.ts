// New images on a real engine: what is made again is as it was but for the image, and what does not become well leaves exactly the old container.
import { afterEach, beforeAll, describe, expect, vi } from 'vitest';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage, type ImageOptions } from '../../support/docker-images.ts';
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

  test('has its port again, and is not restarted once more for a step that asks for it', async () => {
    await run('--publish', '127.0.0.1:18432:80', 'web:1');
    const home = makeInstallation({ services: service, images: '{ web: "web:2" }' });
    home.write('migrations/v0.1.0_to_v0.2.0/001_change.sh', '# rungs: { requires_restart: [web] }\ntrue\n');
    const actions: string[] = [];
    const result = await home.run({ onEvent: (event) => event.type === 'service' && actions.push(event.action) });
    expect(result.outcome).toBe('committed');
    expect(actions).toEqual(['recreating', 'waiting']);
    const answer = await fetch('http://127.0.0.1:18432/version');
    expect(await answer.text()).toBe('2\n');
    expect(mapOf((await engine.inspect('web'))['State'])['Running']).toBe(true);
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

describe('a new image that does not become well leaves exactly the old container', () => {
  const cases: readonly {
    readonly why: string;
    readonly image: ImageOptions;
    readonly args?: readonly string[];
    readonly code: string;
    readonly log: string;
  }[] = [
    { why: 'never healthy', image: { behaviour: 'neverHealthy' }, code: 'SERVICE_UNHEALTHY', log: 'not ready' },
    {
      why: 'healthy, then unhealthy',
      image: { behaviour: 'healthyThenUnhealthy', env: { AFTER: '1' } },
      code: 'SERVICE_UN',
      log: 'lost its database',
    },
    { why: 'ends at once', image: { behaviour: 'exitsAtOnce', hasHealthCheck: false }, code: 'SERVICE_NOT_RUNNING', log: 'exit code 3' },
    {
      why: 'well, and dead soon after',
      image: { behaviour: 'diesLater', hasHealthCheck: false, env: { AFTER: '1' } },
      code: 'SERVICE_DIED',
      log: 'out of luck',
    },
    {
      why: 'in a loop without a health check',
      image: { behaviour: 'diesLater', hasHealthCheck: false, env: { AFTER: '0.3' } },
      args: ['--restart', 'always', '--no-healthcheck'],
      code: 'SERVICE_',
      log: 'out of luck',
    },
  ];
  test.each(cases)('$why', async ({ image, args = [], code, log }) => {
    await makeImage(engine, 'bad:1', image);
    await run('--volume', '/anonymous', ...args, 'web:1');
    const before = await describeContainer(engine, 'web');
    const home = makeInstallation({ services: '{ web: { docker: web, timeout: 6s, stableFor: 3s } }', images: '{ web: "bad:1" }' });
    const result = await home.run();
    expect(result.outcome).toBe('rolled-back');
    expect(result.failure?.code).toContain(code);
    expect(result.failure?.log?.join('\n')).toContain(log);
    expect(await describeContainer(engine, 'web')).toEqual(before);
    expect(await namesIn(engine)).toEqual(['web']);
    expect(home.version()).toBe('0.1.0');
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
});

describe('is refused, untouched', () => {
  const cases: readonly {
    readonly why: string;
    readonly args?: readonly string[];
    readonly images?: string;
    readonly services?: string;
    readonly code: string;
  }[] = [
    { why: 'an image that nobody has', images: '{ web: "localhost:1/none:1" }', code: 'IMAGE_NOT_AVAILABLE' },
    { why: 'a container with --rm', args: ['--rm'], code: 'CONTAINER_NOT_RECREATABLE' },
    { why: 'no container', services: '{ web: { docker: nobody } }', code: 'CONTAINER_MISSING' },
    { why: 'an image file that is not there', images: '{ web: { image: "none:1", file: images/none.tar } }', code: 'IMAGE_FILE_UNUSABLE' },
    {
      why: 'an image for a command',
      services: '{ web: { command: { restart: [echo, restart], status: [echo, x] } } }',
      code: 'IMAGE_FOR_OTHER_KIND',
    },
  ];
  test.each(cases)('$why', async ({ args = [], images = '{ web: "web:2" }', services = service, code }) => {
    await run(...args, 'web:1');
    const before = await describeContainer(engine, 'web');
    const result = await makeInstallation({ services, images }).run();
    expect(result.outcome).toBe('refused');
    expect(result.failures.map((failure) => failure.code)).toContain(code);
    expect(await describeContainer(engine, 'web')).toEqual(before);
  });

  test('a label that fits several', async () => {
    for (const name of ['one', 'two'])
      await engine.docker('run', '-d', '--name', name, '--network', 'none', '--label', 'role=web', 'web:1');
    const result = await makeInstallation({ services: '{ web: { docker: { label: role=web } } }' }).run();
    expect(result.failures.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'CONTAINER_AMBIGUOUS Service web is one container, but label role=web fits 2: one, two.',
    ]);
  });

  test('a stranger that shares the network', async () => {
    await run('web:1');
    await engine.docker('run', '-d', '--name', 'side', '--network', 'container:web', '--no-healthcheck', 'web:1', 'sleep', '1000');
    const result = await makeInstallation({ services: service, images: '{ web: "web:2" }' }).run();
    expect(result.failure).toMatchObject({ code: 'CONTAINER_NOT_RECREATABLE', message: expect.stringContaining('container side shares') });
  });
});

test('two services that share a network are both made again, and both put back', async () => {
  await makeImage(engine, 'bad:1', { behaviour: 'neverHealthy' });
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
  const before = [await describeContainer(engine, 'web'), await describeContainer(engine, 'side')];
  const failed = await makeInstallation({ services, images: '{ web: "bad:1" }' }).run();
  expect(failed.outcome).toBe('rolled-back');
  expect([await describeContainer(engine, 'web'), await describeContainer(engine, 'side')]).toEqual(before);
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
