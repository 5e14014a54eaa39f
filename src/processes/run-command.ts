// Runs one argument vector to its end, without a shell, and says how it ended: it never throws for a command that fails.
// Promises: a deadline, bounded memory and disk, and after a timeout or an abort nothing of its process group is left.
import { spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import { endGroup } from './end-group.ts';
import { withoutForeignDescriptors } from './foreign-descriptors.ts';
import { keepSmall, openOutput, readEnd } from './output-file.ts';
import { createHead, createTail, lastLines } from './tail.ts';

export interface CommandRequest {
  readonly argv: readonly string[];
  /** The working folder, absolute. A relative `argv[0]` with a slash in it is looked up from here. */
  readonly cwd: string;
  readonly timeoutMs: number;
  /** Besides our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Open files that the command reads, and writes its stdout to; `stdout` of the result is empty then. */
  readonly stdinFd?: number;
  readonly stdoutFd?: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * A file, absolute, for the output of a command that starts a daemon: the daemon inherits it as its stdout, and a pipe of ours would
   * kill it with SIGPIPE once we are gone. It starts empty. Without it the output comes through pipes.
   */
  readonly outputFile?: string;
}

export interface CommandResult {
  readonly end: 'exited' | 'timed-out' | 'aborted' | 'not-started';
  /** `null` where it did not exit by itself. */
  readonly exitCode: number | null;
  /** The first 64 KiB of stdout; empty where the output went to a file. */
  readonly stdout: string;
  /** The last lines of stdout and stderr together. */
  readonly lines: readonly string[];
  readonly durationMs: number;
  /** How it ended, to follow the command's name: `exited with 3`, `was killed by SIGSEGV`, `did not end within 2 s`. */
  readonly account: string;
}

type Ending = Pick<CommandResult, 'end' | 'exitCode' | 'account'>;

const cancelled: Ending = { end: 'aborted', exitCode: null, account: 'was cancelled' };
/** For what a command wrote just before it ended; whoever holds its pipes open for longer is a daemon. */
const pipeGraceMs = 200;

export async function runCommand(request: CommandRequest): Promise<CommandResult> {
  if (request.signal?.aborted === true) return { ...cancelled, stdout: '', lines: [], durationMs: 0 };
  const output = request.outputFile === undefined ? null : await openOutput(request.outputFile);
  try {
    return await runInto(output, request);
  } finally {
    await output?.close();
  }
}

async function runInto(
  output: FileHandle | null,
  { argv, cwd, timeoutMs, signal, outputFile, env, stdinFd, stdoutFd }: CommandRequest,
): Promise<CommandResult> {
  const started = performance.now();
  const [file = '', ...args] = argv;
  const sink = outputFile === undefined ? 'pipe' : (output?.fd ?? 'ignore');
  // `detached` gives it a session of its own: what it starts survives us, and a timeout can end the whole group.
  const child = withoutForeignDescriptors([stdinFd ?? 'ignore', stdoutFd ?? sink, sink], (stdio) =>
    spawn(file, args, { cwd, stdio, detached: true, env: { ...process.env, ...env } }),
  );
  const pipes = [child.stdout, child.stderr].filter((pipe) => pipe !== null);
  const head = createHead();
  const tail = createTail();
  child.stdout?.on('data', head.append);
  for (const pipe of pipes) pipe.on('data', tail.append);

  // `exit`, not `close`: that one waits for the pipes, which a daemon may hold open for as long as it lives.
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, by) =>
      resolve({ end: 'exited', exitCode: code, account: by === null ? `exited with ${code}` : `was killed by ${by}` }),
    );
    child.once('error', (error) =>
      resolve({ end: 'not-started', exitCode: null, account: `could not be started (${startProblem(error)})` }),
    );
  });
  const over = new AbortController();
  const flood = output === null ? null : keepSmall(output, over.signal);
  const ending = await Promise.race([ended, interruption(timeoutMs, signal, over.signal)]);
  if (child.pid !== undefined && (ending.end === 'timed-out' || ending.end === 'aborted')) await endGroup(child.pid, ended);
  over.abort();
  const cutOff = (await flood) ?? '';
  await releasePipes(pipes);

  const text = output === null ? tail.text() : cutOff + (await readEnd(output));
  return { ...ending, stdout: head.text(), lines: lastLines(text), durationMs: performance.now() - started };
}

async function interruption(timeoutMs: number, signal: AbortSignal | undefined, over: AbortSignal): Promise<Ending> {
  const until = signal === undefined ? over : AbortSignal.any([signal, over]);
  return sleep<Ending>(
    timeoutMs,
    { end: 'timed-out', exitCode: null, account: `did not end within ${timeoutMs / 1000} s` },
    { signal: until },
  ).catch(() => cancelled);
}

async function releasePipes(pipes: readonly Readable[]): Promise<void> {
  const open = pipes.filter((pipe) => !pipe.closed);
  const closed = Promise.all(open.map((pipe) => new Promise((resolve) => pipe.once('close', resolve))));
  if (open.length > 0) await Promise.race([closed, sleep(pipeGraceMs)]);
  for (const pipe of open) pipe.destroy();
}

function startProblem(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such file';
  if (error.code === 'EACCES') return 'it is not executable';
  return error.message;
}
