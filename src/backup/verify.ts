// Reads a backup and proves that it holds exactly what its manifest says: its own archive whole, and of the archives of others what it needs, or a sample.
import { crc32 } from 'node:zlib';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import { hasContent, type ContentEntry, type ManifestEntry } from '../model/manifest.ts';
import type { BackupRecord } from '../model/ports.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import { verifyArchive, type ContentSink } from './archive-reader.ts';
import { archiveOf, openContents } from './content-reader.ts';
import { createSlot, readFrame, startsOf } from './frame-reader.ts';
import type { OpenManifest } from './manifest-file.ts';

export interface VerifyOptions {
  /** Also all that it needs of the archives of others; without it these are sampled. */
  readonly isDeep: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Who wants the contents of an entry on the way. */
  readonly sinkFor?: (entry: ContentEntry) => ContentSink | null;
}

/** Throws BACKUP_MISSING and BACKUP_CORRUPT with the first thing that is not as the manifest says. */
export async function verifyBackup(
  { id, path, keys, limit }: Pick<BackupRecord, 'id' | 'path'> & { readonly keys?: KeyRing; readonly limit?: number },
  manifest: OpenManifest,
  { isDeep, signal, sinkFor = () => null }: VerifyOptions,
): Promise<void> {
  for (const archive of manifest.archives) await sampleArchive({ id: archive.id, keys }, archiveOf({ path }, manifest, archive.id), id);
  await verifyArchive(
    { id, path, keys, ...(limit === undefined ? {} : { limit }), ...manifest.archive, entries: ownEntries(manifest) },
    signal,
    sinkFor,
  );
  if (!isDeep || manifest.archives.length === 0) return;
  const contents = openContents({ path, keys }, manifest);
  try {
    for (const entry of manifest.entries) {
      signal?.throwIfAborted();
      if (!hasContent(entry) || entry.in === undefined) continue;
      const sink = sinkFor(entry);
      await contents.read(entry, (piece, at) => sink?.write(piece, at));
      sink?.end();
    }
  } finally {
    await contents.close();
  }
}

/** What lies in the archive of the backup itself. */
function* ownEntries({ entries }: Pick<OpenManifest, 'entries'>): Generator<ManifestEntry> {
  for (const entry of entries) if (!('in' in entry) || entry.in === undefined) yield entry;
}

/** Frames of an archive that are read before it is relied on. */
const sampledFrames = 3;

/** Its size, and of its contents a few frames, by `seed` other ones each time. Each has a checksum of its own. Throws BACKUP_MISSING and BACKUP_CORRUPT. */
export async function sampleArchive(
  { id, keys }: { readonly id: string; readonly keys?: KeyRing | undefined },
  { path, bytes, frames }: ReturnType<typeof archiveOf>,
  seed: string,
): Promise<void> {
  const file = await openArchive({ id, path, keys });
  try {
    const { size } = file;
    if (size !== bytes) throw new TypeError(`it has ${size} bytes instead of ${bytes}`);
    const starts = startsOf(frames);
    const slot = createSlot(frames);
    try {
      for (let turn = 0; turn < Math.min(sampledFrames, frames.length); turn += 1)
        await readFrame(file, frames, starts, crc32(`${turn}:${path}`, crc32(seed)) % frames.length, slot);
    } finally {
      slot.unpacker.close();
    }
  } catch (error) {
    if (error instanceof UpgradeError) throw error;
    throw fail('BACKUP_CORRUPT', { id, path, problem: messageOf(error) }, {}, error);
  } finally {
    await file.close();
  }
}
