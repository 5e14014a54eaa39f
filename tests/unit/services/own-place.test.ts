import { describe, expect, test } from 'vitest';
import type { ServiceConfig } from '../../../src/model/config.ts';
import { ownPlace, ownService } from '../../../src/services/own-service.ts';

const id = 'a'.repeat(64);
const dockerMount = `1247 1231 254:0 /var/lib/docker/containers/${id}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw\n`;
const hostMount = '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n';

describe('where a process is', () => {
  test.each([
    { group: '/system.slice/api.service', unit: { name: 'api.service', scope: 'system' } },
    { group: '/system.slice/system-worker.slice/worker@1.service/payload', unit: { name: 'worker@1.service', scope: 'system' } },
    { group: '/user.slice/user-1000.slice/user@1000.service/app.slice/api.service', unit: { name: 'api.service', scope: 'user' } },
    { group: '/user.slice/user-1000.slice/session-2.scope', unit: null },
    { group: '/user.slice/user-1000.slice/user@1000.service/init.scope', unit: null },
    { group: '/', unit: null },
    { group: '', unit: null },
  ])('$group', ({ group, unit }) => expect(ownPlace(group, hostMount)).toEqual({ unit, container: null }));

  test('a container is known by the files that Docker mounts into it', () => {
    expect(ownPlace('/', hostMount + dockerMount)).toEqual({ unit: null, container: id });
  });
});

describe('the service that a process is a part of', () => {
  const common = { after: [], stopDuringUpgrade: false, timeoutMs: 1, stableForMs: 1 };
  const services: Readonly<Record<string, ServiceConfig>> = {
    worker: { ...common, name: 'worker', kind: 'systemd', unit: 'worker.service', scope: 'system' },
    api: { ...common, name: 'api', kind: 'systemd', unit: 'api', scope: 'system' },
    web: { ...common, name: 'web', kind: 'docker', container: 'web' },
  };
  const inspect = async () => ({ isRunning: true, identity: `${id.slice(0, 12)}:2026-01-01T00:00:00Z` });
  const of = (group: string, mounts = hostMount) => ownService({ services }, { inspect }, ownPlace(group, mounts));

  test('is found by its unit, and not where the scope is another', async () => {
    expect((await of('/system.slice/api.service'))?.name).toBe('api');
    expect(await of('/user.slice/user-0.slice/user@0.service/app.slice/api.service')).toBeNull();
    expect(await of('/system.slice/other.service')).toBeNull();
  });

  test('is found by its container, and an engine that does not answer is none', async () => {
    expect((await of('/', dockerMount))?.name).toBe('web');
    const silent = async () => Promise.reject(new Error('nobody answers'));
    expect(await ownService({ services }, { inspect: silent }, ownPlace('/', dockerMount))).toBeNull();
  });
});
