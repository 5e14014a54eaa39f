// What becomes of containers in an upgrade, on a real engine: each ends committed, or with containers, images and files exactly as before. The rows
// share an engine and run side by side, each with containers of its own: most of their time is waiting.
import { beforeAll, describe, expect, vi } from 'vitest';
import { snapshotOf } from '../../../examples/demo/snapshot.ts';
import type { UpgradeEvent } from '../../../src/model/event.ts';
import { ulid } from 'ulid';
import { UpdateManager } from '../../../src/update-manager.ts';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage, type ImageOptions } from '../../support/docker-images.ts';
import { describeContainer, makeInstallation, mapOf, namesIn, type Described } from './docker-installation.ts';
import { play, type Ending } from './scenario.ts';

const isThere = test !== (test.skip as unknown);
let engine: DockerEngine;
const images: Readonly<Record<string, ImageOptions>> = {
  'web:1': {},
  'web:2': {},
  'web:3': {},
  'never:1': { behaviour: 'neverHealthy' },
  'falls:1': { behaviour: 'healthyThenUnhealthy', env: { AFTER: '1' } },
  'ends:1': { behaviour: 'exitsAtOnce', hasHealthCheck: false },
  'dies:1': { behaviour: 'diesLater', hasHealthCheck: false, env: { AFTER: '1' } },
  'dies:3': { behaviour: 'diesLater', hasHealthCheck: false, env: { AFTER: '3' } },
  'loops:1': { behaviour: 'diesLater', hasHealthCheck: false, env: { AFTER: '0.3' } },
  'plain:2': { hasHealthCheck: false },
};
beforeAll(async () => {
  if (!isThere) return;
  engine = await startDockerEngine();
  vi.stubEnv('DOCKER_HOST', engine.host);
  vi.stubEnv('DOCKER_CONFIG', engine.env['DOCKER_CONFIG'] ?? '');
  for (const [tag, options] of Object.entries(images)) await makeImage(engine, tag, options);
  await engine.network('front');
});

/** Of a row: `of('web')` is what its container `web` is called in the engine that all share. */
type Of = (name: string) => string;

interface Row extends Ending {
  /** What `docker run` is told, the image last. Default: one, `web`. */
  readonly containers?: Readonly<Record<string, (of: Of) => string>>;
  /** Services by name, and more of upgrade.yaml for each. Default: one for each container. */
  readonly services?: Readonly<Record<string, string>>;
  /** What each transition brings. Default: one that brings nothing. */
  readonly images?: readonly Readonly<Record<string, string>>[];
  /** A shell script: the step of the first transition. */
  readonly step?: (of: Of) => string;
  /** More of upgrade.yaml. */
  readonly config?: string;
  readonly before?: (of: Of, runId: string) => Promise<void>;
  readonly during?: (event: UpgradeEvent, of: Of) => unknown;
  /** The images that containers have after a commit, where they have new ones. */
  readonly gets?: Readonly<Record<string, string>>;
  readonly told?: readonly string[];
}

const common = ['--stop-timeout', '1', '--volume', '/own'];
// Health checks of all that run side by side, five times a second, would be most of what the machine does. What they run is the image's.
const seldom = ['--health-interval', '1s'];
const restarts = (names: string) => () => `# rungs: { requires_restart: [${names}] }\ntrue\n`;
const bad = (tag: string) => ({ images: [{ web: tag }], ends: 'rolled-back', renewed: ['web'] }) as const;
const aWeb = (args: string) => ({ web: () => `${args} web:1` });
/** Takes a port, and lets go of it when it is undone. */
const taking = (port: number) => () =>
  `case "$1" in
  forward) setsid busybox httpd -f -p 127.0.0.1:${port} -h / </dev/null >/dev/null 2>&1 & echo $! > stranger.pid
    until busybox wget -q -O /dev/null http://127.0.0.1:${port}/etc/passwd; do sleep 0.05; done ;;
  backward) kill "$(cat stranger.pid)" ;;
esac
`;

const scenarios: readonly Row[] = [
  {
    name: 'restarted because a step asks for it',
    step: restarts('web'),
    ends: 'committed',
    reports: { web: 'healthy' },
    renewed: ['web'],
  },
  {
    name: 'requires_restart: ["*"], and one of all did not run before',
    containers: { web: () => 'web:1', other: () => '--no-healthcheck web:1', idle: () => 'web:1' },
    before: async (of) => void (await engine.docker('stop', of('idle'))),
    step: restarts('"*"'),
    ends: 'committed',
    reports: { web: 'healthy', other: 'running', idle: 'not-restarted' },
    renewed: ['web', 'other'],
  },
  {
    name: 'found by its label',
    containers: aWeb('--label role=labelled'),
    services: { web: 'docker: { label: role=labelled }' },
    step: restarts('web'),
    ends: 'committed',
    reports: { web: 'healthy' },
    renewed: ['web'],
  },
  {
    name: 'a new image, on the port that the old container had',
    containers: aWeb('--publish 127.0.0.1:18432:80'),
    images: [{ web: 'web:2' }],
    step: restarts('web'),
    ends: 'committed',
    reports: { web: 'healthy' },
    renewed: ['web'],
    gets: { web: 'web:2' },
    // Not once more for the step that asks for a restart.
    told: ['recreating web', 'waiting web'],
  },
  {
    name: 'several transitions bring an image for one service: only the last is run',
    images: [{ web: 'web:2' }, { web: 'web:3' }],
    ends: 'committed',
    renewed: ['web'],
    gets: { web: 'web:3' },
    told: ['recreating web', 'waiting web'],
  },
  {
    name: 'stopped for the upgrade, and started with a new image',
    services: { web: 'stopDuringUpgrade: true' },
    images: [{ web: 'web:2' }],
    ends: 'committed',
    renewed: ['web'],
    gets: { web: 'web:2' },
    told: ['stopping web', 'stopped web', 'recreating web', 'waiting web'],
  },
  { name: 'image missing', images: [{ web: 'localhost:1/none:1' }], ends: 'refused', failure: 'IMAGE_NOT_AVAILABLE' },
  {
    name: 'image missing, of a transition on the way whose image is not even run',
    images: [{ web: 'localhost:1/none:1' }, { web: 'web:2' }],
    ends: 'refused',
    failure: 'IMAGE_NOT_AVAILABLE',
    message: /v0\.1\.0_to_v0\.2\.0 needs/,
  },
  {
    name: 'image file missing',
    images: [{ web: '{ image: "none:1", file: images/none.tar }' }],
    ends: 'refused',
    failure: 'IMAGE_FILE_UNUSABLE',
  },
  {
    name: 'an image for a command',
    services: { web: 'command: { restart: [echo, restart], status: [echo, x] }' },
    images: [{ web: 'web:2' }],
    ends: 'refused',
    failure: 'IMAGE_FOR_OTHER_KIND',
  },
  {
    name: 'a container that goes when it is stopped',
    containers: aWeb('--rm'),
    images: [{ web: 'web:2' }],
    ends: 'refused',
    failure: 'CONTAINER_NOT_RECREATABLE',
  },
  {
    name: 'container removed by hand, before',
    before: async (of) => void (await engine.docker('rm', '--force', of('web'))),
    step: restarts('web'),
    ends: 'refused',
    failure: 'CONTAINER_MISSING',
  },
  {
    name: 'a label that fits several',
    containers: { one: () => '--label role=several web:1', two: () => '--label role=several web:1' },
    services: { web: 'docker: { label: role=several }' },
    ends: 'refused',
    failure: 'CONTAINER_AMBIGUOUS',
    message: /label role=several fits 2: \S+one, \S+two/,
  },
  {
    name: 'a stranger that shares the network',
    containers: { web: () => 'web:1', side: (of) => `--network container:${of('web')} --no-healthcheck web:1 sleep 1000` },
    services: { web: '' },
    images: [{ web: 'web:2' }],
    ends: 'refused',
    failure: 'CONTAINER_NOT_RECREATABLE',
    message: /container \S+side shares/,
  },
  {
    name: 'name taken: that under which the old container would be kept',
    before: async (of, runId) =>
      void (await engine.docker('create', '--name', `${of('web')}-rungs-${runId.toLowerCase()}`, '--network', 'none', 'web:1')),
    ...bad('web:2'),
    failure: 'CONTAINER_NAME_TAKEN',
  },
  { name: 'never healthy', ...bad('never:1'), failure: 'SERVICE_UNHEALTHY', log: /not ready/ },
  {
    name: 'healthy, then unhealthy',
    services: { web: 'stableFor: 4s' },
    ...bad('falls:1'),
    failure: ['SERVICE_UNHEALTHY', 'SERVICE_UNSTABLE'],
    log: /lost its database/,
  },
  { name: 'ends at once', ...bad('ends:1'), failure: 'SERVICE_NOT_RUNNING', log: /exit code 3/ },
  {
    name: 'well, and dead soon after',
    services: { web: 'stableFor: 3s' },
    ...bad('dies:1'),
    // On a busy machine it may be dead before anybody has seen it alive.
    failure: ['SERVICE_DIED', 'SERVICE_NOT_RUNNING'],
    log: /out of luck/,
  },
  {
    name: 'in a restart loop without a health check',
    containers: aWeb('--restart always --no-healthcheck'),
    services: { web: 'stableFor: 3s' },
    ...bad('loops:1'),
    failure: ['SERVICE_UNSTABLE', 'SERVICE_NOT_RUNNING', 'SERVICE_DIED'],
    log: /out of luck/,
  },
  {
    name: 'well, and dead at 3 s, watched by the soak',
    config: 'soak: 20s\n',
    ...bad('dies:3'),
    failure: 'SERVICE_LOST',
    log: /out of luck/,
  },
  {
    name: 'a probe that starts to fail while it is watched by the soak',
    containers: aWeb('--publish 127.0.0.1:18434:80'),
    config: 'soak: 20s\nverify: [{ name: version, http: "http://127.0.0.1:18434/version", expect: { status: 200 }, within: 1s }]\n',
    ...bad('plain:2'),
    during: (event, of) => event.type === 'soak-started' && void engine.docker('exec', of('web'), 'rm', '/www/version'),
    failure: 'VERIFY_FAILED',
    message: /version, which had passed/,
  },
  {
    name: 'port taken by a stranger while the service is stopped',
    containers: aWeb('--publish 127.0.0.1:18433:80'),
    services: { web: 'stopDuringUpgrade: true' },
    step: taking(18433),
    ...bad('web:2'),
    failure: 'CONTAINER_PORT_TAKEN',
    message: /127\.0\.0\.1:18433/,
  },
  {
    name: 'two services share a network, and the new image of one is bad',
    containers: { web: () => 'web:1', side: (of) => `--network container:${of('web')} --no-healthcheck web:1 sleep 1000` },
    ...bad('never:1'),
    failure: 'SERVICE_UNHEALTHY',
    renewed: ['web', 'side'],
  },
];

describe('containers in an upgrade', () => {
  test.concurrent.each(scenarios.map((row, at) => [row.name, row, at] as const))('%s', async (_, row, at) => {
    const of: Of = (name) => `s${at}-${name}`;
    const { containers = aWeb(''), images: brought = [{}], step, config = '', gets = {} } = row;
    const services = row.services ?? Object.fromEntries(Object.keys(containers).map((name) => [name, '']));
    const own = async () => (await namesIn(engine)).filter((name) => name.startsWith(of('')));
    try {
      for (const [name, run] of Object.entries(containers)) {
        const options = run(of).split(' ').filter(Boolean);
        const health = options.includes('--no-healthcheck') ? [] : seldom;
        const network = options.includes('--network') ? [] : ['--network', options.includes('--publish') ? 'front' : 'none'];
        await engine.docker('run', '--detach', '--name', of(name), ...common, ...health, ...network, ...options);
      }
      const home = makeInstallation({ services: servicesText(services, of), config });
      for (const [nth, images] of brought.entries()) {
        const entries = Object.entries(images).map(([name, image]) => `${name}: ${image.startsWith('{') ? image : `"${image}"`}`);
        home.write(`migrations/v0.${nth + 1}.0_to_v0.${nth + 2}.0/transition.yaml`, `images: { ${entries.join(', ')} }\n`);
      }
      if (step !== undefined) home.write('migrations/v0.1.0_to_v0.2.0/001_change.sh', step(of));
      const runId = ulid();
      await row.before?.(of, runId);
      const tags = await imagesIn();
      const told: string[] = [];
      const { before, after } = await play(
        { ...row, renewed: row.renewed?.map(of) ?? [] },
        {
          look: async () => ({
            version: home.version(),
            tree: await snapshotOf(home.root),
            containers: Object.fromEntries(
              await Promise.all((await own()).map(async (name) => [name, await describeContainer(engine, name)])),
            ),
            // What an upgrade has fetched stays.
            images: Object.fromEntries(Object.entries(await imagesIn()).filter(([tag]) => tag in tags)),
          }),
          starts: async () => Object.fromEntries(await Promise.all((await own()).map(async (name) => [name, await startOf(name)]))),
          upgrade: async () => {
            const manager = await UpdateManager.open({ config: home.configFile });
            manager.on('event', (event: UpgradeEvent) => {
              if (event.type === 'service') told.push(`${event.action} ${event.service}`);
              row.during?.(event, of);
            });
            return manager.run(await manager.plan(), { runId });
          },
        },
      );
      if (row.told !== undefined) expect(told).toEqual(row.told);
      if (row.ends !== 'committed') return;
      const [was, is] = [containersOf(before), containersOf(after)];
      expect(home.version()).toBe(`0.${brought.length + 1}.0`);
      for (const [name, image] of Object.entries(gets)) expect(comparable(is[of(name)])).toEqual({ ...comparable(was[of(name)]), image });
      const others = Object.entries(was).filter(([name]) => !Object.keys(gets).some((one) => of(one) === name));
      for (const [name, container] of others) expect(is[name]).toEqual(container);
      expect(Object.keys(is)).toEqual(Object.keys(was));
    } finally {
      for (const name of await own()) await engine.docker('rm', '--force', '--volumes', name);
    }
  });

  test('one that is named by its id is shown by the status, and restarted', async () => {
    const run = ['--detach', '--name', 'by-id', '--network', 'none', '--stop-timeout', '1', 'web:1'];
    const id = (await engine.docker('run', ...run)).trim();
    try {
      const home = makeInstallation({ services: `{ web: { docker: ${id}, timeout: 15s } }` });
      home.write('migrations/v0.1.0_to_v0.2.0/001_change.sh', '# rungs: { requires_restart: [web] }\ntrue\n');
      const manager = await UpdateManager.open({ config: home.configFile });
      await vi.waitFor(
        async () => expect((await manager.status()).services).toEqual([{ name: 'web', kind: 'docker', status: 'healthy', account: null }]),
        { timeout: 60_000, interval: 200 },
      );
      const before = await startOf('by-id');
      expect((await home.run()).services).toMatchObject([{ name: 'web', status: 'healthy' }]);
      expect(await startOf('by-id')).not.toBe(before);
      await engine.docker('stop', 'by-id');
      expect((await manager.status()).services).toMatchObject([{ name: 'web', status: 'stopped' }]);
    } finally {
      await engine.docker('rm', '--force', '--volumes', 'by-id');
    }
  });

  test.each([
    { of: 'a step', step: '# rungs: { requires_restart: [wbe] }\ntrue\n', images: '{}' },
    { of: 'images', step: 'true\n', images: '{ wbe: "web:2" }' },
  ])('an unknown name in $of is found while planning, and the nearest is told', async ({ step, images: text }) => {
    const home = makeInstallation({ services: '{ web: { docker: web } }', images: text });
    home.write('migrations/v0.1.0_to_v0.2.0/001_change.sh', step);
    const manager = await UpdateManager.open({ config: home.configFile });
    await expect(manager.plan()).rejects.toMatchObject({
      failures: [{ code: 'UNKNOWN_NAME', message: expect.stringContaining('wbe'), hint: expect.stringContaining('web') }],
    });
  });
});

function servicesText(services: Readonly<Record<string, string>>, of: Of): string {
  const lines = Object.entries(services).map(([name, more]) => {
    const hasKind = /^(docker|command):/.test(more);
    const common = ['timeout: 15s', 'stableFor: 500ms'].filter((line) => !more.includes(line.slice(0, line.indexOf(':'))));
    return `${name}: { ${[...(hasKind ? [] : [`docker: ${of(name)}`]), ...(more === '' ? [] : [more]), ...common].join(', ')} }`;
  });
  return `{ ${lines.join(', ')} }`;
}

async function startOf(name: string): Promise<string> {
  const { Id, State } = await engine.inspect(name);
  return `${String(Id)} ${String(mapOf(State)['StartedAt'])}`;
}

async function imagesIn(): Promise<Readonly<Record<string, string>>> {
  const lines = (await engine.docker('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}')).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(' ')).filter(([tag = '']) => !tag.includes('<none>')));
}

function containersOf(look: unknown): Readonly<Record<string, Described>> {
  return mapOf(mapOf(look)['containers']) as Readonly<Record<string, Described>>;
}

/** What must be the same with another image. */
function comparable(container: Described | undefined): Described {
  const { Config, HostConfig, NetworkSettings, State } = container ?? {};
  const { Image: image, Entrypoint, User, WorkingDir, StopTimeout } = mapOf(Config);
  const { Binds: _, ...host } = mapOf(HostConfig);
  const settings = mapOf(NetworkSettings);
  return {
    image,
    Entrypoint,
    User,
    WorkingDir,
    StopTimeout,
    host,
    State,
    Ports: settings['Ports'],
    on: Object.keys(mapOf(settings['Networks'])),
  };
}
