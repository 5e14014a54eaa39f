// Turns what a step writes as a path into a real one. Promises that it lies inside the root, with all links resolved, and not where the upgrade keeps its own.
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fail } from '../../model/failure.ts';

export interface Confinement {
  /** Absolute, links resolved. */
  readonly root: string;
  readonly protectedPaths: readonly string[];
  readonly step: string;
}

/** `follow`: what a link at the end points to is meant; else the link itself. Throws STEP_PATH_OUTSIDE, STEP_PATH_PROTECTED. */
export function confine(path: string, { root, protectedPaths, step }: Confinement, follow: boolean): string {
  const lexical = resolve(root, path);
  const real = follow ? realPath(lexical, 0) : join(realPath(dirname(lexical), 0), basename(lexical));
  const meant = lexical === root ? root : real;
  if (!isWithin(meant, root) || path.includes('\0') || (meant === root && !follow))
    throw fail('STEP_PATH_OUTSIDE', { step, path, target: meant, root }, { step });
  for (const each of protectedPaths) {
    const kept = realPath(each, 0);
    // A folder that holds the state must not be moved or removed either, but a new file beside it is fine.
    if (isWithin(meant, kept) || (isWithin(kept, meant) && !follow)) throw fail('STEP_PATH_PROTECTED', { step, path }, { step });
  }
  return meant;
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** Also for what is not there yet: the part that is there is resolved, dangling links included. */
function realPath(path: string, hops: number): string {
  if (hops > 40) throw new Error(`too many links at ${path}`);
  try {
    return realpathSync(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))) throw error;
  }
  const parent = dirname(path);
  if (parent === path) return path;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() === true) return realPath(resolve(realPath(parent, hops + 1), readlinkSync(path)), hops + 1);
  return join(realPath(parent, hops + 1), basename(path));
}
