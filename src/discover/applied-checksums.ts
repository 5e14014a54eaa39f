// The checksums that applied steps' files have now, to be held against those that were applied. Line endings do not count as an edit.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { AppliedStep } from '../model/run.ts';

/** By step id; steps whose file is gone are left out. What differs in line endings alone is given the checksum that was applied. */
export function appliedChecksums(migrations: string, applied: readonly AppliedStep[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [transition, steps] of Map.groupBy(applied, ({ stepId }) => stepId.slice(0, stepId.indexOf('/')))) {
    const dir = path.join(migrations, transition);
    if (!existsSync(dir)) continue;
    // The forward's file is hashed before the backward's.
    const names = readdirSync(dir).toSorted((a, b) => Number(a.endsWith('.down.sql')) - Number(b.endsWith('.down.sql')));
    for (const step of steps) {
      const stem = step.stepId.slice(transition.length + 1);
      const files = names.filter((name) => name.startsWith(`${stem}.`)).map((name) => readFileSync(path.join(dir, name)));
      if (files.length > 0) found.set(step.stepId, checksum(files, step.sha256));
    }
  }
  return found;
}

/** What differs from `expected` in line endings alone is given that. */
export function checksum(files: readonly Buffer[], expected: string | null): string {
  const actual = digest(files);
  if (expected === null || actual === expected) return actual;
  const spellings = [files.map((bytes) => withLineEnds(bytes, '\n')), files.map((bytes) => withLineEnds(bytes, '\r\n'))];
  return spellings.some((spelling) => digest(spelling) === expected) ? expected : actual;
}

function digest(files: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const bytes of files) hash.update(bytes);
  return hash.digest('hex');
}

function withLineEnds(bytes: Buffer, end: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n').replaceAll('\n', end), 'latin1');
}
