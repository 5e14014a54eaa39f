// Writes entries of an archive beside the place where they belong, complete with owner, mode and times, synced; a rename then puts each in its place.
import { spawnSync } from 'node:child_process';
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
  lstatSync,
  lutimesSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { ContentEntry, EntryOf } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import type { ContentSink } from './archive-reader.ts';
import { hasCode } from './aside.ts';
import { openContents } from './content-reader.ts';
import type { OpenManifest } from './manifest-file.ts';
import { syncFiles } from './durable.ts';
import { bytesOf, namesIn, toBytes } from './names.ts';
import { stagedName } from './scan.ts';
import { verifyBackup } from './verify.ts';

/** Where contents come from: a backup's archive, beside which lie those of the backups that it continues. */
export interface BackupSource {
  readonly id: string;
  readonly path: string;
  readonly manifest: OpenManifest;
  readonly keys: KeyRing;
}

export interface StageRequest {
  readonly source: BackupSource;
  /** In the order of the manifest; `to` lies in an existing folder on the file system of the entry's place. */
  readonly entries: readonly ToStage[];
  /** Whether everything else in the backup is to be proven in the same pass. */
  readonly isWhole: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Told before each, so that a failure can name it. */
  readonly onEntry: (path: string) => void;
}

export interface ToStage {
  readonly entry: ContentEntry;
  readonly to: string;
}

/** Absolute path of each staged file, by path of its entry, each proven by its SHA-256 while it is written. Throws BACKUP_CORRUPT; nothing is left then. */
export async function stage({ source, entries, isWhole, signal, onEntry }: StageRequest): Promise<ReadonlyMap<string, string>> {
  const staged = new Map<string, string>();
  const places = new Map(entries.map((one) => [one.entry.path, one]));
  const times = timesOf([...new Set(entries.map(({ to }) => dirname(to)))]);
  const isFew = entries.length <= 64;
  let open: number | null = null;
  const sinkFor = (entry: ContentEntry): ContentSink | null => {
    const place = places.get(entry.path);
    if (place === undefined) return null;
    onEntry(entry.path);
    const descriptor = createStaged(place.to);
    open = descriptor;
    staged.set(entry.path, place.to);
    return {
      write: writerFor(descriptor, entry),
      end: () => {
        complete(descriptor, entry);
        if (isFew) fsyncSync(descriptor);
        closeSync(descriptor);
        open = null;
      },
    };
  };
  try {
    if (isWhole) await verifyBackup(source, source.manifest, { isDeep: true, signal, sinkFor });
    else await readEntries(source, entries, sinkFor, signal);
    if (!isFew) await syncFiles([...staged.values()]);
    return staged;
  } catch (error) {
    if (open !== null) closeSync(open);
    for (const path of staged.values()) removeStaged(path);
    for (const [folder, nanoseconds] of times) setFolderTime(folder, nanoseconds, times.size <= 64);
    throw error;
  }
}

/** Folders whose files are staged and removed again are to look as they did. */
function timesOf(folders: readonly string[]): ReadonlyMap<string, bigint> {
  return new Map(folders.map((folder) => [folder, lstatSync(toBytes(folder), { bigint: true }).mtimeNs]));
}

/** To the nanosecond where `touch` takes it; Node's own call rounds to what a floating-point number holds. */
function setFolderTime(folder: string, nanoseconds: bigint, isExact: boolean): void {
  const seconds = `@${nanoseconds / 1_000_000_000n}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}`;
  const { status } =
    isExact && folder.isWellFormed() ? spawnSync('touch', ['-m', '-d', seconds, folder], { stdio: 'ignore' }) : { status: 1 };
  if (status !== 0) lutimesSync(toBytes(folder), lstatSync(toBytes(folder)).atime, settable(String(nanoseconds)));
}

/** Only the frames that these entries lie in are read. */
async function readEntries(
  source: BackupSource,
  entries: readonly ToStage[],
  sinkFor: (entry: ContentEntry) => ContentSink | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  const contents = openContents(source, source.manifest);
  try {
    for (const { entry } of entries) {
      signal?.throwIfAborted();
      const sink = sinkFor(entry);
      await contents.read(entry, (piece, at) => sink?.write(piece, at));
      sink?.end();
    }
  } finally {
    await contents.close();
  }
}

function writerFor(descriptor: number, entry: ContentEntry): (piece: Buffer, at: number) => void {
  if (entry.type === 'file' && (entry.sparse === true || entry.pieces !== undefined)) return sparseWriter(descriptor);
  return (piece, at) => writeFully(descriptor, piece, at);
}

function complete(descriptor: number, entry: ContentEntry): void {
  // What ends in a hole was not written to its end.
  if (entry.type === 'file') ftruncateSync(descriptor, entry.size);
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
export function stagedPath(folder: string, id: string, number: number): string {
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
