// data/uploads/2024/ada1--note.txt moves to data/uploads/ada1/2024--note.txt, and back. Each move is one rename.
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { defineStep } from 'rungs';
import type { StepContext } from 'rungs';

const uploads = 'data/uploads';

export default defineStep({
  description: 'Give each user a folder of uploads',
  requiresRestart: ['web'],
  estimatedDuration: '1s',
  idempotent: true,

  // Asked when a run was killed while this step was at work.
  check: async (ctx) => {
    const [byYear, byUser] = [await filesByYear(ctx), await filesByUser(ctx)];
    if (byYear.length > 0 && byUser.length > 0) return 'partial';
    return byYear.length > 0 ? 'not-applied' : 'applied';
  },

  forward: async (ctx) => {
    await moveAll(ctx, await filesByYear(ctx));
    await relink(ctx, /^(\d{4})\/(.+?)--(.+)$/, '$2/$1--$3');
    await ctx.files.updateYaml('config/app.yaml', (doc) => doc.setIn(['uploads', 'layout'], 'by-user'));
  },

  backward: async (ctx) => {
    await moveAll(ctx, await filesByUser(ctx));
    await relink(ctx, /^(.+)\/(\d{4})--(.+)$/, '$2/$1--$3');
    await ctx.files.updateYaml('config/app.yaml', (doc) => doc.setIn(['uploads', 'layout'], 'by-year'));
  },
});

interface Move {
  readonly folder: string;
  readonly from: string;
  readonly to: string;
}

function filesByYear(ctx: StepContext): Promise<readonly Move[]> {
  return movesOf(
    ctx,
    (folder) => /^\d{4}$/.test(folder),
    /^(.+?)--(.+)$/,
    (year, [, login, name]) => `${login}/${year}--${name}`,
  );
}

function filesByUser(ctx: StepContext): Promise<readonly Move[]> {
  return movesOf(
    ctx,
    (folder) => !/^(\d{4}|incoming)$/.test(folder),
    /^(\d{4})--(.+)$/,
    (login, [, year, name]) => `${year}/${login}--${name}`,
  );
}

// To look, plain `node:fs` is fine. To change something, `files` is better.
async function movesOf(
  { root }: StepContext,
  isWanted: (folder: string) => boolean,
  pattern: RegExp,
  target: (folder: string, match: RegExpExecArray) => string,
): Promise<readonly Move[]> {
  const moves: Move[] = [];
  const entries = await readdir(join(root, uploads), { withFileTypes: true });
  for (const { name: folder } of entries.filter((entry) => entry.isDirectory() && isWanted(entry.name))) {
    for (const name of (await readdir(join(root, uploads, folder))).toSorted()) {
      const match = pattern.exec(name);
      if (match !== null)
        moves.push({ folder: `${uploads}/${folder}`, from: `${uploads}/${folder}/${name}`, to: `${uploads}/${target(folder, match)}` });
    }
  }
  return moves;
}

async function moveAll({ files, progress, signal }: StepContext, moves: readonly Move[]): Promise<void> {
  for (const [index, { from, to }] of moves.entries()) {
    // A step that is asked to stop may stop between two moves: the backward copes with any half.
    signal.throwIfAborted();
    await files.move(from, to);
    progress(index + 1, moves.length, 'files');
  }
  for (const folder of new Set(moves.map(({ folder }) => folder))) {
    // `remove` takes a folder with all that is in it, so look first.
    if ((await files.list(folder)).length === 0) await files.remove(folder);
  }
}

/** The link to the newest upload follows the file. `symlink` puts the new link in the old one's place, so it is never missing. */
async function relink({ files, root }: StepContext, pattern: RegExp, replacement: string): Promise<void> {
  const target = await readlink(join(root, uploads, 'latest')).catch(() => '');
  if (pattern.test(target)) await files.symlink(target.replace(pattern, replacement), `${uploads}/latest`);
}
