// The intents of a restore, one per swap: what is about to be staged where, and whose place it will take. On disk before the first of it appears, so that
// whoever comes after a kill knows every file that was left behind without looking through the whole installation.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { syncDirectory } from './aside.ts';
import { stagedName } from './scan.ts';

export interface Swap {
  /** Of the entry. */
  readonly path: string;
  /** Absolute; renamed to where the entry belongs. */
  readonly staged: string;
}

export function intendSwaps(asideDir: string, swaps: readonly Swap[]): void {
  if (swaps.length === 0) return;
  mkdirSync(asideDir, { recursive: true, mode: 0o700 });
  const descriptor = openSync(fileIn(asideDir), 'a', 0o600);
  try {
    writeFileSync(descriptor, swaps.map((swap) => `${JSON.stringify(swap)}\n`).join(''));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  syncDirectory(asideDir);
}

/** Staged files of a restore that was killed. A torn last line was never followed by what it tells of. */
export function stagedBefore(asideDir: string): readonly string[] {
  const file = fileIn(asideDir);
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.flatMap((line) => {
    if (line === '') return [];
    const { staged }: Swap = JSON.parse(line);
    // Whatever this file says, nothing is removed that has not such a name.
    return stagedName.test(basename(staged)) ? [staged] : [];
  });
}

/** When nothing of it is left to be done. */
export function forgetSwaps(asideDir: string): void {
  rmSync(fileIn(asideDir), { force: true });
}

function fileIn(asideDir: string): string {
  return join(asideDir, '.rungs-swaps.ndjson');
}
