// Reads the folder of a ladder: numbered steps in numeric order, and what is wrong with their names. Opens none of them.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { LadderFile, LadderOnDisk } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';
import { isLeftAlone } from './folder-names.ts';

// Existing trees have numbers of any length.
const stepFile = /^(\d{1,15})_(.+?)(\.up|\.down)?\.(ts|js|mjs|sql|sh|py)$/;

export function readFolderLadder({ ladder, dir }: { readonly ladder: string; readonly dir: string }): LadderOnDisk {
  let names: readonly string[];
  try {
    names = readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
  } catch (error) {
    const why = messageOf(error).includes('ENOENT')
      ? 'does not exist'
      : messageOf(error).includes('ENOTDIR')
        ? 'is not a folder'
        : `cannot be read: ${messageOf(error)}`;
    return { files: [], problems: [finding('block', failure('LADDER_DIR_MISSING', { ladder, dir, why }, { place: { file: dir } }))] };
  }
  const problems: Finding[] = [];
  const files: LadderFile[] = [];
  for (const name of names) {
    const match = stepFile.exec(name);
    // What begins with a number is meant as a step; a `schema.sql` beside them is not.
    if (match === null && /^\d/.test(name) && !isLeftAlone(name))
      problems.push(finding('block', failure('LADDER_FILE_NAME', { ladder, name }, { place: { file: path.join(dir, name) } })));
    if (match === null || match[3] === '.down') continue;
    files.push({ number: Number(match[1]), name: `${match[1] ?? ''}_${match[2] ?? ''}`, file: path.join(dir, name) });
  }
  files.sort((a, b) => a.number - b.number);
  for (const [number, same] of Map.groupBy(files, (file) => file.number)) {
    if (same.length < 2) continue;
    const shown = same.map(({ file }) => path.basename(file));
    problems.push(
      finding(
        'warn',
        failure(
          'LADDER_DUPLICATE',
          { ladder, number, where: dir, names: shown.toSorted() },
          { place: { file: path.join(dir, shown[1] ?? '') } },
        ),
      ),
    );
  }
  return { files, problems };
}

function finding(level: Finding['level'], { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}
