// Hosts that share one installation: a folder each, one ladder of steps for all. The real executable, real processes.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

export const repository = path.resolve(import.meta.dirname, '../../..');
const executable = path.join(repository, 'bin/upgrade.mjs');
const application = path.join(repository, 'tests/fixtures/boot/application.mjs');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has said so far. */
  readonly heard: () => string;
}

export interface Host {
  readonly root: string;
  /** `upgrade …` as this host. */
  readonly start: (args: readonly string[], env?: Readonly<Record<string, string>>) => Started;
  /** An application that calls `migrateOnBoot` itself. */
  readonly startApplication: (options: object, command?: readonly string[], env?: Readonly<Record<string, string>>) => Started;
}

export interface Fleet {
  readonly dir: string;
  readonly hosts: readonly Host[];
}

export interface FleetPlan {
  /** `DIR` is the folder that all hosts share. */
  readonly config: string;
  /** By path, relative to the folder that all share. */
  readonly files: Readonly<Record<string, string>>;
  readonly hosts: number;
  readonly env?: Readonly<Record<string, string>>;
  /** All hosts are in one folder. */
  readonly isOneFolder?: boolean;
}

/** Gone when the test ends, with every process in it. */
export function makeFleet({ config, files, hosts, env = {}, isOneFolder = false }: FleetPlan): Fleet {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-boot-')));
  onTestFinished(() => {
    for (const pid of processesIn(dir)) process.kill(pid, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  });
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), text);
  }
  return { dir, hosts: Array.from({ length: hosts }, (_, at) => makeHost(dir, isOneFolder ? 'host' : `host-${at + 1}`, config, env)) };
}

function makeHost(dir: string, name: string, config: string, common: Readonly<Record<string, string>>): Host {
  const root = path.join(dir, name);
  mkdirSync(root, { recursive: true });
  writeFileSync(path.join(root, 'upgrade.yaml'), config.replaceAll('DIR', dir));
  const run = (script: string, args: readonly string[], env: Readonly<Record<string, string>>): Started => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...common, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that a test can kill all that belongs to it.
      detached: true,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    return { child, ended, heard: () => stderr };
  };
  return {
    root,
    start: (args, env = {}) => run(executable, args, env),
    startApplication: (options, command = [], env = {}) => run(application, [JSON.stringify(options), ...command], env),
  };
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(10);
  }
}

/** Everything that works in a folder. */
function processesIn(dir: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isIn(dir, pid));
}

function isIn(dir: string, pid: number): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`);
  } catch {
    return false;
  }
}

export function textIn(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
