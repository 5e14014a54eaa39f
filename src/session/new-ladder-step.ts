// Writes the next step of a ladder: a numbered file in its folder, or a script with its entry at the end of the index.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replaceFile } from '../discover/replace-file.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import { fail, UpgradeError } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import { asFailures, readLadder } from './ladders.ts';
import { writeStep } from './write-step.ts';

type Kind = 'ts' | 'sql' | 'sh' | 'py';

interface Request {
  readonly ladder: string;
  readonly name: string;
  /** `null`: what the ladder mostly holds. */
  readonly kind: Kind | null;
  /** `isScript`: it is run as it is, with no argument, and has no way back. */
  readonly text: (kind: Kind, about: { readonly database: string | null; readonly isScript: boolean }) => string;
}

/** Throws LADDER_UNKNOWN, NEW_STEP_KIND, and what is wrong with the ladder on disk. */
export async function newLadderStep(config: Config, request: Request): Promise<{ readonly file: string; readonly index?: string }> {
  const ladder = config.ladders[request.ladder];
  const known = Object.keys(config.ladders);
  if (ladder === undefined)
    throw fail(
      'LADDER_UNKNOWN',
      { ladder: request.ladder, nearest: nearest(request.ladder, known), known },
      { place: { file: config.file } },
    );
  if (ladder.kind === 'folder') return { file: inFolder(ladder, request) };
  return inIndex(ladder, ladder.index, request);
}

function inFolder(ladder: LadderConfig & { readonly kind: 'folder' }, { ladder: name, name: title, kind, text }: Request): string {
  const { files } = readLadder(name, ladder);
  const next = Math.max(0, ...files.map(({ number }) => number)) + 1;
  // As wide as the others, which may come from another tool.
  const width = Math.max(3, /^\d+/.exec(path.basename(files.at(-1)?.file ?? ''))?.[0].length ?? 0);
  const chosen = kind ?? 'sql';
  const file = path.join(ladder.dir, `${String(next).padStart(width, '0')}_${title}.${chosen}`);
  writeStep(file, text(chosen, { database: ladder.database, isScript: false }));
  return file;
}

async function inIndex(
  ladder: LadderConfig,
  index: string,
  { ladder: name, name: title, kind, text }: Request,
): Promise<{ readonly file: string; readonly index: string }> {
  const chosen = kind ?? 'sh';
  if (chosen !== 'sh' && chosen !== 'py') throw fail('NEW_STEP_KIND', { kind: chosen, ladder: name, known: ['sh', 'py'] });
  const { problems } = readLadder(name, ladder);
  const blocking = asFailures(problems.filter(({ level }) => level === 'block'));
  if (blocking.length > 0) throw new UpgradeError(blocking);
  const before = readFileSync(index, 'utf8');
  const value: unknown = JSON.parse(before.replace(/^\uFEFF/, ''));
  const list = Array.isArray(value)
    ? value
    : typeof value === 'object' && value !== null && 'migrations' in value && Array.isArray(value.migrations)
      ? value.migrations
      : [];
  // Also above those whose script is gone.
  const ids = list.map((entry: unknown) => (typeof entry === 'object' && entry !== null && 'id' in entry ? Number(entry.id) : 0));
  const id = String(Math.max(0, ...ids) + 1).padStart(8, '0');
  list.push({ id, description: title.replaceAll(/[_-]+/g, ' '), has_run: false });
  const file = path.join(ladder.dir, `${id}.${chosen}`);
  // The script first: an entry without its script would stop the ladder.
  writeStep(file, text(chosen, { database: null, isScript: true }));
  await replaceFile(index, `${JSON.stringify(value, null, /\n( +|\t)\S/.exec(before)?.[1] ?? 2)}\n`);
  return { file, index };
}
