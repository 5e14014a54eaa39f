// Moves and copies files and folders with everything that belongs to them: mode, owner, times, links as links.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  cpSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFolder } from './atomic-file.ts';

/** The target must not exist. Everything is on disk when it returns. */
export function copyTree(from: string, to: string): void {
  const found = lstatSync(from);
  if (found.isDirectory()) {
    mkdirSync(to, { mode: 0o700 });
    for (const name of readdirSync(from)) copyTree(join(from, name), join(to, name));
    syncFolder(to);
  } else if (found.isSymbolicLink()) {
    symlinkSync(readlinkSync(from), to);
  } else if (found.isFile()) {
    // Shares the blocks where the file system can.
    copyFileSync(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    syncFile(to);
  } else {
    cpSync(from, to); // A socket or a device: says why it cannot be copied.
  }
  setAttributes(to, found);
}

/** Owner first, as a change of owner clears setuid bits; times last. Who may not change owners keeps those that the system gives. */
export function setAttributes(
  path: string,
  found: Pick<Stats, 'uid' | 'gid' | 'mode' | 'atimeMs' | 'mtimeMs'> & { readonly isSymbolicLink: () => boolean },
): void {
  const isLink = found.isSymbolicLink();
  const now = lstatSync(path);
  if (now.uid !== found.uid || now.gid !== found.gid) (isLink ? lchownSync : chownSync)(path, found.uid, found.gid);
  if (!isLink) chmodSync(path, found.mode & 0o7777);
  (isLink ? lutimesSync : utimesSync)(path, found.atimeMs / 1000, found.mtimeMs / 1000);
}

/** By rename; between devices by a copy beside the target, so that the target is never half there. */
export function moveTree(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isCrossDevice(error)) throw error;
    const staged = join(dirname(to), `.${Buffer.from(to).toString('hex').slice(-24)}.rungs-tmp`);
    rmSync(staged, { recursive: true, force: true });
    copyTree(from, staged);
    renameSync(staged, to);
    syncFolder(dirname(to));
    rmSync(from, { recursive: true });
  }
  syncFolder(dirname(to));
  syncFolder(dirname(from));
}

export function isCrossDevice(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EXDEV';
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
