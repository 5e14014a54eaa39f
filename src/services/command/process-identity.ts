// Tells one process from the next with the same PID: the PID and the time at which it started, as the kernel counts it.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** `4711:1234567`, or `null` where no such process lives. A zombie does not live. */
export async function processIdentity(pid: number): Promise<string | null> {
  const started = process.platform === 'linux' ? await startOnLinux(pid) : await startElsewhere(pid);
  return started === null ? null : `${pid}:${started}`;
}

/** The PID in a file such as daemons keep, or `null` where the file is not there or holds none. */
export async function readPidFile(file: string): Promise<number | null> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw error;
  });
  const pid = /^\s*(\d+)/.exec(text)?.[1];
  return pid === undefined || Number(pid) <= 0 ? null : Number(pid);
}

async function startOnLinux(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (stat === null) return null;
  // The second field is the command's name in parentheses and may hold anything, parentheses and spaces too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' || start === undefined ? null : start;
}

async function startElsewhere(pid: number): Promise<string | null> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { timeout: 5_000 }).catch(() => ({
    stdout: '',
  }));
  const [, state, start] = /^(\S+)\s+(.+?)\s*$/.exec(stdout.trim()) ?? [];
  return state === undefined || start === undefined || state.startsWith('Z') ? null : start;
}
