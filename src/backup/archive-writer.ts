// Packs what a walk finds: every file is read once, and on the way hashed, packed and compressed. What is as an earlier backup has it is neither read nor
// stored. Gives one entry of the manifest after the other.
import { createHash, hash as hashOnce } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, read, readSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UpgradeError, failure, messageOf } from '../model/failure.ts';
import type { EntryOf, ManifestEntry } from '../model/manifest.ts';
import { readAttributes, type Attributes } from './attributes.ts';
import type { Copy } from './copies.ts';
import { frameSize, type FrameWriter } from './frame-writer.ts';
import { hashFile } from './hash-file.ts';
import { toBytes } from './names.ts';
import { hashZeros } from './read-proven.ts';
import type { Found } from './scan.ts';
import { mapOf, storedSize, type Piece } from './sparse.ts';
import { padding, type TarEntry, type TarHeaders } from './tar-header.ts';

/** One path with what is known of it before it is read. */
export interface ToPack {
  readonly found: Found;
  /** What an earlier backup has under this path, with the archive in which it lies. */
  readonly earlier: (ManifestEntry & { readonly in?: string | undefined }) | null;
  /** Whether the earlier backup's contents are taken unread. */
  readonly isUntouched: boolean;
  readonly xattrs: Attributes | undefined;
  readonly pieces: readonly Piece[] | undefined;
}

export interface PackRequest {
  readonly root: string;
  /** By path of the entry: the consistent copy that stands for the live file. */
  readonly copies: ReadonlyMap<string, Copy>;
  readonly headers: TarHeaders;
  readonly writer: FrameWriter;
  readonly sleep: (ms: number) => Promise<void>;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
  /** Milliseconds for which a file must have been left alone to be known again by its inode. */
  readonly settledMs: number;
}

const readPart = promisify(read);
const attempts = 4;
/** Within one tick of the kernel's clock (at most 10 ms) a second write leaves the same time as the first: such a file is left to cool before it is read. */
const tickMs = 20;
/** More than the headers of the longest path need. */
const headerRoom = 16 << 10;
/** Attributes may be large; a file with larger ones goes the way of large files. */
const mostRecords = 8 << 10;

/** Throws BACKUP_UNREADABLE and BACKUP_FILE_CHANGED, naming every file that is concerned, when everything was looked at. */
export async function* pack(items: AsyncIterable<ToPack> | Iterable<ToPack>, request: PackRequest): AsyncGenerator<ManifestEntry, void> {
  const { writer, headers, signal } = request;
  const unreadable: string[] = [];
  const changed: string[] = [];
  /** By inode, of files that have several names. */
  const firstNames = new Map<string, { readonly path: string; readonly in?: string | undefined }>();

  for await (const item of items) {
    signal?.throwIfAborted();
    const { found, xattrs } = item;
    const common = { ...commonOf(found), ...(xattrs === undefined ? {} : { xattrs }) };
    if (found.type === 'special') {
      yield { ...commonOf(found), type: 'special', kind: found.kind ?? 'socket' };
    } else if (found.type === 'dir') {
      await writer.append(headers.encode({ ...common, type: 'Directory', size: 0, target: '' }));
      yield { ...common, type: 'dir' };
    } else if (found.type === 'link') {
      await writer.append(headers.encode({ ...common, type: 'SymbolicLink', size: 0, target: found.target }));
      yield { ...common, type: 'link', target: found.target };
    } else {
      const inode = found.hasOtherNames && found.database === null ? `${found.dev}:${found.ino}` : null;
      const first = inode === null ? undefined : firstNames.get(inode);
      if (first !== undefined) {
        if (first.in === undefined) await writer.append(headers.encode({ ...commonOf(found), type: 'Link', size: 0, target: first.path }));
        yield { ...commonOf(found), type: 'hardlink', target: first.path, ...(first.in === undefined ? {} : { in: first.in }) };
        continue;
      }
      const outcome = await packFile(item, request);
      if (outcome.kind === 'packed') {
        const { entry } = outcome;
        if (inode !== null) firstNames.set(inode, { path: found.path, in: 'in' in entry ? entry.in : undefined });
        yield entry;
      }
      if (outcome.kind === 'changed') changed.push(found.path);
      if (outcome.kind === 'unreadable') unreadable.push(`${found.path} (${outcome.why})`);
    }
  }
  const problems = [
    ...(unreadable.length === 0 ? [] : [failure('BACKUP_UNREADABLE', { problems: unreadable })]),
    ...(changed.length === 0 ? [] : [failure('BACKUP_FILE_CHANGED', { paths: changed })]),
  ];
  if (problems.length > 0) throw new UpgradeError(problems);
}

type Outcome =
  | { readonly kind: 'packed'; readonly entry: ManifestEntry }
  | { readonly kind: 'changed' | 'gone' }
  | { readonly kind: 'unreadable'; readonly why: string };

async function packFile(item: ToPack, request: PackRequest): Promise<Outcome> {
  const { root, sleep } = request;
  const { found, earlier } = item;
  if (item.isUntouched && earlier?.type === 'file') {
    request.onBytes(earlier.size);
    return { kind: 'packed', entry: { ...earlier, ...commonOf(found) } };
  }
  const copy = request.copies.get(found.path);
  const absolute = copy?.file ?? join(root, found.path);
  for (let attempt = 1; ; attempt += 1) {
    let descriptor: number;
    try {
      // Not blocking, should it have become a FIFO since.
      descriptor = openSync(toBytes(absolute), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      // Gone before it was read is the same as gone before the backup.
      if (codeOf(error) === 'ENOENT') return { kind: 'gone' };
      return { kind: 'unreadable', why: messageOf(error).split(',')[0] ?? '' };
    }
    try {
      let before = await statOfSettled(descriptor, sleep);
      if (!before.isFile()) return { kind: 'changed' };
      let { xattrs } = item;
      if (copy === undefined && String(before.ctimeNs) !== found.ctime) {
        // A program tells them, which takes longer than a busy writer pauses: so it comes before the moment that counts.
        xattrs = (await readAttributes([absolute]))?.get(absolute);
        before = await statOfSettled(descriptor, sleep);
      }
      // Where its data are was asked for before; a file that has changed since is taken as one without holes.
      const pieces = String(before.ctimeNs) === found.ctime ? item.pieces : undefined;
      const file: OpenFile = { descriptor, before, absolute, item, pieces, xattrs };
      const isWhole = pieces === undefined && Number(before.size) + headerRoom <= frameSize && recordsOf(xattrs) < mostRecords;
      const entry = isWhole ? await packSmall(file, request) : await packLarge(file, request);
      if (entry !== null) return { kind: 'packed', entry };
    } catch (error) {
      if (!isReadError(error)) throw error;
      return { kind: 'unreadable', why: messageOf(error).split(',')[0] ?? '' };
    } finally {
      closeSync(descriptor);
    }
    if (attempt === attempts) return { kind: 'changed' };
    await sleep(20 * 4 ** (attempt - 1));
  }
}

async function statOfSettled(descriptor: number, sleep: PackRequest['sleep']): Promise<BigIntStats> {
  const stat = fstatSync(descriptor, { bigint: true });
  if (Date.now() - Number(stat.ctimeMs) >= tickMs) return stat;
  await sleep(tickMs);
  return fstatSync(descriptor, { bigint: true });
}

interface OpenFile {
  readonly descriptor: number;
  readonly before: BigIntStats;
  readonly absolute: string;
  readonly item: ToPack;
  readonly pieces: readonly Piece[] | undefined;
  readonly xattrs: Attributes | undefined;
}

/** Header, contents and padding in one frame; nothing of it counts before `advance`, so what changed meanwhile is simply not kept. `null` where it did. */
async function packSmall(file: OpenFile, request: PackRequest): Promise<ManifestEntry | null> {
  const { writer, headers, onBytes } = request;
  const { descriptor, before, item } = file;
  const size = Number(before.size);
  if (writer.free().length < size + headerRoom) await writer.cut();
  const at = writer.position();
  const header = headers.encode(tarEntryOf(file, request));
  const free = writer.free();
  const start = header.copy(free);
  // One byte more than expected shows a file that grew; less is its end.
  const count = readSync(descriptor, free, start, size + 1, null);
  if (count !== size || !isSame(before, fstatSync(descriptor, { bigint: true }))) return null;
  const end = start + size + padding(size);
  free.fill(0, start + size, end);
  const sha256 = hashOnce('sha256', free.subarray(start, start + size));
  onBytes(size);
  const stored = storedBefore(item, size, sha256);
  if (stored !== null) return entryOf(file, { ...stored, size, sha256 }, request);
  await writer.advance(end);
  return entryOf(file, { size, sha256, at, ...sparseness(before) }, request);
}

/** Piece by piece; for a file that changed meanwhile the archive goes back to where it was. */
async function packLarge(file: OpenFile, request: PackRequest): Promise<ManifestEntry | null> {
  const { writer, headers, onBytes, signal } = request;
  const { descriptor, before, item, absolute } = file;
  const size = Number(before.size);
  // Reading twice is cheaper than storing twice.
  if (mayBeStored(item, size)) {
    const sha256 = await hashFile(absolute);
    const stored = isSame(before, fstatSync(descriptor, { bigint: true })) ? storedBefore(item, size, sha256) : null;
    if (stored !== null) {
      onBytes(size);
      return entryOf(file, { ...stored, size, sha256 }, request);
    }
  }
  const mark = await writer.mark();
  const at = writer.position();
  await writer.append(headers.encode(tarEntryOf(file, request)));
  const hash = createHash('sha256');
  const pieces: readonly Piece[] = file.pieces ?? [[0, size]];
  if (file.pieces !== undefined) await writer.append(mapOf(pieces, size));
  let place = 0;
  let isWhole = true;
  let latest: Buffer = Buffer.alloc(0);
  for (const [offset, length] of pieces) {
    hash.update(latest);
    latest = Buffer.alloc(0);
    hashZeros(hash, offset - place);
    for (place = offset; isWhole && place < offset + length;) {
      signal?.throwIfAborted();
      const part = writer.free().subarray(0, Math.min(1 << 20, offset + length - place));
      const reading = readPart(descriptor, part, 0, part.length, place);
      // What was read last is hashed while the next is read: its frame may be packed by now, but is not filled anew before this one is full.
      hash.update(latest);
      const { bytesRead: count } = await reading;
      if (count === 0) isWhole = false;
      latest = part.subarray(0, count);
      await writer.advance(count);
      place += count;
      onBytes(count);
    }
  }
  hash.update(latest);
  if (!isWhole || !isSame(before, fstatSync(descriptor, { bigint: true }))) {
    await writer.rewind(mark);
    return null;
  }
  hashZeros(hash, size - place);
  await writer.append(Buffer.alloc(padding(writer.position() - at)));
  const known = file.pieces === undefined ? {} : { pieces: pieces.map(([offset, length]): Piece => [offset, length]) };
  return entryOf(file, { size, sha256: hash.digest('hex'), at, ...sparseness(before), ...known }, request);
}

type Stored = Pick<EntryOf<'file'>, 'in' | 'at' | 'sparse' | 'pieces'>;

/** Where an earlier backup has the same contents. */
function storedBefore({ earlier }: ToPack, size: number, sha256: string): Stored | null {
  if (earlier === null || !('sha256' in earlier) || earlier.size !== size || earlier.sha256 !== sha256) return null;
  const { in: other, at } = earlier;
  if (earlier.type !== 'file') return { in: other, at };
  const { sparse, pieces } = earlier;
  return { in: other, at, ...(sparse === undefined ? {} : { sparse }), ...(pieces === undefined ? {} : { pieces }) };
}

function sparseness({ blocks, size }: BigIntStats): { readonly sparse?: true } {
  return blocks * 512n < size ? { sparse: true } : {};
}

function mayBeStored({ earlier, found }: ToPack, size: number): boolean {
  return earlier !== null && 'sha256' in earlier && earlier.size === size && (found.database !== null || earlier.mtime === found.mtime);
}

function isSame(before: BigIntStats, after: BigIntStats): boolean {
  return before.size === after.size && before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs;
}

function recordsOf(xattrs: Attributes = {}): number {
  return Object.entries(xattrs).reduce((total, [name, value]) => total + name.length + value.length + 40, 0);
}

function commonOf({ path, mode, uid, gid, mtime }: Found): { path: string; mode: number; uid: number; gid: number; mtime: string } {
  return { path, mode, uid, gid, mtime };
}

/** Of a database, everything but the size is the live file's. */
function statOf(
  { before, xattrs, item: { found } }: OpenFile,
  { copies }: PackRequest,
): ReturnType<typeof commonOf> & { xattrs?: Attributes } {
  const known = xattrs === undefined ? {} : { xattrs };
  if (copies.has(found.path)) return { ...commonOf(found), ...known };
  const { mode, uid, gid, mtimeNs } = before;
  return { path: found.path, mode: Number(mode) & 0o7777, uid: Number(uid), gid: Number(gid), mtime: String(mtimeNs), ...known };
}

function tarEntryOf(file: OpenFile, request: PackRequest): TarEntry {
  const size = Number(file.before.size);
  const common = { ...statOf(file, request), type: 'File' as const, target: '' };
  return file.pieces === undefined ? { ...common, size } : { ...common, size: storedSize(file.pieces, size), realSize: size };
}

function entryOf(
  file: OpenFile,
  content: { readonly size: number; readonly sha256: string } & Stored,
  request: PackRequest,
): ManifestEntry {
  const { before, item } = file;
  const { found } = item;
  const { copies, settledMs } = request;
  const { size, sha256, at } = content;
  const common = statOf(file, request);
  const stored = { size, sha256, ...(content.in === undefined ? {} : { in: content.in }), at };
  const copy = copies.get(found.path);
  if (copy !== undefined && found.database !== null) {
    const { kind, location } = found.database;
    const name = found.database.name ?? '';
    if ('state' in copy) return { ...common, type: 'command', ...stored, name, state: copy.state };
    if (kind === 'postgres') return { ...common, type: 'postgres', ...stored, name, logical: copy.logical };
    return { ...common, type: 'database', ...stored, name, location, logical: copy.logical };
  }
  // A write within the same tick of the clock leaves no trace in the ctime, nor does one through a mapping whose page is not yet written back.
  const isSettled = Number(before.ctimeMs) + settledMs < Date.now();
  const seen = isSettled ? { dev: String(before.dev), ino: String(before.ino), ctime: String(before.ctimeNs) } : null;
  const holes = {
    ...(content.sparse === undefined ? {} : { sparse: content.sparse }),
    ...(content.pieces === undefined ? {} : { pieces: content.pieces }),
  };
  return { ...common, type: 'file', ...stored, ...holes, seen };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Of the file that is read, not of the archive that is written. */
function isReadError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'read';
}
