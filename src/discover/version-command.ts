// Runs the command that prints the installed version, with a deadline and a limit to what it may print.
import { spawn } from 'node:child_process';
import { messageOf } from '../model/failure.ts';

const deadlineMs = 30_000;
const outputLimit = 64 * 1024;

export type CommandOutput = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

export function outputOf([program = '', ...args]: readonly string[], cwd: string, timeoutMs = deadlineMs): Promise<CommandOutput> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let [text, errors] = ['', ''];
    let why: string | null = null;
    const stop = (reason: string) => {
      why ??= reason;
      // The whole group: a shell's children would keep the pipes open.
      if (child.pid !== undefined) killGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => stop(`it did not end within ${timeoutMs / 1000} s`), timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > outputLimit) stop('it prints more than a version');
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors = (errors + chunk).slice(-outputLimit);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ ok: false, why: 'code' in error && error.code === 'ENOENT' ? `there is no program ${program}` : messageOf(error) });
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      // What it printed may still be in the pipe; a background child that keeps the pipe open is not waited for.
      const drained = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, drainMs);
      child.on('close', () => {
        clearTimeout(drained);
        if (why !== null) resolve({ ok: false, why });
        else if (code === 0) resolve({ ok: true, text });
        else resolve({ ok: false, why: `it ended with ${signal === null ? `exit code ${code}` : signal}${lastLine(errors)}` });
      });
    });
  });
}

const drainMs = 500;

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : ` (${line})`;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Gone already: that is what was wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
