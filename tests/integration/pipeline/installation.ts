// A tiny installation in a temporary folder, for everything that needs many whole runs: odd modes, owners and links, a database in WAL mode, a real
// daemon that keeps a connection to it. Whoever makes one calls `remove()`, which stops what runs in it.
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { dumpDatabase } from '../../../examples/demo/dump.ts';
import { snapshotOf, type Snapshot } from '../../../examples/demo/snapshot.ts';

export const repository = path.resolve(import.meta.dirname, '../../..');
export const fixtures = path.join(repository, 'tests/fixtures/pipeline');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly onSpawn?: (child: ChildProcess) => void;
}

/** Everything that a run may change, as it is now. */
export interface State {
  readonly version: string;
  readonly tree: Snapshot;
  /** Schema and rows. */
  readonly rows: string;
  /** What the daemon says of itself; `null` where none answers. */
  readonly answer: string | null;
}

export interface Tiny {
  readonly dir: string;
  readonly root: string;
  readonly configFile: string;
  readonly migrations: string;
  readonly state: string;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly answer: () => Promise<string | null>;
  readonly look: () => Promise<State>;
  /** The real executable on this installation. */
  readonly upgrade: (args: readonly string[], options?: RunOptions) => Promise<Ended>;
  /** A program of this repository, with this Node first in PATH. */
  readonly node: (args: readonly string[], options?: RunOptions) => Promise<Ended>;
  readonly edit: (file: string, change: (text: string) => string) => void;
  /** Writes a step file; `transition/file`. */
  readonly step: (file: string, text: string) => void;
  readonly remove: () => Promise<void>;
}

const deadlineMs = 60_000;

/** At 1.0.0, its daemon not started. `dir`: made elsewhere, on a disk of the test's own. */
export function makeTiny({ dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-tiny-'))) }: { readonly dir?: string } = {}): Tiny {
  const root = path.join(dir, 'root');
  const migrations = path.join(dir, 'migrations');
  const configFile = path.join(root, 'upgrade.yaml');
  cpSync(path.join(fixtures, 'installation'), root, { recursive: true });
  cpSync(path.join(fixtures, 'migrations'), migrations, { recursive: true });
  addOddities(root);
  seed(path.join(root, 'data/app.db'));
  const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin:${process.env['PATH'] ?? ''}`, NO_COLOR: '1' };

  const node: Tiny['node'] = (args, options = {}) =>
    run(process.execPath, args, { cwd: root, env: { ...env, ...options.env }, ...options });
  const service = async (action: string): Promise<void> => {
    const { code, stderr } = await run('bin/service', [action], { cwd: root, env });
    if (code !== 0) throw new Error(`bin/service ${action}: ${stderr} (${code})`);
  };
  return {
    dir,
    root,
    configFile,
    migrations,
    state: path.join(root, '.upgrade'),
    start: async () => {
      await service('start');
      await until('the daemon answers', async () => (await answerOf(root)) !== null);
    },
    stop: () => service('stop'),
    answer: () => answerOf(root),
    look: async () => ({
      version: readFileSync(path.join(root, 'VERSION'), 'utf8').trim(),
      tree: await snapshotOf(root),
      rows: await dumpDatabase(path.join(root, 'data/app.db')),
      answer: await answerOf(root),
    }),
    upgrade: (args, options) => node([path.join(repository, 'bin/upgrade.mjs'), ...args, '-c', configFile], options),
    node,
    edit: (file, change) => writeFileSync(path.join(root, file), change(readFileSync(path.join(root, file), 'utf8'))),
    step: (file, text) => {
      mkdirSync(path.dirname(path.join(migrations, file)), { recursive: true });
      writeFileSync(path.join(migrations, file), text);
    },
    remove: async () => {
      for (const pid of processesIn(dir)) end(pid);
      rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
}

/** Processes whose working folder is there: daemons, steps that outlived their orchestrator. */
export function processesIn(dir: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const folder = readlinkSync(`/proc/${name}/cwd`);
      return folder === dir || folder.startsWith(`${dir}/`) ? [Number(name)] : [];
    } catch {
      return []; // Gone by now, or not ours.
    }
  });
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** What git does not keep, and what careless copies lose. */
function addOddities(root: string): void {
  const data = path.join(root, 'data');
  mkdirSync(path.join(data, 'empty'));
  mkdirSync(path.join(data, 'inbox/deep'), { recursive: true });
  writeFileSync(path.join(data, 'inbox/deep/mail'), 'a letter\n');
  writeFileSync(path.join(data, 'files/locked.txt'), 'read me only\n');
  writeFileSync(path.join(data, 'files/with space und ümlaut'), Buffer.from([0, 255, 10, 13, 0]));
  symlinkSync('files/a.txt', path.join(data, 'latest'));
  symlinkSync('nowhere/at/all', path.join(data, 'dangling'));
  linkSync(path.join(data, 'files/a.txt'), path.join(data, 'hard.txt'));
  chmodSync(path.join(data, 'empty'), 0o711);
  chmodSync(path.join(data, 'files/locked.txt'), 0o444);
  chmodSync(path.join(data, 'inbox'), 0o2775);
  chmodSync(path.join(root, 'config/app.env'), 0o600);
  chmodSync(path.join(root, 'config/app.yaml'), 0o640);
  if (process.getuid?.() !== 0) return;
  chownSync(path.join(root, 'config/app.yaml'), 1234, 2345);
  chownSync(path.join(data, 'files/locked.txt'), 1234, 1234);
  chownSync(path.join(data, 'empty'), 1234, 0);
  lchownSync(path.join(data, 'dangling'), 1234, 1234);
}

function seed(file: string): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA user_version = 1;
    CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL);
    WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 50) INSERT INTO items SELECT id, 'item ' || id, id * 1.5 FROM n;`);
  database.close();
}

function run(
  command: string,
  args: readonly string[],
  { cwd, env, onSpawn }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv } & RunOptions,
): Promise<Ended> {
  return new Promise((settle, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: deadlineMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.once('error', reject);
    // Not `close`: a daemon that was started may keep a pipe open.
    child.once('exit', (code, signal) => {
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        settle({ code, signal, stdout, stderr });
      }, 5);
    });
    onSpawn?.(child);
  });
}

function answerOf(root: string): Promise<string | null> {
  return new Promise((settle) => {
    // Relative to nothing shorter than the temporary folder: socket paths have a limit of 107 bytes.
    const socket = connect(path.join(root, 'run/app.sock'));
    let text = '';
    socket.setEncoding('utf8').setTimeout(5_000, () => socket.destroy());
    socket.on('data', (chunk: string) => (text += chunk));
    socket.once('error', () => undefined);
    socket.once('close', () => settle(text === '' ? null : text));
  });
}

/** Waits until a condition holds, with a deadline. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(10);
  }
}
