// pg_dump and pg_restore: which of those on this machine can serve a server, and how they are run. Passwords never stand among the arguments.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, readdir } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { env } from 'node:process';
import type { Writable } from 'node:stream';
import { fail } from '../../model/failure.ts';

export interface PostgresTools {
  /** Absolute. */
  readonly dump: string;
  readonly restore: string;
  /** As `pg_dump --version` says it. */
  readonly version: string;
}

export interface ToolResult {
  /** `null` where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  /** The last 64 KiB. */
  readonly stderr: string;
}

export interface ToolRequest {
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** Writes stdin. `give` waits until a chunk is taken, and says false where the program takes no more: it may know enough before the end. */
  readonly input?: (give: (chunk: Buffer) => Promise<boolean>) => Promise<void>;
  /** Gets stdout chunk by chunk instead of `stdout` of the result; the program waits until each is dealt with. */
  readonly onOutput?: (chunk: Buffer) => Promise<void>;
}

/** Two installations on one machine are usual: the first that is new enough is taken, from PATH, then the newest of the system's folders. RUNGS_PG_BIN is the only place where it is set. Throws POSTGRES_TOOLS_MISSING, POSTGRES_TOOLS_OLDER. */
export async function findTools(name: string, server?: { readonly major: number; readonly version: string }): Promise<PostgresTools> {
  let older: { readonly program: string; readonly version: string } | null = null;
  for (const bin of await folders()) {
    const [dump, restore] = [join(bin, 'pg_dump'), join(bin, 'pg_restore')];
    if (!(await isExecutable(dump)) || !(await isExecutable(restore))) continue;
    const version = await versionOf(dump);
    if (version === null) continue;
    if (server === undefined || Number.parseInt(version, 10) >= server.major) return { dump, restore, version };
    older ??= { program: dump, version };
  }
  if (older === null || server === undefined) {
    const set = env['RUNGS_PG_BIN'];
    throw fail('POSTGRES_TOOLS_MISSING', { name, program: set === undefined || set === '' ? 'pg_dump' : join(set, 'pg_dump') });
  }
  throw fail('POSTGRES_TOOLS_OLDER', { name, program: older.program, found: older.version, server: server.version });
}

/** Never throws for a program that fails, only for one that cannot be started and for an abort. */
export async function runTool(file: string, args: readonly string[], request: ToolRequest = {}): Promise<ToolResult> {
  request.signal?.throwIfAborted();
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: request.env ?? env,
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', (code) => resolve(code));
    child.once('error', reject);
  });
  // Told below, after stdout is read.
  ended.catch(() => undefined);
  const fed = feed(child.stdin, request.input);
  fed.catch(() => child.kill('SIGTERM'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-65_536);
  });
  const parts: Buffer[] = [];
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      if (request.onOutput === undefined) parts.push(chunk);
      else await request.onOutput(chunk);
    }
  } catch (error) {
    child.kill('SIGTERM');
    await ended.catch(() => undefined);
    throw error;
  }
  const code = await ended;
  await fed;
  request.signal?.throwIfAborted();
  return { code, stdout: Buffer.concat(parts).toString(), stderr };
}

async function feed(stdin: Writable, input: ToolRequest['input']): Promise<void> {
  // A program that ends before it has read all is not in the wrong.
  const gone = new Promise<void>((resolve) => void stdin.once('error', () => resolve()).once('close', () => resolve()));
  stdin.on('error', () => undefined);
  await input?.(async (chunk) => {
    if (!stdin.writable) return false;
    if (!stdin.write(chunk)) await Promise.race([once(stdin, 'drain').catch(() => undefined), gone]);
    return stdin.writable;
  });
  stdin.end();
}

/** What a program complained of, on one line. */
export function complaintOf({ code, stderr }: ToolResult, program: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const told = lines
    .slice(-6)
    .map((line) => line.replace(/^pg_(?:dump|restore): (?:error: )?/, '').trim())
    .join('; ')
    .replace(/\.$/, '');
  return told === '' ? `${program} ended with ${code === null ? 'a signal' : `exit code ${code}`}` : told;
}

async function folders(): Promise<readonly string[]> {
  const set = env['RUNGS_PG_BIN'];
  if (set !== undefined && set !== '') return [set];
  const inPath = (env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  const [debian, redHat] = await Promise.all([versionsIn('/usr/lib/postgresql', /^(\d+)$/), versionsIn('/usr', /^pgsql-(\d+)$/)]);
  return [...inPath, ...debian, ...redHat];
}

async function versionsIn(base: string, pattern: RegExp): Promise<readonly string[]> {
  const names = await readdir(base).catch(() => []);
  return names
    .flatMap((name) => {
      const major = pattern.exec(name)?.[1];
      return major === undefined ? [] : [{ major: Number(major), bin: join(base, name, 'bin') }];
    })
    .toSorted((a, b) => b.major - a.major)
    .map(({ bin }) => bin);
}

async function versionOf(program: string): Promise<string | null> {
  const { stdout } = await runTool(program, ['--version']).catch(() => ({ stdout: '' }));
  return /\(PostgreSQL\) (\d+\S*)/.exec(stdout)?.[1] ?? null;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
