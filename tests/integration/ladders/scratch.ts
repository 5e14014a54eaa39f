// An installation with ladders in a temporary folder, and the real executable on it.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onTestFinished } from 'vitest';

const executable = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Of `--json`. */
  readonly json: () => Record<string, unknown>;
}

export interface LadderHome {
  readonly root: string;
  readonly write: (file: string, text: string) => void;
  readonly read: (file: string) => string;
  readonly upgrade: (...args: readonly string[]) => Promise<Ended>;
  readonly query: (sql: string, file?: string) => readonly Record<string, unknown>[];
  /** Tables of the database, without SQLite's own. */
  readonly tables: () => readonly string[];
  readonly heights: () => Promise<Record<string, number>>;
}

/** `files` by path relative to the root. Removed when the test ends. */
export function makeLadderHome(
  config: string,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): LadderHome {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-ladders-')));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  };
  for (const folder of ['data', 'migrations']) mkdirSync(path.join(root, folder));
  write('upgrade.yaml', config);
  for (const [file, text] of Object.entries(files)) write(file, text);
  const query = (sql: string, file = 'data/app.db'): readonly Record<string, unknown>[] => {
    const db = new DatabaseSync(path.join(root, file));
    try {
      return db
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      db.close();
    }
  };
  const upgrade = async (...args: readonly string[]): Promise<Ended> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [executable, ...args], {
        cwd: root,
        env: { ...process.env, NO_COLOR: '1', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> }));
    });
  return {
    root,
    write,
    read: (file) => readFileSync(path.join(root, file), 'utf8'),
    upgrade,
    query,
    tables: () =>
      query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").map(({ name }) =>
        String(name),
      ),
    heights: async () => {
      const { ladders } = (await upgrade('status', '--json')).json() as { ladders: { name: string; height: number }[] };
      return Object.fromEntries(ladders.map(({ name, height }) => [name, height]));
    },
  };
}

/** A step that makes a table, and its way back. */
export const table = (name: string): string => `CREATE TABLE ${name} (id INTEGER PRIMARY KEY);\n-- backward\nDROP TABLE ${name};\n`;
