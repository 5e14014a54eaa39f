// A scratch copy of the sample product in containers: its images built, its container running, under names that nobody else has.
// Whoever makes one calls `remove()`, which takes away all of it.
import { execFileSync } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, delimiter, join, resolve } from 'node:path';
import { ended, freePort, rewrite, type Ended, type RunOptions } from '../demo/scratch.ts';
import { snapshotOf, type Snapshot } from '../demo/snapshot.ts';
import type { DemoEngine } from './engine.ts';

const repository = resolve(import.meta.dirname, '../..');
const sample = join(repository, 'examples/home-server-docker');
const releases = [
  { version: '0.1.0', format: '1' },
  { version: '0.2.0', format: '2' },
  { version: '0.3.0', format: '3' },
];

export interface DockerScratch {
  readonly root: string;
  /** Of the container. */
  readonly name: string;
  upgrade(args: readonly string[], options?: RunOptions): Promise<Ended>;
  version(): Promise<string>;
  health(): Promise<string>;
  /** The inspect document of the container. */
  container(): Promise<Container>;
  snapshot(): Promise<Snapshot>;
  files(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export interface Container {
  readonly Id: string;
  readonly Name: string;
  readonly Image: string;
  readonly Config: Readonly<Record<string, unknown>> & { readonly Image: string };
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly unknown[];
}

export async function makeDockerScratch(engine: DemoEngine, { isBroken }: { readonly isBroken: boolean }): Promise<DockerScratch> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'rungs-demo-docker-')));
  // Image names have to be in small letters.
  const name = basename(dir).toLowerCase();
  const root = join(dir, 'home-server');
  const { docker } = engine;
  const remove = async (): Promise<void> => {
    const containers = await docker('ps', '-aq', '--filter', `name=${name}`);
    if (containers !== '') await docker('rm', '-fv', ...containers.split('\n'));
    const images = await docker('images', '-q', `${name}/home-server`);
    if (images !== '') await docker('rmi', '-f', ...new Set(images.split('\n')));
    await docker('network', 'rm', name).catch(() => undefined);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await cp(sample, root, { recursive: true });
    // Apart from the installation, which is to stay as it is.
    const context = join(dir, 'image');
    await cp(join(root, 'image'), context, { recursive: true });
    await buildImages(engine, { name, context, isBroken });
    const port = await freePort();
    const configFile = join(root, 'upgrade.yaml');
    await rewrite(configFile, (text) => text.replaceAll('8322', String(port)).replace('docker: home-server-web', `docker: ${name}-web`));
    for (const transition of await readdir(join(root, 'migrations')))
      await rewrite(join(root, 'migrations', transition, 'transition.yaml'), (text) =>
        text.replace('home-server:', `${name}/home-server:`),
      );
    await docker('network', 'create', name);
    const settings = `-p 127.0.0.1:${port}:8080 -e TITLE=home --memory 64m --restart unless-stopped`.split(' ');
    const mount = `${join(root, 'data')}:/data`;
    await docker('run', '-d', '--name', `${name}-web`, '--network', name, '-v', mount, ...settings, `${name}/home-server:0.1.0`);
    const env = { ...process.env, ...engine.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };
    const health = () => healthOf(port);
    await untilWell(health);
    return {
      root,
      name: `${name}-web`,
      upgrade: (args, run = {}) =>
        ended([join(repository, 'bin/upgrade.mjs'), ...args, '-c', configFile], root, { ...env, ...run.env }, run),
      version: async () => (await readFile(join(root, 'VERSION'), 'utf8')).trim(),
      health,
      container: async () => (JSON.parse(await docker('container', 'inspect', `${name}-web`)) as readonly [Container])[0],
      snapshot: () => snapshotOf(root),
      files: async () => (await readdir(join(root, 'data'))).toSorted(),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface Build {
  readonly name: string;
  readonly context: string;
  readonly isBroken: boolean;
}

async function buildImages({ docker }: DemoEngine, { name, context, isBroken }: Build): Promise<void> {
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  await copyFile(busybox, join(context, 'busybox'));
  await mkdir(join(context, 'links'));
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (applet !== 'busybox') await symlink('busybox', join(context, 'links', applet));
  for (const { version, format } of releases) {
    const broken = isBroken && version === '0.3.0' ? ['--build-arg', 'BROKEN=yes'] : [];
    await docker(
      'build',
      '-q',
      '-t',
      `${name}/home-server:${version}`,
      '--build-arg',
      `VERSION=${version}`,
      '--build-arg',
      `FORMAT=${format}`,
      ...broken,
      context,
    );
  }
}

async function healthOf(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/cgi-bin/health`, { signal: AbortSignal.timeout(5000) });
    return `${response.status} ${await response.text()}`;
  } catch {
    return 'no answer';
  }
}

async function untilWell(health: () => Promise<string>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await health()).startsWith('200 ')) {
    if (performance.now() > deadline) throw new Error(`the container did not become well: ${await health()}`);
    await new Promise((settle) => setTimeout(settle, 50));
  }
}
