// A service in a container that asks for the upgrade by which its own container is stopped: nothing outlives a container, so that is refused, with its reason.
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, expect } from 'vitest';
import { UpdateManager } from '../../../src/index.ts';
import { startDockerEngine, testWithDocker as test, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { until } from '../../support/until.ts';
import { makeInstallation } from './docker-installation.ts';

const repository = realpathSync(path.resolve(import.meta.dirname, '../../..'));
const program = path.join(repository, 'tests/fixtures/services/asks-for-upgrade.ts');
const isThere = test !== (test.skip as unknown);
let engine: DockerEngine;
const folders: string[] = [];

beforeAll(async () => {
  if (!isThere) return;
  engine = await startDockerEngine();
  await makeImage(engine, 'web:1', { hasHealthCheck: false });
  await makeImage(engine, 'web:2');
});
afterEach(async () => {
  if (isThere) await engine.docker('rm', '-f', 'web');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test.each(['start', 'run'])(
  'UpdateManager.%s() inside of the container that it would stop is refused, and nothing is touched',
  async (how) => {
    const { root } = makeInstallation({ services: '{ web: { docker: web } }', images: '{ web: "web:2" }' });
    folders.push(root);
    const before = await startInContainer('web', root, how);
    const answer = await until('the answer', () => {
      const text = existsSync(path.join(root, 'asked.json')) ? readFileSync(path.join(root, 'asked.json'), 'utf8') : '';
      return text.length > 2 ? text : null;
    });
    expect(answer).toContain('"RUN_INSIDE_CONTAINER"');
    expect(answer).toContain('inside the container of service web');
    expect((await engine.inspect('web'))['Id']).toBe(before);
    expect(await (await UpdateManager.open({ config: path.join(root, 'upgrade.yaml') })).history()).toEqual([]);
  },
);

/** The machine's own Node and libraries, in an image that has none. Resolves to the container's id. */
async function startInContainer(name: string, root: string, how: string): Promise<string> {
  const libraries = ['/usr', '/lib64', ...readdirSync('/lib').flatMap((name) => (name.endsWith('-linux-gnu') ? [`/lib/${name}`] : []))];
  const mounts = [
    ...libraries.map((folder) => `${folder}:${folder}:ro`),
    `${repository}:${repository}:ro`,
    `${root}:${root}`,
    `${engine.socket}:/engine.sock`,
  ];
  const node = realpathSync(process.execPath);
  if (!node.startsWith(repository)) mounts.push(`${path.dirname(node)}:${path.dirname(node)}:ro`);
  const settings = [`--name=${name}`, '--network=none', '--env=DOCKER_HOST=unix:///engine.sock', '--env=PATH=/usr/bin:/bin:/usr/sbin'];
  const volumes = mounts.map((mount) => `--volume=${mount}`);
  return engine.docker('run', '--detach', ...settings, ...volumes, 'web:1', node, program, root, how);
}
