// Starts a real Docker engine in a folder of its own, whose containers, mounts and networks are gone with it. Many may run side by side. Needs root.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { childrenOf, openRoom, reaper, removeGroup } from './room.ts';
import { until } from './until.ts';

export interface DockerEngine {
  /** `unix:///…`, as DOCKER_HOST takes it. */
  readonly host: string;
  readonly socket: string;
  /** What a client of it needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The client's standard output; rejects with its standard error. */
  docker(...args: readonly string[]): Promise<string>;
  /** A user-defined network: the engine has no default bridge, so that engines do not meet. Resolves to its name. */
  network(name?: string): Promise<string>;
  inspect(container: string): Promise<Readonly<Record<string, unknown>>>;
  /** SIGTERM: containers are stopped too, unless the engine was started with `--live-restore`. */
  stop(): Promise<void>;
  /** SIGKILL of the daemon alone: containers live on. */
  kill(): Promise<void>;
  start(): Promise<void>;
  restart(): Promise<void>;
  end(): Promise<void>;
}

export interface EngineOptions {
  /** More of dockerd's flags. */
  readonly flags?: readonly string[];
  /** Default true: else it is started later, by `start()`. */
  readonly isStarted?: boolean;
}

const execute = promisify(execFile);
/** Programs of the system's administrator are not in everybody's PATH. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

export async function startDaemon({ flags = [], isStarted = true }: EngineOptions = {}): Promise<DockerEngine> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rungs-docker-'));
  const name = path.basename(dir);
  const socket = path.join(dir, 'docker.sock');
  const host = `unix://${socket}`;
  const log = path.join(dir, 'dockerd.log');
  const pool = await freePool();
  // Its own, though empty: the machine's settings are for the machine's engine.
  writeFileSync(path.join(dir, 'daemon.json'), '{}\n');
  // Containers, shims and mounts are the room's: they are gone with it.
  const room = await openRoom({ name, script: reaper, env: { PATH } });
  const env = { DOCKER_HOST: host, DOCKER_CONFIG: path.join(dir, 'client'), DOCKER_BUILDKIT: '0' };
  const docker = async (...args: readonly string[]): Promise<string> => {
    const done = await execute('docker', [...args], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...env, PATH },
    });
    return done.stdout.trim();
  };
  const settings = [
    `--host=${host}`,
    `--data-root=${path.join(dir, 'data')}`,
    `--exec-root=${path.join(dir, 'exec')}`,
    `--pidfile=${path.join(dir, 'dockerd.pid')}`,
    `--config-file=${path.join(dir, 'daemon.json')}`,
    `--default-address-pool=base=${pool}.0/24,size=28`,
    `--cgroup-parent=/${name}-containers`,
    // Nothing of the machine's network is changed; ports are published by the proxy.
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--ip-masq=false',
    '--shutdown-timeout=5',
  ];
  let daemon: ChildProcess | null = null;
  const isAlive = (): boolean => daemon !== null && daemon.exitCode === null && daemon.signalCode === null;
  const start = async (): Promise<void> => {
    if (isAlive()) return;
    const output = openSync(log, 'a');
    const [file, ...args] = room.inside(['dockerd', ...settings, ...flags]);
    const child = spawn(file, args, { stdio: ['ignore', output, output], env: { ...process.env, PATH } });
    closeSync(output);
    daemon = child;
    await until('the Docker engine to answer', async () => {
      if (!isAlive()) throw new Error(`dockerd ended: ${readFileSync(log, 'utf8').slice(-3000)}`);
      return answers(socket);
    });
  };
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    const child = daemon;
    if (child === null || !isAlive()) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // The daemon is the child of `nsenter`, which ends with it.
    for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, signal);
    await gone;
  };
  const engine: DockerEngine = {
    host,
    socket,
    env,
    docker,
    network: async (network = 'rungs') => {
      await docker('network', 'create', network);
      return network;
    },
    inspect: async (container) => {
      const found: unknown = JSON.parse(await docker('container', 'inspect', container));
      if (!Array.isArray(found)) throw new Error(`inspect of ${container} is no list`);
      const [first]: readonly unknown[] = found;
      if (typeof first !== 'object' || first === null) throw new Error(`there is no container ${container}`);
      return { ...first };
    },
    start,
    stop: async () => end('SIGTERM'),
    kill: async () => end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM');
      await start();
    },
    end: async () => {
      // A network outlives its engine as a bridge of the machine; those with a subnet of the test's own are known by name alone.
      const networks = isAlive() ? await docker('network', 'ls', '--filter', 'type=custom', '--quiet').catch(() => '') : '';
      await end('SIGKILL');
      await room.end();
      removeContainerGroups(name);
      for (const id of networks.split('\n').filter(Boolean)) await ip('link', 'del', `br-${id}`).catch(() => '');
      await removeBridges(pool);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  if (!isStarted) return engine;
  try {
    await start();
  } catch (error) {
    await engine.end();
    throw error;
  }
  return engine;
}

/** Resolves to null as long as nobody answers. */
async function answers(socket: string): Promise<true | null> {
  return new Promise((resolve) => {
    http
      .get({ socketPath: socket, path: '/_ping', timeout: 2000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? true : null);
      })
      .once('timeout', () => resolve(null))
      .once('error', () => resolve(null));
  });
}

/** Three bytes of a network that no interface of this machine is in: engines that run side by side must not meet. */
async function freePool(): Promise<string> {
  const taken = await ip('-o', '-4', 'addr', 'show');
  return until('a free network', () => {
    const pool = `10.${128 + Math.floor(Math.random() * 127)}.${Math.floor(Math.random() * 256)}`;
    return taken.includes(`${pool}.`) ? null : pool;
  });
}

/** The bridges of networks that an engine left behind, told by their addresses. */
async function removeBridges(pool: string): Promise<void> {
  const lines = (await ip('-o', '-4', 'addr', 'show')).split('\n').filter((line) => line.includes(` ${pool}.`));
  for (const line of lines) {
    const name = /^\d+:\s+(br-[0-9a-f]+)\s/u.exec(line)?.[1];
    if (name !== undefined) await ip('link', 'del', name);
  }
}

async function ip(...args: readonly string[]): Promise<string> {
  return (await execute('busybox', ['ip', ...args], { encoding: 'utf8' })).stdout;
}

function removeContainerGroups(name: string): void {
  const base = '/sys/fs/cgroup';
  const roots = readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const root of ['', ...roots.map((entry) => entry.name)]) {
    const group = path.join(base, root, `${name}-containers`);
    if (existsSync(group)) removeGroup(group);
  }
}
