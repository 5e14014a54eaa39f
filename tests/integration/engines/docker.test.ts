// What the other tests build on: an engine of one's own, and images that behave as they are told.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage, type ImageOptions } from '../../support/docker-images.ts';
import { until } from '../../support/until.ts';

describe('an engine', () => {
  test('serves a published port, lives through a kill of its daemon, and leaves nothing', async () => {
    const engine = await startDockerEngine({ flags: ['--live-restore'] });
    await makeImage(engine, 'web:1');
    await engine.docker('run', '-d', '--name', 'web', '--network', await engine.network(), '-p', '127.0.0.1::80', 'web:1');
    const address = await engine.docker('port', 'web', '80/tcp');
    const body = await until('the container to answer', async () =>
      fetch(`http://${address}/version`).then(
        async (response) => response.text(),
        () => null,
      ),
    );
    expect(body).toBe('1\n');
    const before = await engine.inspect('web');
    await engine.kill();
    await expect(engine.docker('ps')).rejects.toThrow(/Cannot connect/u);
    await engine.start();
    expect((await engine.inspect('web'))['Id']).toBe(before['Id']);
    expect(await stateOf(engine, 'web')).toMatchObject({ Running: true, StartedAt: startedAt(before) });
    await engine.end();
    expect(existsSync(path.dirname(engine.socket))).toBe(false);
  });

  test('without --live-restore a restart stops its containers', async () => {
    const engine = await startDockerEngine();
    await makeImage(engine, 'web:1');
    await engine.docker('run', '-d', '--name', 'web', '--network', 'none', 'web:1');
    await engine.restart();
    expect(await stateOf(engine, 'web')).toMatchObject({ Running: false, ExitCode: 0 });
    expect(await engine.docker('logs', 'web')).toBe('serving 1\nasked to stop');
  });
});

describe('an image', () => {
  const cases: readonly { readonly image: ImageOptions; readonly ends: Readonly<Record<string, unknown>> }[] = [
    { image: { behaviour: 'healthy' }, ends: { Running: true, Health: { Status: 'healthy' } } },
    { image: { behaviour: 'neverHealthy' }, ends: { Running: true, Health: { Status: 'unhealthy' } } },
    { image: { behaviour: 'healthyThenUnhealthy', env: { AFTER: '2' } }, ends: { Running: true, Health: { Status: 'unhealthy' } } },
    { image: { behaviour: 'exitsAtOnce', hasHealthCheck: false }, ends: { Running: false, ExitCode: 3 } },
    { image: { behaviour: 'diesLater', env: { AFTER: '1' } }, ends: { Running: false, ExitCode: 4 } },
    { image: { behaviour: 'slow', env: { AFTER: '1' } }, ends: { Running: true, Health: { Status: 'healthy' } } },
  ];
  test('each behaviour is what its name says', async () => {
    const engine = await startDockerEngine();
    await Promise.all(
      cases.map(async ({ image, ends }) => {
        const name = String(image.behaviour).toLowerCase();
        await makeImage(engine, `${name}:1`, image);
        await engine.docker('run', '-d', '--name', name, '--network', 'none', `${name}:1`);
        const state = await until(`${name} to end as ${JSON.stringify(ends)}`, async () => {
          const found = await stateOf(engine, name);
          return matches(found, ends) ? found : null;
        });
        expect(state).toMatchObject(ends);
      }),
    );
  });
});

async function stateOf(engine: DockerEngine, name: string): Promise<unknown> {
  return (await engine.inspect(name))['State'];
}

function startedAt(container: Readonly<Record<string, unknown>>): unknown {
  const state = container['State'];
  return typeof state === 'object' && state !== null && 'StartedAt' in state ? state.StartedAt : null;
}

function matches(found: unknown, ends: unknown): boolean {
  if (typeof ends !== 'object' || ends === null) return found === ends;
  return (
    typeof found === 'object' &&
    found !== null &&
    Object.entries(ends).every(([key, value]) => matches(Object.entries(found).find(([name]) => name === key)?.[1], value))
  );
}
