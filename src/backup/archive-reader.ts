// Reads an archive by its frames. `verifyArchive` proves that it holds exactly what the manifest says; `createTarReader` goes to any entry without reading those before.
import { createHash } from 'node:crypto';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import { hasContent, type ContentEntry, type ManifestEntry } from '../model/manifest.ts';
import type { ReadableFile } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import type { Attributes } from './attributes.ts';
import { createSlot, readFrame, startsOf, type Slot } from './frame-reader.ts';
import type { Frame } from './frame-writer.ts';
import { storedSize } from './sparse.ts';
import { readProven } from './read-proven.ts';
import { loadTarHeaders, padding, parseRecords, type TarEntry } from './tar-header.ts';

export interface ArchiveToRead {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  readonly tarBytes: number;
  readonly frames: readonly Frame[];
  /** Only those that lie in this archive. */
  readonly entries: Iterable<ManifestEntry>;
  /** `null` while it is not known: the first reading back finds it. */
  readonly sha256: string | null;
  readonly keys?: KeyRing | undefined;
  /** Only so many bytes of the file belong to the archive. */
  readonly limit?: number;
}

/** Takes the contents of one entry while they are read and proven. */
export interface ContentSink {
  /** A piece with its place in the file, only valid during the call. */
  readonly write: (piece: Buffer, at: number) => void;
  /** Its SHA-256 was right. */
  readonly end: () => void;
}

/**
 * Reads everything. Gives the archive's SHA-256. Throws BACKUP_MISSING, and BACKUP_CORRUPT with the first thing that is not as the manifest says.
 * `sinkFor`: who wants the contents of an entry on the way, and answers for what he throws.
 */
export async function verifyArchive(
  archive: ArchiveToRead,
  signal?: AbortSignal,
  sinkFor: (entry: ContentEntry) => ContentSink | null = () => null,
): Promise<string> {
  const { id, path } = archive;
  const file = await openArchive(archive);
  let reader: TarReader | null = null;
  try {
    const { size } = file;
    if (size !== archive.bytes) throw new TypeError(`it has ${size} bytes instead of ${archive.bytes}`);
    const hash = createHash('sha256');
    reader = await createTarReader(file, archive.frames, { onFrame: (packed) => hash.update(packed) });
    for (const entry of archive.entries) {
      signal?.throwIfAborted();
      if (entry.type === 'special') continue;
      const at = reader.position();
      const found = await reader.next();
      if (found === null) throw new TypeError(`it ends before "${entry.path}"`);
      expectSame(entry, found, at);
      if (!hasContent(entry)) continue;
      const sink = sinkFor(entry);
      await readProven(reader, entry, (piece, place) => sink?.write(piece, place));
      sink?.end();
    }
    if ((await reader.next()) !== null) throw new TypeError('it holds more than the manifest lists');
    await reader.expectZeros(archive.tarBytes);
    const sha256 = hash.digest('hex');
    if (archive.sha256 !== null && sha256 !== archive.sha256) throw new TypeError('its SHA-256 is another');
    return sha256;
  } catch (error) {
    if (error instanceof UpgradeError || signal?.aborted === true || isOfSystem(error)) throw error;
    throw fail('BACKUP_CORRUPT', { id, path, problem: messageOf(error) }, {}, error);
  } finally {
    await reader?.close();
    await file.close();
  }
}

/** Not the archive's fault: a full disk, say, on the side of whoever takes its contents. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall !== 'read';
}

const tarTypes = {
  dir: 'Directory',
  file: 'File',
  database: 'File',
  postgres: 'File',
  command: 'File',
  link: 'SymbolicLink',
  hardlink: 'Link',
  special: '',
} as const;

/** Throws a TypeError where a header is not that of the entry. */
export function expectSame(entry: ManifestEntry, found: TarEntry, at: number): void {
  const isContent = hasContent(entry);
  const target = entry.type === 'link' || entry.type === 'hardlink' ? entry.target : '';
  const pieces = entry.type === 'file' ? entry.pieces : undefined;
  const size = isContent ? entry.size : 0;
  const isThere =
    entry.path === found.path &&
    tarTypes[entry.type] === found.type &&
    (pieces === undefined ? size : storedSize(pieces, size)) === found.size &&
    (pieces === undefined ? undefined : size) === found.realSize &&
    target === found.target &&
    (!isContent || entry.at === at);
  // In an earlier archive lie the contents; owner, mode and times may have changed since.
  const isEarlier = isContent && entry.in !== undefined;
  const isSame = isThere && (isEarlier || (isSameStat(entry, found) && isSameRecord(entry.xattrs, found.xattrs)));
  if (!isSame) throw new TypeError(`"${found.path}" is not what the manifest lists there ("${entry.path}")`);
}

function isSameStat(a: ManifestEntry, b: TarEntry): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtime === b.mtime;
}

function isSameRecord(a: Attributes = {}, b: Attributes = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

export interface TarReader {
  position(): number;
  /** To a place in the tar; frames in between are not read. */
  seek(position: number): void;
  /** The next entry, or `null` at the end of the tar. */
  next(): Promise<TarEntry | null>;
  /** The contents of the entry that `next` gave, and past their padding. The chunk is only valid until the sink has taken it. */
  body(size: number, sink: (chunk: Buffer) => void | Promise<void>): Promise<void>;
  /** From here to the given end. */
  expectZeros(end: number): Promise<void>;
  /** Gives the memory back; the file is the caller's. */
  close(): Promise<void>;
}

/** Nothing that an archive says can make it use more memory than a few frames. */
const largestRecords = 1 << 20;

export async function createTarReader(
  file: ReadableFile,
  frames: readonly Frame[],
  { onFrame }: { onFrame?: (packed: Buffer) => void } = {},
): Promise<TarReader> {
  const headers = await loadTarHeaders();
  const starts = startsOf(frames);
  const slots = Array.from({ length: 2 }, () => createSlot(frames));
  let position = 0;
  let index = -1;
  let chunk: Buffer = Buffer.alloc(0);
  let chunkStart = 0;
  let isSequential = true;

  /** Each slot holds one frame, the next one being read and unpacked while the present one is looked at. */
  const load = (wanted: number): Slot => {
    const slot = slots.find((one) => one.index === wanted) ?? slots.find((one) => one.index !== index) ?? createSlot(frames);
    if (slot.index === wanted) return slot;
    slot.index = wanted;
    // A read that was begun for another frame ends before its slot is used again.
    slot.job = slot.job.catch(() => undefined).then(() => readFrame(file, frames, starts, wanted, slot));
    slot.job.catch(() => undefined);
    return slot;
  };
  const fill = async (): Promise<void> => {
    while (position >= chunkStart + chunk.length) {
      index = position === chunkStart + chunk.length ? index + 1 : starts.findLastIndex(({ tar }) => tar <= position);
      const start = starts[index];
      if (start === undefined) throw new TypeError('it is shorter than its manifest says');
      const slot = load(index);
      await slot.job;
      if (isSequential && index + 1 < frames.length) load(index + 1);
      onFrame?.(slot.packed.subarray(0, frames[index]?.[0] ?? 0));
      chunk = slot.tar.subarray(0, frames[index]?.[1] ?? 0);
      chunkStart = start.tar;
    }
  };
  const take = async (size: number): Promise<Buffer> => {
    if (position >= chunkStart + chunk.length) await fill();
    const offset = position - chunkStart;
    if (offset + size <= chunk.length) {
      position += size;
      return chunk.subarray(offset, offset + size);
    }
    const parts: Buffer[] = [];
    for (let left = size; left > 0;) {
      const part = await some(left);
      parts.push(Buffer.from(part));
      left -= part.length;
    }
    return Buffer.concat(parts);
  };
  const some = async (most: number): Promise<Buffer> => {
    if (position >= chunkStart + chunk.length) await fill();
    const offset = position - chunkStart;
    const part = chunk.subarray(offset, Math.min(chunk.length, offset + most));
    position += part.length;
    return part;
  };

  return {
    position: () => position,
    seek: (to) => {
      const isNear = to >= chunkStart && to <= chunkStart + chunk.length;
      isSequential = isNear;
      if (!isNear) {
        chunk = Buffer.alloc(0);
        // Never equal to a position, so that the frame is looked up.
        chunkStart = -1;
      }
      position = to;
    },
    next: async () => {
      let records: ReadonlyMap<string, Buffer> = new Map();
      for (;;) {
        const found = headers.decode(await take(512), records);
        if (found.type === 'End') return null;
        if (found.type !== 'Records') return found;
        if (found.size > largestRecords) throw new TypeError('an extended header is too large');
        records = parseRecords(Buffer.from(await take(found.size)));
        await take(padding(found.size));
      }
    },
    body: async (size, sink) => {
      for (let left = size; left > 0;) {
        const part = await some(left);
        const taken = sink(part);
        // Most take it at once, and a turn of the event loop for each would be felt.
        if (taken !== undefined) await taken;
        left -= part.length;
      }
      const rest = padding(size);
      if (rest > 0) await take(rest);
    },
    expectZeros: async (end) => {
      if (position > end) throw new TypeError('it is longer than its manifest says');
      while (position < end) {
        if (!(await some(end - position)).every((byte) => byte === 0)) throw new TypeError('something follows its end');
      }
      if (index !== frames.length - 1 || position !== chunkStart + chunk.length) throw new TypeError('something follows its end');
    },
    close: async () => {
      await Promise.allSettled(slots.map(({ job }) => job));
      for (const { unpacker } of slots) unpacker.close();
    },
  };
}
