// What every kind of service controller promises. A new kind adds a member that starts a real service of its kind.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceConfig } from '../../src/model/config.ts';
import { controllerOf, serviceKinds, type ServiceController, type ServiceKind } from '../../src/services/registry.ts';
import { systemClock } from '../../src/system-clock.ts';
import { ctl, makeInstallation } from '../integration/services-command/installation.ts';
import { startDockerEngine, testWithDocker, type DockerEngine } from '../support/docker-engine.ts';
import { makeImage } from '../support/docker-images.ts';
import { testAsRoot } from '../support/needs.ts';
import { startUserSystemd, testWithSystemd } from '../support/systemd-user.ts';
import { toolsInside } from '../support/tools-inside.ts';

const testWithCompose = testAsRoot('dockerd', 'docker', 'busybox', 'unshare', 'docker-compose');

const common = { name: 'web', after: [], stopDuringUpgrade: false, timeoutMs: 10_000, stableForMs: 100 };
const commands = { restart: null, stop: null, start: null, health: null, status: null };
const one: Readonly<Record<ServiceKind, ServiceConfig>> = {
  command: { ...common, kind: 'command', commands, pidFile: null },
  systemd: { ...common, kind: 'systemd', unit: 'web.service', scope: 'user' },
  docker: { ...common, kind: 'docker', container: 'web' },
  compose: { ...common, kind: 'compose', file: '/compose.yaml', service: 'web' },
};

// Says that it is ready, as a unit with a health of its own does.
const unit = `[Service]
Type=notify
NotifyAccess=all
ExecStart=/bin/sh -c 'echo hello from here; systemd-notify --ready; exec sleep 1000'
`;

interface Member {
  readonly kind: ServiceKind;
  readonly needs: typeof test;
  readonly prepare: () => Promise<{ readonly controller: ServiceController; readonly remove: () => Promise<void> }>;
}

const members: readonly Member[] = [
  {
    kind: 'command',
    needs: test,
    async prepare() {
      const home = await makeInstallation();
      return {
        controller: await controllerOf(home.service({}, { restart: [ctl, 'restart'] }), {
          root: home.root,
          state: `${home.root}/.upgrade`,
          clock: systemClock,
        }),
        remove: home.remove,
      };
    },
  },
  {
    kind: 'systemd',
    needs: testWithSystemd,
    async prepare() {
      const systemd = await startUserSystemd();
      writeFileSync(path.join(systemd.unitDir, 'web.service'), unit);
      await systemd.run(['systemctl', '--user', 'daemon-reload']);
      const outside = process.env.PATH;
      process.env.PATH = `${toolsInside(systemd)}:${outside}`;
      return {
        controller: await controllerOf(one.systemd, { root: '/', state: '/', clock: systemClock }),
        remove: async () => {
          process.env.PATH = outside;
          await systemd.stop();
        },
      };
    },
  },
  {
    kind: 'docker',
    needs: testWithDocker,
    async prepare() {
      const engine = await startDockerEngine();
      await makeImage(engine, 'web:1');
      await engine.docker('create', '--name', 'web', '--network', 'none', '--stop-timeout', '2', 'web:1');
      return containerOf(engine, one.docker);
    },
  },
  {
    kind: 'compose',
    needs: testWithCompose,
    async prepare() {
      const engine = await startDockerEngine();
      await makeImage(engine, 'web:1');
      const file = path.join(path.dirname(engine.socket), 'compose.yaml');
      writeFileSync(file, 'services:\n  web: { image: "web:1", network_mode: none, stop_grace_period: 2s }\n');
      await promisify(execFile)('docker-compose', ['--file', file, 'up', '--no-start'], { env: { ...process.env, ...engine.env } });
      return containerOf(engine, { ...common, kind: 'compose', file, service: 'web' });
    },
  },
];

async function containerOf(engine: DockerEngine, service: ServiceConfig) {
  const outside = process.env.DOCKER_HOST;
  process.env.DOCKER_HOST = engine.host;
  return {
    controller: await controllerOf(service, { root: '/', state: '/', clock: systemClock }),
    remove: async () => {
      if (outside === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = outside;
      await engine.end();
    },
  };
}

test('every kind has a member here', () => {
  expect(members.map(({ kind }) => kind)).toEqual(serviceKinds);
});

describe.each(members)('a controller of kind $kind', ({ needs: test, prepare }) => {
  let controller: ServiceController;
  let remove: () => Promise<void>;
  beforeEach(async () => {
    ({ controller, remove } = await prepare());
  });
  afterEach(async () => remove());

  async function untilHealthy(): Promise<void> {
    while ((await controller.health(5_000)).state !== 'healthy') await systemClock.sleep(20);
  }

  test('tells a service that runs from one that does not', async () => {
    expect(await controller.inspect()).toMatchObject({ isRunning: false, identity: null });
    await controller.start();
    expect(await controller.inspect()).toMatchObject({ isRunning: true, identity: expect.any(String) });
    await controller.stop();
    expect(await controller.inspect()).toMatchObject({ isRunning: false, identity: null });
  });

  test('gives a process the same identity for as long as it lives, and the next one another', async () => {
    await controller.start();
    await untilHealthy();
    const [first, again] = [await controller.inspect(), await controller.inspect()];
    await controller.restart();
    const second = await controller.inspect();
    expect(again.identity).toBe(first.identity);
    expect(second.isRunning && second.identity !== first.identity).toBe(true);
  });

  test('says what was asked where a service is not healthy', async () => {
    expect(await controller.health(5_000)).toEqual({
      state: 'unhealthy',
      asked: expect.stringMatching(/\S/),
      account: expect.any(String),
      log: expect.any(Array),
    });
  });

  test('has the last lines that the service wrote', async () => {
    expect(await controller.lastOutput()).toEqual([]);
    await controller.start();
    await untilHealthy();
    expect((await controller.lastOutput()).length).toBeGreaterThan(0);
  });
});
