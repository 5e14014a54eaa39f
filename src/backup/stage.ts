// Writes entries of an archive beside the place where they belong, complete with owner, mode and times, synced; a rename then puts each in its place.
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ContentEntry, EntryOf, Manifest } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { hasCode } from './aside.ts';
import { openContents, type ContentReader } from './content-reader.ts';
import { syncFiles } from './durable.ts';
import { bytesOf, namesIn, toBytes } from './names.ts';
import { stagedName } from './scan.ts';

export interface StageRequest {
  readonly manifest: Manifest;
  readonly archive: string;
  readonly keys?: KeyRing | undefined;
  /** In the order of the archive. */
  readonly entries: readonly ContentEntry[];
  /** An existing folder on the file system of the entry's place. */
  readonly folderFor: (entry: ContentEntry) => string;
  readonly signal?: AbortSignal | undefined;
  /** Told before each, so that a failure can name it. */
  readonly onEntry: (path: string) => void;
}

/** Absolute path of each staged file, by path of its entry. Throws TypeError where the archive is not what it was. */
export async function stage({
  manifest,
  archive,
  keys,
  entries,
  folderFor,
  signal,
  onEntry,
}: StageRequest): Promise<ReadonlyMap<string, string>> {
  const staged = new Map<string, string>();
  const reader = openContents({ path: archive, keys }, manifest);
  const isFew = entries.length <= 64;
  try {
    for (const entry of entries) {
      signal?.throwIfAborted();
      onEntry(entry.path);
      const path = stagedPath(folderFor(entry), manifest.id, staged.size + 1);
      const descriptor = createStaged(path);
      staged.set(entry.path, path);
      try {
        await fillStaged(descriptor, entry, reader);
        if (isFew) fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    }
    if (!isFew) await syncFiles([...staged.values()]);
    return staged;
  } catch (error) {
    for (const path of staged.values()) removeStaged(path);
    throw error;
  } finally {
    await reader.close();
  }
}

async function fillStaged(descriptor: number, entry: ContentEntry, reader: ContentReader): Promise<void> {
  const write =
    entry.type === 'file' && entry.sparse === true
      ? sparseWriter(descriptor)
      : (piece: Buffer, at: number): void => writeFully(descriptor, piece, at);
  await reader.read(entry, write);
  ftruncateSync(descriptor, entry.size);
  // The owner first: changing it takes setuid away.
  fchownSync(descriptor, entry.uid, entry.gid);
  fchmodSync(descriptor, entry.mode);
  const time = settable(entry.mtime);
  futimesSync(descriptor, time, time);
}

/** A symbolic link, ready to be renamed. */
export function stageLink(folder: string, id: string, entry: EntryOf<'link'>): string {
  const path = stagedPath(folder, id, 0);
  removeStaged(path);
  symlinkSync(entry.target.isWellFormed() ? entry.target : bytesOf(entry.target), toBytes(path));
  lchownSync(toBytes(path), entry.uid, entry.gid);
  const time = settable(entry.mtime);
  lutimesSync(toBytes(path), time, time);
  return path;
}

/** A further name of a file, ready to be renamed. */
export function stageHardLink(folder: string, id: string, target: string): string {
  const path = stagedPath(folder, id, 0);
  removeStaged(path);
  linkSync(toBytes(target), toBytes(path));
  return path;
}

export function removeStaged(path: string): void {
  try {
    unlinkSync(toBytes(path));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** What a killed restore left in one folder. */
export function stagedIn(folder: string): readonly string[] {
  try {
    return namesIn(folder)
      .filter((name) => stagedName.test(name))
      .map((name) => join(folder, name));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** 0 is for links, which are renamed as soon as they are made. */
function stagedPath(folder: string, id: string, number: number): string {
  return join(folder, `.rungs-restore-${id}-${number}`);
}

function createStaged(path: string): number {
  removeStaged(path);
  return openSync(toBytes(path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
}

function writeFully(descriptor: number, chunk: Buffer, position: number): void {
  for (let done = 0; done < chunk.length;) done += writeSync(descriptor, chunk, done, chunk.length - done, position + done);
}

const block = 4096;
const zeros = Buffer.alloc(block);

/** Leaves holes where 4 KiB and more are zero. */
function sparseWriter(descriptor: number): (chunk: Buffer, position: number) => void {
  return (chunk, position) => {
    for (let at = 0; at < chunk.length;) {
      // Blocks of the file, not of the chunk.
      const part = chunk.subarray(at, Math.min(chunk.length, at + block - ((position + at) % block)));
      if (!part.equals(zeros.subarray(0, part.length))) writeFully(descriptor, part, position + at);
      at += part.length;
    }
  };
}

/** As Node takes times, in floating point: the nearest that is not before, so that it mostly reads the same to the microsecond. */
export function settable(nanoseconds: string): number | Date {
  const time = BigInt(nanoseconds);
  // Node takes a negative number for the present, and a negative date for what it says.
  if (time < 0n) return new Date(Number(time / 1_000_000n));
  const fraction = Number(time % 1_000_000_000n);
  const floating = Number(time / 1_000_000_000n) + fraction / 1e9;
  const isBefore = Math.trunc((floating - Math.trunc(floating)) * 1e9) < fraction;
  return isBefore ? floating + 2 ** (Math.floor(Math.log2(floating)) - 52) : floating;
}

export function setOwnerAndMode(
  path: string,
  { uid, gid, mode }: { readonly uid: number; readonly gid: number; readonly mode: number },
  isLink: boolean,
): void {
  lchownSync(toBytes(path), uid, gid);
  if (!isLink) chmodSync(toBytes(path), mode);
}
