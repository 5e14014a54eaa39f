// Runs one half of a shell or Python step in a process group of its own. Waits for its exit, not for its pipes: a daemon may keep those.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure, messageOf } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { StepOrder } from '../model/run.ts';
import type { Guard } from './guard.ts';
import type { Output } from './output.ts';
import { pythonDriver } from './python-driver.ts';

export interface ScriptRequest {
  readonly order: StepOrder;
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  readonly lockFd: number | null;
  readonly output: Output;
  readonly guard: (pid: number) => Guard;
}

export interface ScriptEnd {
  /** Of the script itself; `null` when it is done. Why it was ended, if it was, is the guard's to say. */
  readonly failure: Failure | null;
  readonly guard: Guard | null;
}

const drainMs = 300;

export async function runScript(request: ScriptRequest): Promise<ScriptEnd> {
  const { order, output } = request;
  const file = fileOf(order);
  const half = { step: order.step.id, direction: order.direction };
  if (file === null)
    return { failure: failure('STEP_NO_FUNCTION', { ...half, file: order.step.forwardFile, found: 'undefined' }), guard: null };
  const isDriven = order.step.kind === 'py' && !order.step.isPlainScript;
  const argv = isDriven
    ? ['python3', '-B', '-u', '-c', pythonDriver, file, order.direction, request.root]
    : order.step.isPlainScript
      ? plainCommand(order, file)
      : shellCommand(file, order.direction);
  const [command = 'sh', ...args] = argv;
  const child = spawn(command, args, {
    cwd: request.root,
    env: request.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', request.lockFd ?? 'ignore', ...(isDriven ? (['pipe'] as const) : [])],
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) =>
    child.once('exit', (code, signal) => done({ code, signal })),
  );
  const problem = await new Promise<Error | null>((started) => {
    child.once('spawn', () => started(null));
    child.once('error', started);
  });
  if (problem !== null || child.pid === undefined) {
    return {
      failure: failure('STEP_INTERPRETER', { step: order.step.id, file: basename(file), interpreter: command, error: messageOf(problem) }),
      guard: null,
    };
  }
  const guard = request.guard(child.pid);
  let report = '';
  const pipes = [child.stdout, child.stderr, child.stdio[4]].filter((pipe) => pipe !== null && pipe !== undefined) as Readable[];
  const drained = Promise.all(pipes.map((pipe) => new Promise((done) => void pipe.once('close', done))));
  child.stdout?.on('data', (chunk: Buffer) => output.write('stdout', chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.write('stderr', chunk));
  pipes[2]?.on('data', (chunk: Buffer) => {
    report = (report + chunk.toString('utf8')).slice(0, 4096);
  });
  const { code, signal } = await exited;
  await Promise.race([drained, sleep(drainMs)]);
  for (const pipe of pipes) pipe.destroy();
  return { failure: isDriven ? pythonFailure(order, file, code, signal, report) : exitFailure(order, code, signal), guard };
}

export function fileOf({ step, direction, dir }: StepOrder): string | null {
  const name = direction === 'forward' ? step.forwardFile : (step.backwardFile ?? (step.hasBackward ? step.forwardFile : null));
  return name === null ? null : join(dir, name);
}

function exitFailure({ step, direction }: StepOrder, code: number | null, signal: NodeJS.Signals | null): Failure | null {
  const half = { step: step.id, direction };
  if (signal !== null) return failure('STEP_KILLED', { ...half, signal });
  return code === 0 ? null : failure('STEP_FAILED', { ...half, how: { kind: 'exit-code', code: code ?? -1 } });
}

function pythonFailure(order: StepOrder, file: string, code: number | null, signal: NodeJS.Signals | null, report: string): Failure | null {
  const half = { step: order.step.id, direction: order.direction };
  const [word = '', ...rest] = report.split(' ');
  const text = rest.join(' ');
  switch (word) {
    case 'done':
      return signal === null && code === 0 ? null : exitFailure(order, code, signal);
    case 'false':
      return failure('STEP_FAILED', { ...half, how: { kind: 'returned-false' } });
    case 'threw':
      return failure('STEP_FAILED', { ...half, how: { kind: 'threw', error: text } });
    case 'syntax':
      return failure('STEP_SYNTAX', { file, error: text }, { place: { file } });
    case 'import':
      return failure('STEP_IMPORT', { file, error: text }, { place: { file } });
    case 'no-function':
      return failure('STEP_NO_FUNCTION', { ...half, file: basename(file), found: text });
    default:
      return signal === null ? failure('STEP_EXITED', { ...half, code: code ?? -1 }) : exitFailure(order, code, signal);
  }
}

/** As the systems that have such scripts start them: with bash or python3, whatever the first line and the mode bits say. */
function plainCommand({ step }: StepOrder, file: string): readonly string[] {
  return step.kind === 'py' ? ['python3', '-B', '-u', file] : ['bash', file];
}

/** As the kernel reads a `#!` line: the interpreter, and all the rest as one argument. The private copy need not be executable. */
function shellCommand(file: string, direction: string): readonly string[] {
  const found = /^#![ \t]*(\S+)(?:[ \t]+(.*?))?[ \t]*\r?\n/.exec(`${firstBytes(file)}\n`);
  if (found === null) return ['sh', file, direction];
  const [, interpreter = 'sh', argument = ''] = found;
  return [interpreter, ...(argument === '' ? [] : [argument]), file, direction];
}

function firstBytes(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(512);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(fd);
  }
}
