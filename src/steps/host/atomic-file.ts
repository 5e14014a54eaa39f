// Replaces a file in one go: after a crash it is the old one or the new one, whole and on disk.
import { closeSync, fchmodSync, fchownSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface FileAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Beside the file, with a name that is the same at every attempt: what a kill leaves is overwritten or removed by the next. */
export function temporaryFor(file: string): string {
  return join(dirname(file), `.${basename(file)}.rungs-tmp`);
}

/** Makes missing parent folders. */
export function replaceFile(file: string, content: string | Uint8Array, attributes: FileAttributes = {}): void {
  const temporary = temporaryFor(file);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeWhole(fd, typeof content === 'string' ? Buffer.from(content) : content);
    if (attributes.uid !== undefined && attributes.gid !== undefined) fchownSync(fd, attributes.uid, attributes.gid);
    // After the owner: a change of owner clears setuid bits.
    fchmodSync(fd, attributes.mode ?? 0o666 & ~process.umask());
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
  syncFolder(dirname(file));
}

export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength;) at += writeSync(fd, bytes, at);
}
