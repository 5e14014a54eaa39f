// An installation with ladders, made once and copied for every case with a database of its own: each copy can be killed, looked at and thrown away.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { dumpDatabase } from '../../../examples/demo/dump.ts';
import { snapshotOf, type Snapshot } from '../../../examples/demo/snapshot.ts';
import { processesIn, repository, until, type Ended } from '../../integration/pipeline/installation.ts';
import { programs, type TestPostgres } from '../../support/postgres.ts';
import { startKillingProxy, type KillingProxy } from './killing-proxy.ts';

/** Everything that a run may change, and what the journal says of it. */
export interface Look {
  readonly version: string;
  readonly tree: Snapshot;
  readonly sqlite: string;
  readonly postgres: string;
  readonly heights: Readonly<Record<string, number>>;
}

export interface Standing {
  readonly state: string;
  readonly run: unknown;
  readonly lock: unknown;
}

export interface Home {
  readonly root: string;
  readonly proxy: KillingProxy;
  readonly url: string;
  /** What makes the scripts that fail sound ones: nothing that belongs to the installation. */
  readonly mend: () => void;
  readonly node: (args: readonly string[], onSpawn?: (pid: number) => void) => Promise<Ended>;
  /** The real executable; once more for as long as a step that outlived its orchestrator holds the lock. */
  readonly upgrade: (...args: readonly string[]) => Promise<Ended>;
  /** See kill-at.mjs. */
  readonly killAt: (args: readonly string[], onSpawn?: (pid: number) => void) => Promise<Ended>;
  readonly look: () => Promise<Look & Standing>;
  /** Lines that scripts wrote where no backup reaches. */
  readonly log: () => readonly string[];
  /** All processes that work in it. */
  readonly killAll: () => void;
  /** Databases that a restore has left beside the live one. */
  readonly beside: () => Promise<readonly unknown[]>;
  readonly remove: () => Promise<void>;
}

export interface Template {
  readonly copy: () => Promise<Home>;
  readonly remove: () => void;
}

export const killer = path.join(repository, 'tests/fixtures/ladders/programs/kill-at.mjs');
const executable = path.join(repository, 'bin/upgrade.mjs');
const deadlineMs = 90_000;
let made = 0;

export async function makeTemplate(
  server: TestPostgres,
  { files, seed }: { readonly files: Readonly<Record<string, string>>; readonly seed?: (home: Home) => Promise<void> },
): Promise<Template> {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-ladder-kills-')));
  const root = path.join(dir, 'template');
  for (const folder of ['data', 'migrations', 'etc']) mkdirSync(path.join(root, folder), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeIn(root, file, text);
  const database = `kills_${process.pid}_${(made += 1)}`;
  await server.query(server.url('postgres'), `CREATE DATABASE ${database}`);
  const template = await openHome(server, root, database);
  await seed?.(template);
  await template.proxy.close();
  return {
    copy: async () => {
      const number = (made += 1);
      const copied = path.join(dir, `copy-${number}`, 'root');
      cpSync(root, copied, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
      const own = `kills_${process.pid}_${number}`;
      await server.query(server.url('postgres'), `CREATE DATABASE ${own} TEMPLATE ${database}`);
      return openHome(server, copied, own);
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

async function openHome(server: TestPostgres, root: string, database: string): Promise<Home> {
  const url = server.url(database);
  const proxy = await startKillingProxy(url);
  const log = path.join(root, '../log');
  const env = {
    ...process.env,
    PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin:${process.env['PATH'] ?? ''}`,
    NO_COLOR: '1',
    DATABASE_URL: proxy.url,
    LADDER_LOG: log,
  };
  const node: Home['node'] = (args, onSpawn) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, {
        cwd: root,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: deadlineMs,
        killSignal: 'SIGTERM',
      });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
      child.once('error', reject);
      // Whoever outlives it (a script, a pg_restore) has pipes of its own.
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
      if (child.pid !== undefined) onSpawn?.(child.pid);
    });
  const whenFree = async (args: readonly string[], onSpawn?: (pid: number) => void): Promise<Ended> => {
    let ended: Ended | null = null;
    await until(
      'the lock is free',
      async () => {
        ended = await node(args, onSpawn);
        return ended.code !== 75;
      },
      60_000,
    );
    if (ended === null) throw new Error('it never ended');
    return ended;
  };
  const upgrade: Home['upgrade'] = (...args) => whenFree([executable, ...args]);
  return {
    root,
    proxy,
    url,
    mend: () => writeFileSync(`${log}.ready`, ''),
    node,
    upgrade,
    killAt: (args, onSpawn) => whenFree([killer, ...args], onSpawn),
    look: async () => {
      const app = path.join(root, 'data/app.db');
      const tree = await snapshotOf(root);
      const { stdout } = await upgrade('status', '--json');
      const { ladders, state, run, lock } = JSON.parse(stdout) as Standing & {
        readonly ladders: readonly { name: string; height: number }[];
      };
      return {
        version: existsSync(path.join(root, 'VERSION')) ? readFileSync(path.join(root, 'VERSION'), 'utf8') : '',
        tree,
        sqlite: existsSync(app) ? await dumpDatabase(app) : 'none',
        postgres: dumpPostgres(url),
        heights: Object.fromEntries(ladders.map(({ name, height }) => [name, height])),
        state,
        run,
        lock,
      };
    },
    log: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    killAll: () => {
      for (const pid of processesIn(root)) end(pid);
    },
    beside: () =>
      server.query(server.url('postgres'), `SELECT datname::text FROM pg_database WHERE starts_with(datname::text, '${database}_rungs')`),
    remove: async () => {
      for (const pid of processesIn(root)) end(pid);
      await proxy.close();
      await server.query(server.url('postgres'), `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
      rmSync(path.dirname(root), { recursive: true, force: true });
    },
  };
}

/** Schema, rows and sequences, by a program that is not ours; rows of a table in no order, as it has none. */
function dumpPostgres(url: string): string {
  const done = spawnSync(path.join(programs() ?? '', 'pg_dump'), ['--exclude-schema=rungs', '-d', url], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`pg_dump: ${done.stderr}`);
  return done.stdout
    .replaceAll(/^\\(un)?restrict .*\n/gm, '')
    .replaceAll(/(?<=^COPY .* FROM stdin;\n)[\s\S]*?(?=^\\\.$)/gm, (rows) => rows.split('\n').toSorted().join('\n'));
}

function writeIn(root: string, file: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text, { mode: /\.(?:sh|py)$/.test(file) ? 0o755 : 0o644 });
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
