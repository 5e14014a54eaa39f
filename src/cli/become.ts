// Becomes another program: the same process where the platform can, so that PID, signals and exit code are the program's own by nature; else
// its parent, which passes signals on and leaves as the program left.
import { spawn } from 'node:child_process';
import os from 'node:os';
import type { ProgramFile } from './program-file.ts';

const passedOn: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
// Node ignores these two, and what is ignored stays so in another program: a shell's pipelines would end with errors.
const ignoredByNode: readonly NodeJS.Signals[] = ['SIGPIPE', 'SIGXFSZ'];

type Environment = Readonly<Record<string, string | undefined>>;

/** Does not come back where the process can be replaced; else resolves with the exit code to leave with. */
export async function become(program: ProgramFile, env: Environment): Promise<number> {
  if (typeof process.execve === 'function') replaceProcess(program, env);
  return runAsChild(program, env);
}

function replaceProcess({ file, argv }: ProgramFile, env: Environment): void {
  // Taking the last listener off gives a signal back its default.
  for (const signal of ignoredByNode) process.on(signal, noop).off(signal, noop);
  for (const stream of [process.stdin, process.stdout, process.stderr]) waitOnFull(stream);
  process.execve?.(file, [...argv], { ...env });
}

async function runAsChild({ file, argv: [name, ...rest] }: ProgramFile, env: Environment): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, { argv0: name, stdio: 'inherit', env: { ...env } });
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    for (const signal of passedOn) process.on(signal, pass);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const one of passedOn) process.off(one, pass);
      resolve(code ?? 128 + (signal === null ? 0 : os.constants.signals[signal]));
    });
  });
}

/** Node lets go of a pipe that is full or empty; most programs take that for an error, and would lose what they write. */
function waitOnFull(stream: object): void {
  const handle: unknown = Reflect.get(stream, '_handle');
  if (typeof handle !== 'object' || handle === null || !('setBlocking' in handle)) return;
  if (typeof handle.setBlocking === 'function') handle.setBlocking(true);
}

function noop(): void {
  // Only there to be taken off again.
}
