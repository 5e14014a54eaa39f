// Keeps what a restore takes away: nothing that was there before is ever destroyed.
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { namesIn, toBytes } from './names.ts';

/** Where a path goes, and the folders that have to be synced when all is done. */
export interface Aside {
  readonly dir: string;
  readonly touched: Set<string>;
}

/** Moves `live` to `<dir>/<path>` (`~2` and so on where that is taken). Across file systems it is copied, synced and then removed. */
export function moveAside(live: string, { dir, touched }: Aside, path: string): void {
  const target = freePlace(live, dir, path);
  try {
    // A rename between two names of one inode does nothing: an earlier attempt has already kept it.
    if (isSameInode(live, target)) unlinkSync(toBytes(live));
    else renameSync(toBytes(live), toBytes(target));
  } catch (error) {
    if (!hasCode(error, 'EXDEV')) throw error;
    copyWhole(live, target);
    syncDirectory(dirname(target));
    removeTree(live);
  }
  touched.add(dirname(live)).add(dirname(target));
}

/** Gives `live` a second name aside, so that the first can be renamed over without a moment in which nothing is there. */
export function keepAside(live: string, { dir, touched }: Aside, path: string): void {
  const target = freePlace(live, dir, path);
  if (isSameInode(live, target)) return;
  // A file that keeps a name in the installation must not share its contents with what is kept aside.
  if (lstatSync(toBytes(live)).nlink > 1 || !tryLink(live, target)) copyWhole(live, target);
  touched.add(dirname(target));
}

/** False where the file system cannot: another one, or one without hard links. */
function tryLink(live: string, target: string): boolean {
  try {
    linkSync(toBytes(live), toBytes(target));
    return true;
  } catch (error) {
    if (hasCode(error, 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) return false;
    throw error;
  }
}

/** Under its name only when it is whole. */
function copyWhole(live: string, target: string): void {
  const partial = `${target}.partial`;
  if (lstatSync(toBytes(partial), { throwIfNoEntry: false }) !== undefined) removeTree(partial);
  copyTree(live, partial);
  if (lstatSync(toBytes(partial), { throwIfNoEntry: false }) !== undefined) renameSync(toBytes(partial), toBytes(target));
}

function freePlace(live: string, asideDir: string, path: string): string {
  // An earlier attempt may have kept a file where this one needs a folder.
  let folder = asideDir;
  mkdirSync(asideDir, { recursive: true, mode: 0o700 });
  const parts = (path === '' ? 'root' : path).split('/');
  for (const part of parts.slice(0, -1)) {
    folder = firstPlace(join(folder, part), (stat) => stat.isDirectory());
    mkdirSync(toBytes(folder), { recursive: true, mode: 0o700 });
  }
  const own = lstatSync(toBytes(live));
  return firstPlace(join(folder, parts.at(-1) ?? 'root'), (stat) => stat.ino === own.ino && stat.dev === own.dev);
}

/** The path itself or with `~2`, `~3`…: the first that is free or that suits. */
function firstPlace(path: string, suits: (stat: Stats) => boolean): string {
  for (let number = 1; ; number += 1) {
    const place = number === 1 ? path : `${path}~${number}`;
    const stat = lstatSync(toBytes(place), { throwIfNoEntry: false });
    if (stat === undefined || suits(stat)) return place;
  }
}

function isSameInode(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => lstatSync(toBytes(path), { throwIfNoEntry: false }));
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** Sockets, FIFOs and devices hold nothing that could be copied. */
function copyTree(from: string, to: string): void {
  const stat = lstatSync(toBytes(from));
  if (stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(toBytes(from), 'buffer'), toBytes(to));
  } else if (stat.isDirectory()) {
    mkdirSync(toBytes(to), { mode: 0o700 });
    for (const name of namesIn(from)) copyTree(join(from, name), join(to, name));
  } else if (stat.isFile()) {
    copyFileSync(toBytes(from), toBytes(to), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } else {
    return;
  }
  lchownSync(toBytes(to), stat.uid, stat.gid);
  if (!stat.isSymbolicLink()) {
    const descriptor = openSync(toBytes(to), 'r');
    fsyncSync(descriptor);
    closeSync(descriptor);
    chmodSync(toBytes(to), stat.mode & 0o7777);
  }
  lutimesSync(toBytes(to), stat.atime, stat.mtime);
}

function removeTree(path: string): void {
  if (!lstatSync(toBytes(path)).isDirectory()) return unlinkSync(toBytes(path));
  for (const name of namesIn(path)) removeTree(join(path, name));
  rmdirSync(toBytes(path));
}

export function syncDirectory(folder: string): void {
  const descriptor = openSync(toBytes(folder), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
