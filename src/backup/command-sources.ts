// What only commands of the config can save and put back: Redis, MariaDB, a Docker volume. What they print goes through files, so memory is flat whatever they print.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { CommandSource, Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { EntryOf } from '../model/manifest.ts';
import type { Difference } from '../model/ports.ts';
import { runCommand } from '../processes/run-command.ts';

/** What running a source's commands takes. */
export interface CommandWorld {
  readonly commands: Readonly<Record<string, CommandSource>>;
  readonly root: string;
  /** Takes secrets out of what commands print. */
  readonly scrub: (text: string) => string;
}

export function commandWorld({ root, backup }: Config, scrub: (text: string) => string): CommandWorld {
  return { commands: backup.commands, root, scrub };
}

interface Call {
  readonly name: string;
  readonly what: 'backup' | 'restore' | 'digest';
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fills `file`, mode 0600, with what the source prints; gives its digest, taken before and after where there is a command for it. Throws
 * SOURCE_COMMAND_FAILED, SOURCE_EMPTY, SOURCE_CHANGED.
 */
export async function dumpCommand(
  file: string,
  { world, name, signal }: { readonly world: CommandWorld; readonly name: string; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly state: string | null }> {
  const source = sourceOf(world, name);
  const before = await digestOf(source, world, { name, signal });
  const target = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  try {
    await run(source.backup, source, world, { name, what: 'backup', signal }, { stdoutFd: target.fd });
    if ((await target.stat()).size === 0) throw fail('SOURCE_EMPTY', { name });
    await target.sync();
  } finally {
    await target.close();
  }
  // Else the digest would tell of another state than what was saved.
  if ((await digestOf(source, world, { name, signal })) !== before) throw fail('SOURCE_CHANGED', { name });
  return { state: before };
}

/** `null` also where nobody can say: a source without a `digest` is not compared. */
export async function compareCommand(
  { name, state }: EntryOf<'command'>,
  world: CommandWorld,
  signal?: AbortSignal,
): Promise<Omit<Difference, 'path'> | null> {
  const source = world.commands[name];
  if (state === null) return null;
  if (source?.digest === undefined || source.digest === null)
    return { kind: 'missing', why: 'upgrade.yaml names no such source with a digest' };
  const now = await digestOf(source, world, { name, signal });
  return now === state ? null : { kind: 'differs', why: 'its digest is another' };
}

/** Gives the file to the restore command, as its standard input and by name. Throws SOURCE_COMMAND_FAILED. */
export async function restoreCommand(
  { name }: EntryOf<'command'>,
  file: string | undefined,
  world: CommandWorld,
  signal?: AbortSignal,
): Promise<void> {
  if (file === undefined) throw new TypeError('it was not staged');
  const source = sourceOf(world, name);
  const input = await open(file, 'r');
  try {
    await run(source.restore, source, world, { name, what: 'restore', signal }, { stdinFd: input.fd, env: { UPGRADE_BACKUP_FILE: file } });
  } finally {
    await input.close();
  }
}

function sourceOf({ commands }: CommandWorld, name: string): CommandSource {
  const source = commands[name];
  if (source === undefined) throw new TypeError(`upgrade.yaml names no source "${name}" under backup.commands or backup.volumes`);
  return source;
}

async function digestOf(source: CommandSource, world: CommandWorld, call: Omit<Call, 'what'>): Promise<string | null> {
  if (source.digest === null) return null;
  const stdout = await run(source.digest, source, world, { ...call, what: 'digest' }, {});
  return createHash('sha256').update(stdout).digest('hex');
}

async function run(
  argv: readonly string[],
  { timeoutMs }: CommandSource,
  { root, scrub }: CommandWorld,
  { name, what, signal }: Call,
  streams: { readonly stdinFd?: number; readonly stdoutFd?: number; readonly env?: Readonly<Record<string, string>> },
): Promise<string> {
  const { end, exitCode, account, lines, stdout } = await runCommand({ argv, cwd: root, timeoutMs, signal, ...streams });
  signal?.throwIfAborted();
  if (end === 'exited' && exitCode === 0) return stdout;
  throw fail('SOURCE_COMMAND_FAILED', { name, what, command: scrub(argv.join(' ')), account, lines: lines.map(scrub) });
}
