// Where the steps of a ladder that were applied lie now: among the copies of the runs that applied them, or on disk, if their checksums are
// what was recorded. The way down runs these, not what lies in the folder by chance.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { checksum } from '../discover/applied-checksums.ts';
import { ladderStepId } from '../discover/ladder-steps.ts';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import type { LadderFile, LadderOnDisk, LadderStep } from '../model/ladder.ts';
import { packName, unpackSteps } from '../model/step-pack.ts';
import { runDir } from './held-run.ts';
import type { OpenedLadder } from './ladder-plans.ts';

/** Where the steps that were applied lie now: among the copies of their runs, or on disk. */
export function locator(
  config: Config,
  { name, ladder, onDisk }: OpenedLadder,
): (step: LadderStep | undefined) => { readonly dir: string; readonly file: LadderFile } | Failure {
  const archives = new Map<string, ReadonlyMap<string, string>>();
  const byNumber = filesByNumber(onDisk);
  return (step) => {
    if (step === undefined) return failure('INTERNAL', { error: 'a step that is not applied was to be taken back' });
    if (step.runId !== null) {
      const archive = archives.get(step.runId) ?? archivedSteps(path.join(runDir(config, step.runId), 'steps'), name);
      archives.set(step.runId, archive);
      const archived = archive.get(step.name);
      if (archived !== undefined) return { dir: path.dirname(archived), file: { number: step.number, name: step.name, file: archived } };
    }
    const file = byNumber.get(step.number);
    const wanted = path.join(ladder.dir, step.name);
    if (file === undefined) return failure('LADDER_FILE_MISSING', { ladder: name, step: step.name, wanted }, { place: { file: wanted } });
    const actual = step.sha256 === null ? null : currentSha256(file, step.sha256);
    if (actual === null || step.sha256 === null || actual === step.sha256) return { dir: ladder.dir, file };
    const id = ladderStepId(name, file);
    return failure('LADDER_EDITED', { ladder: name, step: id, recorded: step.sha256, actual }, { place: { file: file.file } });
  };
}

/** The copies that a run has kept of a ladder's steps: `005_x` to the file. */
function archivedSteps(copies: string, ladder: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const folder of existsSync(copies) ? readdirSync(copies) : []) {
    // What made a fresh database is no step of the ladder, though it may be named like one.
    if (!folder.startsWith(`${ladder}@`) || folder.endsWith('-fresh')) continue;
    const dir = path.join(copies, folder);
    const pack = path.join(dir, packName);
    const packed = existsSync(pack) ? [...(unpackSteps(readFileSync(pack))?.keys() ?? [])] : [];
    for (const file of [...readdirSync(dir), ...packed]) {
      if (!/\.down\.[a-z]+$/.test(file)) found.set(file.replace(/(\.up)?\.[a-z]+$/, ''), path.join(dir, file));
    }
  }
  return found;
}

export function filesByNumber({ files }: LadderOnDisk): ReadonlyMap<number, LadderFile> {
  // The first of several with one number: those are an error anyway.
  return new Map(files.toReversed().map((file) => [file.number, file]));
}

/** Of both halves where there are two; what differs in line endings alone is no edit. */
export function currentSha256(file: LadderFile, expected: string): string {
  const forward = readFileSync(file.file);
  const down = file.file.replace(/(\.up)?\.(sql|sh|py)$/, '.down.$2');
  if (down === file.file || !existsSync(down)) return checksum([forward], expected);
  // Another tool took the checksum of the forward file alone.
  const alone = checksum([forward], expected);
  return alone === expected ? expected : checksum([forward, readFileSync(down)], expected);
}
