// A scratch installation with its config, a store for it, and independent tools to look at it.
import { spawnSync } from 'node:child_process';
import { lutimesSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onTestFinished } from 'vitest';
import { createBackupStore, type StoreOptions } from '../../../src/backup/store.ts';
import type { Config } from '../../../src/model/config.ts';
import type { BackupRecord, BackupStore } from '../../../src/model/ports.ts';
import { clock } from './clock.ts';
import { configFor } from './config-for.ts';

export interface Scratch {
  readonly dir: string;
  readonly root: string;
  readonly config: Config;
  readonly aside: string;
  readonly store: BackupStore;
  readonly withConfig: (change: Partial<Config>, options?: Partial<StoreOptions>) => BackupStore;
  readonly create: (store?: BackupStore, id?: string) => Promise<BackupRecord>;
  readonly write: (path: string, contents: string | Buffer) => string;
}

export function scratch(): Scratch {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'rungs-backup-')));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return openScratch(dir);
}

export function openScratch(dir: string): Scratch {
  const root = join(dir, 'root');
  mkdirSync(root, { recursive: true });
  const config = configFor(root);
  const store = createBackupStore({ config, clock });
  return {
    dir,
    root,
    config,
    store,
    aside: join(root, '.upgrade/aside'),
    withConfig: (change, options = {}) => createBackupStore({ config: { ...config, ...change }, clock, ...options }),
    create: (other = store, id = 'B1') => other.create({ id, runId: 'R1', version: '0.1.0', extraPaths: [] }),
    write: (path, contents) => {
      const file = join(root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, contents);
      return file;
    },
  };
}

export function sqlite(file: string, sql: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true });
  const database = new DatabaseSync(file);
  database.exec(sql);
  return database;
}

/** Runs a program to its end and gives its output; what it complains of is part of it. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; input?: string } = {},
): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'buffer', maxBuffer: 1 << 28, ...options });
  return { code: status, output: `${stdout.toString('latin1')}${stderr.toString('latin1')}` };
}

export function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

/** Gives every path a time of its own that a floating-point number holds exactly: Node can set no others. */
export function setTimes(root: string): void {
  const paths = run('find', ['.', '-path', './.upgrade', '-prune', '-o', '-print0'], { cwd: root })
    .output.split('\0')
    .filter((path) => path !== '');
  for (const [index, path] of paths.toSorted().toReversed().entries()) {
    const time = 1_600_000_000 + index + 0.25;
    lutimesSync(Buffer.from(`${root}/${path}`, 'latin1'), time, time);
  }
}

/** Type, mode, owner, links, size, link target and times of everything, and the SHA-256 of every file, as `find` and `sha256sum` see them. Databases are left to `dump`. */
export function fingerprint(root: string): readonly string[] {
  const prune = ['(', '-path', './.upgrade', '-o', '-name', '*.db', '-o', '-name', '*.db-*', ')', '-prune', '-o'];
  const folders = ['-type', 'd', '-printf', '%P %y %#m %U:%G %T@\\0', '-o'];
  const found = run('find', ['.', ...prune, ...folders, '-printf', '%P %y %#m %U:%G %n %s %T@ %l\\0'], { cwd: root });
  const sums = run(
    'sh',
    [
      '-c',
      "find . \\( -path ./.upgrade -o -name '*.db' -o -name '*.db-*' \\) -prune -o -type f -print0 | sort -z | xargs -0 -r sha256sum -z",
    ],
    { cwd: root },
  );
  if (found.code !== 0 || sums.code !== 0) throw new Error(found.output + sums.output);
  return [...found.output.split('\0').toSorted(), ...sums.output.split('\0')];
}

export function dump(database: string): string {
  return run('sqlite3', [database, '.dump']).output;
}
