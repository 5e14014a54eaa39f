// The run's log for those who look on: pages of it by where they begin, and its growing end. Promises bounded work, whatever the file holds.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';

export interface LogPage {
  readonly lines: readonly unknown[];
  readonly next: number;
  readonly isEnd: boolean;
}

export interface LogTail {
  /** Output lines since the last call. */
  read(): readonly string[];
}

const pageBytes = 256 * 1024;
const tailBytes = 64 * 1024;
const mostLines = 200;

export function logFileOf(state: string, runId: string): string {
  return path.join(state, 'runs', runId, 'run.log');
}

/** `after`: the byte that the page begins at. A line that is still being written is left for the next page. */
export function readLogPage(file: string, after: number, limit: number): LogPage {
  const { text, size } = readFrom(file, after, pageBytes);
  const lines: unknown[] = [];
  let at = 0;
  while (lines.length < limit) {
    const end = text.indexOf(10, at);
    if (end < 0) break;
    const line = parseLine(text.toString('utf8', at, end));
    if (line !== null) lines.push(line);
    at = end + 1;
  }
  // A line that fills a page by itself is passed over.
  const isStuck = at === 0 && text.length === pageBytes;
  const next = after + (isStuck ? text.length : at);
  return { lines, next, isEnd: next >= size || (text.length < pageBytes && lines.length < limit) };
}

/** Begins near the end of what is there. */
export function createLogTail(file: string): LogTail {
  let at: number | null = null;
  return {
    read() {
      if (at === null) {
        const { size } = readFrom(file, 0, 0);
        at = Math.max(0, size - tailBytes);
      }
      const from = at;
      const { text } = readFrom(file, from, pageBytes);
      const end = text.lastIndexOf(10) + 1;
      at = from + (end === 0 && text.length === pageBytes ? text.length : end);
      return text
        .toString('utf8', 0, end)
        .split('\n')
        .flatMap((line) => outputOf(parseLine(line)))
        .slice(-mostLines);
    },
  };
}

function outputOf(line: unknown): readonly string[] {
  if (typeof line !== 'object' || line === null || !('type' in line) || line.type !== 'step-output') return [];
  return 'line' in line && typeof line.line === 'string' ? [line.line] : [];
}

function parseLine(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' ? value : null;
  } catch {
    return null; // Cut off by a kill.
  }
}

function readFrom(file: string, from: number, most: number): { readonly text: Buffer; readonly size: number } {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return { text: Buffer.alloc(0), size: 0 }; // There is none yet, or it was pruned.
  }
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.max(0, Math.min(most, size - from)));
    const read = buffer.length === 0 ? 0 : readSync(fd, buffer, 0, buffer.length, from);
    return { text: buffer.subarray(0, read), size };
  } finally {
    closeSync(fd);
  }
}
