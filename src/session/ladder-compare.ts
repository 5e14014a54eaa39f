// What another tool recorded of a ladder, against the files that lie on disk now.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { checksum } from '../discover/applied-checksums.ts';
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
    const others = files.filter((other) => other.number === step.number && other !== file).map((other) => path.basename(other.file));
    if (others.length > 0) {
      const details = { ladder, number: step.number, recorded: path.basename(file.file), files: others };
      problems.push(asFinding('warn', failure('LADDER_UNRECORDED_FILE', details, { place: { file: file.file } })));
    }
    const actual = step.sha256 === null ? null : sha256Of([file.file], step.sha256);
    if (step.sha256 === null || actual === null || actual === step.sha256) continue;
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

/** By number, and by name where several have it; where a file name was recorded, the file must have that name. */
export function fileOf({ number, name }: RecordedStep, files: readonly LadderFile[]): LadderFile | null {
  const same = files.filter((file) => file.number === number);
  if (!/\.(ts|js|mjs|sql|sh|py)$/.test(name)) {
    return same.find((file) => file.name === name || file.name.replace(/^\d+_/, '') === name) ?? same[0] ?? null;
  }
  return same.find(({ file }) => path.basename(file) === path.basename(name)) ?? null;
}

export function duplicatesIn(applied: readonly RecordedStep[], { files }: LadderOnDisk): readonly number[] {
  const twice = (numbers: readonly number[]) => numbers.filter((number, at) => numbers.indexOf(number) !== at);
  return [...new Set([...twice(applied.map(({ number }) => number)), ...twice(files.map(({ number }) => number))])];
}

/** What the journal keeps of a step that was adopted: of the file (of both, where there are two) as it lies there, unless another one was recorded. */
export function adoptedSha256({ sha256 }: RecordedStep, file: LadderFile | null): string | null {
  if (file === null) return sha256;
  if (sha256 !== null && sha256Of([file.file], sha256) !== sha256) return sha256;
  const down = file.file.replace(/\.up\.sql$/, '.down.sql');
  return sha256Of(down !== file.file && existsSync(down) ? [file.file, down] : [file.file], null);
}

/** What differs from `expected` in line endings alone is given that. `null`: there is no such file. */
function sha256Of(files: readonly string[], expected: string | null): string | null {
  const read: Buffer[] = [];
  for (const file of files) {
    try {
      read.push(readFileSync(file));
    } catch (error) {
      if (messageOf(error).includes('ENOENT')) return null;
      throw fail('FILE_UNREADABLE', { file, error: messageOf(error) }, { place: { file } }, error);
    }
  }
  return checksum(read, expected);
}

export function asFinding(level: Finding['level'], { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}
