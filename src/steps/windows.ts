// When steps were at work, in the time of the file system itself: what was last changed outside of it, was changed by somebody else. One file per run.
// Not synced: after a power cut a line may be missing, and then nothing is concluded from it.
import { closeSync, existsSync, fstatSync, futimesSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { StepWindow } from '../model/ports.ts';

/** What works between the two is that step's half, or the taking back of what it recorded. */
export type Work = 'apply' | 'revert' | 'undo';

interface Line {
  readonly steps: readonly string[];
  readonly work: Work;
  readonly at: 'begin' | 'end';
  readonly time: string;
}

export async function withinWindow<T>(runDir: string, steps: readonly string[], work: Work, action: () => Promise<T>): Promise<T> {
  note(runDir, { steps, work, at: 'begin' });
  try {
    return await action();
  } finally {
    note(runDir, { steps, work, at: 'end' });
  }
}

/** In order. `end` is `null` where nobody was there to see it. */
export function readWindows(runDir: string): readonly StepWindow[] {
  const file = fileIn(runDir);
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const windows: { steps: readonly string[]; work: Work; begin: bigint; end: bigint | null }[] = [];
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue;
    const { steps, work, at, time }: Line = JSON.parse(line);
    const last = windows.at(-1);
    if (at === 'begin') windows.push({ steps, work, begin: BigInt(time), end: null });
    else if (last !== undefined) last.end = BigInt(time);
  }
  return windows;
}

function note(runDir: string, line: Omit<Line, 'time'>): void {
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const descriptor = openSync(fileIn(runDir), 'a', 0o600);
  try {
    // A file that is touched tells the very clock by which other files are stamped; the process's own runs a little ahead of it.
    const now = new Date();
    futimesSync(descriptor, now, now);
    const time = String(fstatSync(descriptor, { bigint: true }).ctimeNs);
    writeSync(descriptor, `${JSON.stringify({ ...line, time })}\n`);
  } catch {
    // A full disk must not keep a step from running, nor from being undone.
  } finally {
    closeSync(descriptor);
  }
}

function fileIn(runDir: string): string {
  return join(runDir, 'windows.ndjson');
}
