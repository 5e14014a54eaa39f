// A small installation for each test of the command line, and the real executable run on it.
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeTree, type Entry } from '../../unit/discover/tree.ts';

export const executable = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');
const deadlineMs = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In place of the executable: a link to it. */
  readonly program?: string;
}

export interface Small {
  /** Everything: the root is `inst` in it, the migrations lie beside. */
  readonly dir: string;
  readonly root: string;
  readonly upgrade: (args: readonly string[], options?: CallOptions) => Promise<Ended>;
}

const sqlStep = `-- rungs: { database: app }
-- forward
ALTER TABLE users ADD COLUMN email TEXT;
-- backward
ALTER TABLE users DROP COLUMN email;
`;
const shellStep = (metadata: string) => `#!/bin/sh
# rungs: { ${metadata} }
case "$1" in
  forward) echo "writing a note"; echo note > data/note ;;
  backward) rm -f data/note ;;
esac
`;
const failingStep = `#!/bin/sh
case "$1" in
  forward) echo "about to fail"; echo half > data/half; exit 7 ;;
  backward) rm -f data/half ;;
esac
`;

/** At 1.0.0, with transitions to 1.1.0, 2.0.0 (`breaks`: breaking) and, for `fails`, to 3.0.0, whose step fails. */
export function makeSmall({
  config = '',
  files = {},
  breaks = false,
  fails = false,
  isKept = false,
}: {
  readonly config?: string;
  readonly files?: Readonly<Record<string, Entry>>;
  readonly breaks?: boolean;
  readonly fails?: boolean;
  /** Whoever makes it removes it: for all tests of a file. */
  readonly isKept?: boolean;
} = {}): Small {
  const dir = makeTree(
    {
      'inst/VERSION': '1.0.0\n',
      'inst/upgrade.yaml': `product: small\nversion: { file: VERSION }\nmigrations: ../migrations\ndatabases: { app: { sqlite: data/app.db } }\nbackup: { include: [VERSION, config, data] }\n${config}`,
      'inst/config/app.yaml': 'name: small # a comment\n',
      'inst/data/deep/file.txt': 'kept\n',
      'migrations/v1.0.0_to_v1.1.0/001_add_email.sql': sqlStep,
      'migrations/v1.1.0_to_v2.0.0/001_note.sh': { text: shellStep(breaks ? 'breaking: true' : 'description: Write a note'), mode: 0o755 },
      ...(fails ? { 'migrations/v2.0.0_to_v3.0.0/001_fails.sh': { text: failingStep, mode: 0o755 } } : {}),
      ...files,
    },
    { isKept },
  );
  const root = path.join(dir, 'inst');
  makeDatabase(
    path.join(root, 'data/app.db'),
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO users (name) VALUES ('Ada'), ('Bo')",
  );
  chmodSync(path.join(root, 'config/app.yaml'), 0o640);
  return { dir, root, upgrade: (args, options = {}) => call(args, { cwd: root, ...options }) };
}

export function makeDatabase(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

/** The environment of a call: this Node first, no colours unless the test wants them. */
export function environment(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, NO_COLOR: '1', ...env };
}

function call(args: readonly string[], { cwd, env, program }: CallOptions & { readonly cwd: string }): Promise<Ended> {
  return new Promise((settle, reject) => {
    const [command, words] = program === undefined ? [process.execPath, [executable, ...args]] : [program, args];
    const child = spawn(command, words, {
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
