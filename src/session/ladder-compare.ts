// What another tool recorded of a ladder, against the files that lie on disk now.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { LadderConfig } from '../model/config.ts';
import { fail, failure, messageOf, type Failure } from '../model/failure.ts';
import type { LadderFile, LadderOnDisk, RecordedStep } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';

export interface Compared {
  readonly gaps: readonly number[];
  readonly missing: readonly number[];
  readonly changed: readonly number[];
  readonly problems: readonly Finding[];
}

export const nothingToCompare: Compared = { gaps: [], missing: [], changed: [], problems: [] };

/** The record against the files. None of it keeps a ladder from being adopted: the record says what was done, not what lies on disk. */
export function compareRecord(ladder: string, applied: readonly RecordedStep[], { files }: LadderOnDisk, { dir }: LadderConfig): Compared {
  const numbers = new Set(applied.map(({ number }) => number));
  const height = applied.at(-1)?.number ?? 0;
  const until = files.findLastIndex(({ number }) => numbers.has(number));
  const gaps = files.slice(0, Math.max(0, until)).flatMap(({ number }) => (numbers.has(number) ? [] : [number]));
  const problems: Finding[] =
    gaps.length === 0 ? [] : [asFinding('warn', failure('LADDER_GAP', { ladder, numbers: gaps, height }, { place: { file: dir } }))];
  const missing: number[] = [];
  const changed: number[] = [];
  for (const step of applied) {
    const file = fileOf(step, files);
    if (file === null) {
      missing.push(step.number);
      const wanted = path.join(dir, /\.[a-z]+$/.test(step.name) ? step.name : `${step.name}.…`);
      problems.push(
        asFinding(
          'warn',
          failure('LADDER_FILE_MISSING', { ladder, step: step.name, wanted }, { place: { file: wanted.replace(/\.…$/, '') } }),
        ),
      );
      continue;
    }
    if (step.sha256 === null) continue;
    const actual = sha256Of(file.file);
    if (actual === null || actual === step.sha256) continue;
    changed.push(step.number);
    problems.push(
      asFinding(
        'warn',
        failure('LADDER_STEP_EDITED', { ladder, step: step.name, recorded: step.sha256, actual }, { place: { file: file.file } }),
      ),
    );
  }
  return { gaps, missing, changed, problems };
}

/** By number; where a file name was recorded, the file must have that name. */
export function fileOf({ number, name }: RecordedStep, files: readonly LadderFile[]): LadderFile | null {
  const same = files.filter((file) => file.number === number);
  if (!/\.(ts|js|mjs|sql|sh|py)$/.test(name)) return same[0] ?? null;
  return same.find(({ file }) => path.basename(file) === path.basename(name)) ?? null;
}

export function duplicatesIn(applied: readonly RecordedStep[], { files }: LadderOnDisk): readonly number[] {
  const twice = (numbers: readonly number[]) => numbers.filter((number, at) => numbers.indexOf(number) !== at);
  return [...new Set([...twice(applied.map(({ number }) => number)), ...twice(files.map(({ number }) => number))])];
}

/** `null`: there is no such file. */
export function sha256Of(file: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch (error) {
    if (messageOf(error).includes('ENOENT')) return null;
    throw fail('FILE_UNREADABLE', { file, error: messageOf(error) }, { place: { file } }, error);
  }
}

export function asFinding(level: Finding['level'], { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}
