// Copies of the trees under tests/fixtures, and the real executable run on them.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll } from 'vitest';
import { environment, executable } from '../cli/installation.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Tree {
  readonly root: string;
  readonly upgrade: (...args: readonly string[]) => Promise<Ended>;
  /** With `--json`: the document, and the exit code. */
  readonly json: (...args: readonly string[]) => Promise<{ readonly code: number | null; readonly document: Document }>;
  readonly read: (file: string) => string;
  readonly write: (file: string, text: string) => void;
  readonly has: (file: string) => boolean;
}

// What a document holds is what the tests are about.
// eslint-disable-next-line typescript/no-explicit-any
export type Document = any;

const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
const deadlineMs = 100_000;
const folders: string[] = [];

afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

export function copyTree(name: string, env: Readonly<Record<string, string>> = {}): Tree {
  const dir = realpathSync(mkdtempSync(path.join(tmpdir(), 'rungs-source-')));
  folders.push(dir);
  const root = path.join(dir, path.basename(name));
  cpSync(path.join(fixtures, name), root, { recursive: true });
  const upgrade = (...args: readonly string[]): Promise<Ended> => call(root, args, env);
  return {
    root,
    upgrade,
    async json(...args) {
      const { code, stdout, stderr } = await upgrade(...args, '--json');
      try {
        return { code, document: JSON.parse(stdout) };
      } catch {
        throw new Error(`no JSON (exit ${code}): ${stdout}${stderr}`);
      }
    },
    read: (file) => readFileSync(path.join(root, file), 'utf8'),
    write: (file, text) => writeFileSync(path.join(root, file), text),
    has: (file) => existsSync(path.join(root, file)),
  };
}

/** Read-only, so that nothing that a test looks at is changed by its looking. */
export function rows(file: string, sql: string): readonly Record<string, unknown>[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

export function execSql(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

function call(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, [executable, ...args], {
      cwd,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code) => settle({ code, stdout, stderr }));
  });
}
