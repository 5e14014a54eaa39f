// A scratch copy of the sample product, seeded and on a port of its own, for the demo and for tests.
// Whoever makes one calls `remove()`, which stops its service first.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { dumpDatabase } from './dump.ts';
import { snapshotOf } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';

const repository = resolve(import.meta.dirname, '../..');
const samplePort = '8321';

/** What a child process ended with. `code` is `null` when a signal ended it. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Where output goes: kept and returned (`pipe`), or shown (`inherit`). */
  readonly output?: 'pipe' | 'inherit';
  /** Milliseconds until the process gets SIGKILL. Default 60,000. */
  readonly deadlineMs?: number;
  /** Given the process as soon as it runs, to signal or kill it. */
  readonly onSpawn?: (child: ChildProcess) => void;
}

export interface Scratch {
  /** The folder that holds everything, removed by `remove()`. */
  readonly dir: string;
  /** The installation, links resolved. */
  readonly root: string;
  readonly configFile: string;
  /** The copied folder of `vX_to_vY` folders: change it as a test needs. */
  readonly migrations: string;
  readonly port: number;
  /** Environment for child processes: this Node comes first in PATH. */
  readonly env: NodeJS.ProcessEnv;
  /** Starts the service and waits until it answers. Throws with its own words when it does not. */
  start(): Promise<void>;
  /** Stops the service and waits until it is gone. Does nothing when it does not run. */
  stop(): Promise<void>;
  /** Status and parsed body of `/health`; `null` when nobody answers. */
  health(): Promise<{ readonly status: number; readonly body: unknown } | null>;
  /** The content of VERSION, trimmed. */
  version(): Promise<string>;
  /** Runs the real executable on this installation: `upgrade(['--to', '0.3.0'])`. */
  upgrade(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Every path of the installation but the state, `run/` and the database's bytes, with type, mode, owner, size, SHA-256 and link target. */
  snapshot(): Promise<Snapshot>;
  /** Schema and rows of the database as text, read from a private copy (a running service and its WAL are left alone). */
  databaseDump(): Promise<string>;
  remove(): Promise<void>;
}

/** Copies and seeds the sample: at 0.1.0, its service not started. Takes about a quarter of a second. */
export async function makeScratch(options: { readonly prefix?: string } = {}): Promise<Scratch> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), options.prefix ?? 'rungs-sample-')));
  try {
    return await fill(dir);
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function fill(dir: string): Promise<Scratch> {
  const root = join(dir, 'home-server');
  const migrations = join(dir, 'migrations');
  const configFile = join(root, 'upgrade.yaml');
  const sample = join(repository, 'examples', 'home-server');
  const inUse = new Set(['data', 'run', '.upgrade'].map((name) => join(sample, name)));
  await cp(sample, root, { recursive: true, filter: (path) => !inUse.has(path) });
  await cp(join(repository, 'migrations'), migrations, { recursive: true });

  // As `npm install` would: the product asks for its own upgrade through the library.
  await mkdir(join(dir, 'node_modules'));
  await symlink(repository, join(dir, 'node_modules', 'rungs'));

  const port = await freePort();
  await rewrite(join(root, '.env'), (text) => text.replace(samplePort, String(port)));
  await rewrite(configFile, (text) => text.replaceAll(samplePort, String(port)).replace('../../migrations', relative(root, migrations)));

  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };
  const node = (args: readonly string[], run: RunOptions = {}) => ended(args, root, { ...env, ...run.env }, run);
  const bin = async (name: string, ...args: readonly string[]) => {
    const result = await node([join(root, 'bin', name), ...args]);
    if (result.code !== 0)
      throw new Error(`bin/${name} ${args.join(' ')}: ${result.stderr.trim()} (${result.signal ?? `exit code ${result.code}`})`);
  };
  await bin('seed');

  return {
    dir,
    root,
    configFile,
    migrations,
    port,
    env,
    start: () => bin('service', 'start'),
    stop: () => bin('service', 'stop'),
    health: () => healthOf(port),
    version: async () => (await readFile(join(root, 'VERSION'), 'utf8')).trim(),
    upgrade: (args, run) => node([join(repository, 'bin', 'upgrade.mjs'), ...args, '-c', configFile], run),
    snapshot: () => snapshotOf(root),
    databaseDump: () => dumpDatabase(join(root, 'data', 'app.db')),
    remove: async () => {
      await bin('service', 'stop');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Runs a program of this repository to its end, with this Node. */
export function ended(
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  { output = 'pipe', deadlineMs = 60_000, onSpawn }: RunOptions,
): Promise<Ended> {
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env,
      stdio: ['ignore', output, output],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    onSpawn?.(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => settle({ code, signal, stdout, stderr }));
  });
}

async function healthOf(port: number): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, body: await response.json() };
  } catch {
    return null;
  }
}

/** Below the range from which the kernel takes ports for outgoing connections, so that none of those is in the way later. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(20_000, 32_000);
    if (await canListen(port)) return port;
  }
  throw new Error('no free port between 20000 and 32000');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)));
  });
}

export async function rewrite(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')));
}
