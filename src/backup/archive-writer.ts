// Packs what a scan found: every file is read once, and on the way hashed, packed and compressed. Gives the entries of the manifest.
import { createHash, hash as hashOnce, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { UpgradeError, failure, messageOf } from '../model/failure.ts';
import type { LogicalDigest, ManifestEntry } from '../model/manifest.ts';
import { frameSize, type FrameWriter } from './frame-writer.ts';
import { toBytes } from './names.ts';
import type { Found } from './scan.ts';
import { padding, type TarEntry, type TarHeaders } from './tar-header.ts';

export interface PackRequest {
  readonly root: string;
  readonly entries: readonly Found[];
  /** By path of the entry: the consistent copy that stands for the live file. */
  readonly copies: ReadonlyMap<string, { readonly file: string; readonly logical: LogicalDigest }>;
  readonly headers: TarHeaders;
  readonly writer: FrameWriter;
  readonly sleep: (ms: number) => Promise<void>;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
  /** Milliseconds for which a file must have been left alone to be known again by its inode. */
  readonly settledMs: number;
}

const attempts = 4;
/** Within one tick of the kernel's clock (at most 10 ms) a second write leaves the same time as the first: such a file is left to cool before it is read. */
const tickMs = 20;
/** More than the headers of the longest path need. */
const headerRoom = 16 << 10;

/** Throws BACKUP_UNREADABLE and BACKUP_FILE_CHANGED, naming every file that is concerned. */
export async function pack(request: PackRequest): Promise<readonly ManifestEntry[]> {
  const { entries, writer, headers, signal } = request;
  const packed: ManifestEntry[] = [];
  const unreadable: string[] = [];
  const changed: string[] = [];
  const firstNames = new Map<string, string>();

  for (const found of entries) {
    signal?.throwIfAborted();
    const common = commonOf(found);
    if (found.type === 'special') {
      packed.push({ ...common, type: 'special', kind: found.kind ?? 'socket' });
    } else if (found.type === 'dir') {
      await writer.append(headers.encode({ ...common, type: 'Directory', size: 0, target: '' }));
      packed.push({ ...common, type: 'dir' });
    } else if (found.type === 'link') {
      await writer.append(headers.encode({ ...common, type: 'SymbolicLink', size: 0, target: found.target }));
      packed.push({ ...common, type: 'link', target: found.target });
    } else {
      const inode = `${found.dev}:${found.ino}`;
      const first = found.hasOtherNames && found.database === null ? firstNames.get(inode) : undefined;
      if (first !== undefined) {
        await writer.append(headers.encode({ ...common, type: 'Link', size: 0, target: first }));
        packed.push({ ...common, type: 'hardlink', target: first });
        continue;
      }
      const outcome = await packFile(found, request);
      if (outcome.kind === 'packed') {
        firstNames.set(inode, found.path);
        packed.push(outcome.entry);
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
  return packed;
}

type Outcome =
  | { readonly kind: 'packed'; readonly entry: ManifestEntry }
  | { readonly kind: 'changed' | 'gone' }
  | { readonly kind: 'unreadable'; readonly why: string };

async function packFile(found: Found, request: PackRequest): Promise<Outcome> {
  const { writer, root, sleep } = request;
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
      let before = fstatSync(descriptor, { bigint: true });
      if (Date.now() - Number(before.ctimeMs) < tickMs) {
        await sleep(tickMs);
        before = fstatSync(descriptor, { bigint: true });
      }
      const isWhole = before.isFile() && Number(before.size) + headerRoom <= frameSize;
      if (isWhole && writer.free().length < Number(before.size) + headerRoom) await writer.cut();
      // What fits in one frame is simply not kept if it changed; for larger ones the archive goes back to where it was.
      const mark = isWhole ? null : await writer.mark();
      const entry = before.isFile()
        ? await (isWhole ? packSmall(descriptor, before, found, request) : packLarge(descriptor, before, found, request))
        : null;
      if (entry !== null) return { kind: 'packed', entry };
      if (mark !== null) await writer.rewind(mark);
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

/** Header, contents and padding in one frame; nothing of it counts before `advance`. */
async function packSmall(descriptor: number, before: BigIntStats, found: Found, request: PackRequest): Promise<ManifestEntry | null> {
  const { writer, headers, copies, onBytes } = request;
  const size = Number(before.size);
  const at = writer.position();
  const header = headers.encode(tarEntryOf(found, before, copies));
  const free = writer.free();
  const start = header.copy(free);
  // One byte more than expected shows a file that grew.
  const count = readFully(descriptor, free.subarray(start, start + size + 1));
  if (count !== size || !isSame(before, fstatSync(descriptor, { bigint: true }))) return null;
  const end = start + size + padding(size);
  free.fill(0, start + size, end);
  const sha256 = hashOnce('sha256', free.subarray(start, start + size));
  await writer.advance(end);
  onBytes(size);
  return entryOf(found, before, { size, sha256, at }, request);
}

async function packLarge(descriptor: number, before: BigIntStats, found: Found, request: PackRequest): Promise<ManifestEntry | null> {
  const { writer, headers, copies, onBytes, signal } = request;
  const size = Number(before.size);
  const at = writer.position();
  await writer.append(headers.encode(tarEntryOf(found, before, copies)));
  const hash: Hash = createHash('sha256');
  for (let done = 0; done < size;) {
    signal?.throwIfAborted();
    const part = writer.free().subarray(0, Math.min(1 << 20, size - done));
    const count = readSync(descriptor, part, 0, part.length, null);
    if (count === 0) return null;
    hash.update(part.subarray(0, count));
    await writer.advance(count);
    done += count;
    onBytes(count);
  }
  if (!isSame(before, fstatSync(descriptor, { bigint: true }))) return null;
  await writer.append(Buffer.alloc(padding(size)));
  return entryOf(found, before, { size, sha256: hash.digest('hex'), at }, request);
}

function readFully(descriptor: number, target: Buffer): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(descriptor, target, done, target.length - done, null);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function isSame(before: BigIntStats, after: BigIntStats): boolean {
  return before.size === after.size && before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs;
}

function commonOf({ path, mode, uid, gid, mtime }: Found): { path: string; mode: number; uid: number; gid: number; mtime: string } {
  return { path, mode, uid, gid, mtime };
}

/** Of a database, everything but the size is the live file's. */
function statOf(found: Found, stat: BigIntStats, copies: PackRequest['copies']): ReturnType<typeof commonOf> {
  if (copies.has(found.path)) return commonOf(found);
  return { path: found.path, mode: Number(stat.mode) & 0o7777, uid: Number(stat.uid), gid: Number(stat.gid), mtime: String(stat.mtimeNs) };
}

function tarEntryOf(found: Found, stat: BigIntStats, copies: PackRequest['copies']): TarEntry {
  return { ...statOf(found, stat, copies), type: 'File', size: Number(stat.size), target: '' };
}

function entryOf(
  found: Found,
  stat: BigIntStats,
  content: { size: number; sha256: string; at: number },
  { copies, settledMs }: PackRequest,
): ManifestEntry {
  const copy = copies.get(found.path);
  if (copy !== undefined && found.database?.kind === 'postgres')
    return { ...commonOf(found), type: 'postgres', ...content, name: found.database.name ?? '', logical: copy.logical };
  if (copy !== undefined && found.database !== null) {
    return {
      ...commonOf(found),
      type: 'database',
      ...content,
      name: found.database.name ?? '',
      location: found.database.location,
      logical: copy.logical,
    };
  }
  // A write within the same tick of the clock leaves no trace in the ctime, nor does one through a mapping whose page is not yet written back.
  const isSettled = Number(stat.ctimeMs) + settledMs < Date.now();
  const seen = isSettled ? { dev: String(stat.dev), ino: String(stat.ino), ctime: String(stat.ctimeNs) } : null;
  return { ...statOf(found, stat, copies), type: 'file', ...content, sparse: stat.blocks * 512n < stat.size, seen };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Of the file that is read, not of the archive that is written. */
function isReadError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'read';
}
