// `ctx.exec`: runs a command in the step's process group, streams its output to the step's log, and keeps only the end of it in memory.
import { resolve } from 'node:path';
import type { ExecOptions, ExecResult, StepExec } from '../../step-api.ts';

const keptBytes = 1024 * 1024;
/** How long output may still come after the command has ended, where a daemon of it keeps the pipe open. */
const drainMs = 200;

/** `onStart` is called before the first effect. */
export function createExec(root: string, signal: AbortSignal, onStart: (command: string) => void): StepExec {
  return async (command, args = [], options = {}) => {
    onStart(command);
    const { execa } = await import('execa');
    const child = execa(command, [...args], {
      cwd: resolve(root, options.cwd ?? '.'),
      env: { ...options.env },
      stdin: options.input === undefined ? 'ignore' : 'pipe',
      ...(options.input === undefined ? {} : { input: options.input }),
      stdout: 'pipe',
      stderr: 'pipe',
      buffer: false,
      reject: false,
      cleanup: false,
      preferLocal: false,
      cancelSignal: signal,
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    });
    const stdout = keepEnd(child.stdout, process.stdout);
    const stderr = keepEnd(child.stderr, process.stderr);
    // Not the promise alone: it waits for the pipes too, which a daemon may hold for ever.
    const settled = child.then((result) => result);
    const exited = new Promise<void>((done) => void child.once('exit', () => setTimeout(done, drainMs)));
    const result = await Promise.race([settled, exited.then(() => null)]);
    const exitCode = result?.exitCode ?? child.exitCode ?? -1;
    if (result?.failed === true && result.exitCode === undefined && result.signal === undefined)
      throw new Error(result.originalMessage ?? result.shortMessage ?? `${command} failed`);
    if (result?.timedOut === true) throw new Error(`${command} did not end within ${options.timeoutMs} ms`);
    const ended: ExecResult = { exitCode, stdout: stdout(), stderr: stderr() };
    return settle(command, args, options, ended, child.signalCode);
  };
}

function settle(command: string, args: readonly string[], options: ExecOptions, ended: ExecResult, signal: string | null): ExecResult {
  if (options.reject === false || (ended.exitCode === 0 && signal === null)) return ended;
  const how = signal === null ? `ended with exit code ${ended.exitCode}` : `was killed by ${signal}`;
  throw Object.assign(new Error(`${[command, ...args].join(' ')} ${how}`), ended);
}

interface Source {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
}

/** Passing on is synchronous (a pipe), so the command waits for a slow reader instead of filling memory. */
function keepEnd(source: Source, sink: NodeJS.WriteStream): () => string {
  let chunks: Buffer[] = [];
  let bytes = 0;
  source.on('data', (chunk) => {
    sink.write(chunk);
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > 2 * keptBytes) {
      chunks = [Buffer.concat(chunks).subarray(-keptBytes)];
      bytes = keptBytes;
    }
  });
  return () => Buffer.concat(chunks).subarray(-keptBytes).toString('utf8').replace(/\n$/, '');
}
