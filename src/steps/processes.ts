// Processes as /proc shows them: who carries a step's mark, who is in a group, how much memory they use. Empty where there is no /proc.
import { readFileSync, readdirSync } from 'node:fs';
import type { Survivor } from '../model/run.ts';

/** What every process of a step inherits in its environment. `step: null` is any step of the run. */
export interface Mark {
  readonly runId: string;
  readonly step: string | null;
}

/** Those that carry the mark, wherever they have gone: a `setsid` grandchild leaves the group but keeps its environment. */
export function markedProcesses({ runId, step }: Mark): readonly Survivor[] {
  return allPids()
    .filter((pid) => pid !== process.pid && hasMark(read(`/proc/${pid}/environ`), runId, step))
    .map((pid) => ({ pid, command: commandOf(pid) }));
}

function hasMark(environ: string, runId: string, step: string | null): boolean {
  if (environ === '') return false;
  const entries = `\0${environ}`;
  return (
    entries.includes(`\0UPGRADE_RUN_ID=${runId}\0`) && entries.includes(step === null ? '\0UPGRADE_STEP=' : `\0UPGRADE_STEP=${step}\0`)
  );
}

/** Resident memory of a process group and everyone else who carries the mark, in bytes. */
export function memoryOf(groupId: number, mark: Mark): number {
  const pids = new Set([...groupMembers(groupId), ...markedProcesses(mark).map(({ pid }) => pid)]);
  return [...pids].reduce((sum, pid) => sum + residentBytes(pid), 0);
}

export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

function groupMembers(groupId: number): readonly number[] {
  return allPids().filter((pid) => {
    // The command may hold spaces and parentheses: what counts comes after its last one.
    const stat = read(`/proc/${pid}/stat`);
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === groupId;
  });
}

/** What the machine could still give, in bytes; `null` where it does not say. */
export function availableMemory(): number | null {
  const found = /^MemAvailable:\s*(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  return found === undefined ? null : Number(found) * 1024;
}

/** To the group, and to marked processes outside it. Who has ended meanwhile is no problem. */
export function signalStep(groupId: number, mark: Mark, signal: NodeJS.Signals): void {
  const outside = markedProcesses(mark).map(({ pid }) => pid);
  for (const target of [-groupId, ...outside]) sendSignal(target, signal);
}

export function sendSignal(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error;
  }
}

function commandOf(pid: number): string {
  return Buffer.from(read(`/proc/${pid}/cmdline`), 'latin1')
    .toString('utf8')
    .split('\0')
    .join(' ')
    .trim();
}

function allPids(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
