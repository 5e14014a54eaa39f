// Makes one archive and one manifest out of a backup that lies in the archives of several. Given what is sampled, not proven: whoever wants the result proves that.
import type { EntryOf, ManifestEntry } from '../model/manifest.ts';
import { hasContent } from '../model/manifest.ts';
import { openContents } from './content-reader.ts';
import type { FrameWriter } from './frame-writer.ts';
import { createManifestWriter, type OpenManifest } from './manifest-file.ts';
import { storedSize } from './sparse.ts';
import { loadTarHeaders, padding, type TarEntry, type TarHeaders } from './tar-header.ts';
import { writeArchive } from './write-archive.ts';

interface Folded {
  /** Where the archive goes: no file is there yet. */
  readonly archive: string;
  readonly manifest: string;
}

/** Both are on disk when it resolves. Throws BACKUP_MISSING, BACKUP_CORRUPT, and what the file system throws; then either may be there in part. */
export async function foldBackup(path: string, backup: OpenManifest, { archive, manifest }: Folded): Promise<void> {
  const {
    entries,
    archive: own,
    archives: _others,
    totals,
    warnings,
    attributes,
    simultaneous,
    encryption,
    sha256: _signed,
    ...start
  } = backup;
  const writer = await createManifestWriter(manifest, { ...start, basis: null });
  const contents = openContents({ path }, backup);
  try {
    const headers = await loadTarHeaders();
    const { frames, bytes, tarBytes, sha256 } = await writeArchive({ id: backup.id, path: archive }, async (target) => {
      for (const entry of entries) {
        const at = target.position();
        if (entry.type !== 'special') await target.append(headerOf(entry, headers));
        if (hasContent(entry)) {
          await contents.copy(entry, (chunk) => target.append(chunk));
          await pad(target, at);
        }
        await writer.add(ownEntry(entry, at));
      }
    });
    const folded = {
      file: own.file,
      sha256,
      bytes,
      tarBytes,
      frames: frames.map(([packed, unpacked]): [number, number] => [packed, unpacked]),
    };
    await writer.finish({
      archive: folded,
      archives: [],
      totals,
      warnings,
      ...(attributes === undefined ? {} : { attributes }),
      simultaneous,
      encryption,
    });
  } finally {
    await contents.close();
    await writer.close();
  }
}

/** Owner, mode and times are those of this backup, whatever they were when the contents were stored. */
function headerOf(entry: Exclude<ManifestEntry, EntryOf<'special'>>, headers: TarHeaders): Buffer {
  const { path, mode, uid, gid, mtime, xattrs } = entry;
  const common = { path, mode, uid, gid, mtime, xattrs };
  if (entry.type === 'dir') return headers.encode({ ...common, type: 'Directory', size: 0, target: '' });
  if (entry.type === 'link' || entry.type === 'hardlink')
    return headers.encode({ ...common, type: entry.type === 'link' ? 'SymbolicLink' : 'Link', size: 0, target: entry.target });
  const file: Omit<TarEntry, 'size'> = { ...common, type: 'File', target: '' };
  const pieces = entry.type === 'file' ? entry.pieces : undefined;
  return headers.encode(
    pieces === undefined ? { ...file, size: entry.size } : { ...file, size: storedSize(pieces, entry.size), realSize: entry.size },
  );
}

async function pad(target: FrameWriter, start: number): Promise<void> {
  await target.append(Buffer.alloc(padding(target.position() - start)));
}

function ownEntry(entry: ManifestEntry, at: number): ManifestEntry {
  if (entry.type === 'hardlink') {
    const { in: _other, ...rest } = entry;
    return rest;
  }
  if (!hasContent(entry)) return entry;
  const { in: _other, ...rest } = entry;
  return { ...rest, at };
}
