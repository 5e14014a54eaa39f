// Reads the contents of any entry of a backup, in whichever archive they lie, and proves them by their SHA-256.
import { dirname, join } from 'node:path';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { ContentEntry, ManifestHead } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive, type OpenFile } from './archive-file.ts';
import { createTarReader, expectSame, type TarReader } from './archive-reader.ts';
import { readProven } from './read-proven.ts';
import { storedSize } from './sparse.ts';

export interface ContentReader {
  /**
   * Gives `sink` one piece after the other with its place in the file; what lies between two pieces is zeros. A piece is only valid during the call.
   * Throws BACKUP_CORRUPT and BACKUP_MISSING, naming the archive; what was given until then is not to be used.
   */
  read(entry: ContentEntry, sink: (piece: Buffer, at: number) => void): Promise<void>;
  /** What lies in the archive for it, unproven: the map of a file with holes, and its pieces, without the padding. Throws as `read` does. */
  copy(entry: ContentEntry, sink: (chunk: Buffer) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** Of which archive of a backup, and where it is: those of other backups lie beside its own. */
export function archiveOf(
  backup: { readonly path: string },
  manifest: ManifestHead,
  id: string,
): { readonly path: string } & ManifestHead['archive'] {
  if (id === manifest.id) return { ...manifest.archive, path: backup.path };
  const found = manifest.archives.find((archive) => archive.id === id);
  if (found === undefined) throw new TypeError(`the manifest lists no archive of ${id}`);
  return { ...found, path: join(dirname(backup.path), found.file) };
}

/** Opens an archive when the first entry in it is asked for. */
export function openContents(
  backup: { readonly path: string; readonly keys?: KeyRing | undefined },
  manifest: ManifestHead,
): ContentReader {
  const opened = new Map<string, Promise<{ readonly file: OpenFile; readonly reader: TarReader }>>();
  const open = async (id: string): Promise<{ readonly file: OpenFile; readonly reader: TarReader }> => {
    const { path, frames } = archiveOf(backup, manifest, id);
    const file = await openArchive({ id, path, keys: backup.keys });
    return { file, reader: await createTarReader(file, frames) };
  };
  /** What `take` finds wrong is the archive's fault. */
  const at = async (entry: ContentEntry, take: (reader: TarReader) => Promise<void>, isOwn: (error: unknown) => boolean): Promise<void> => {
    const id = entry.in ?? manifest.id;
    const present = opened.get(id) ?? open(id);
    opened.set(id, present);
    const { reader } = await present;
    try {
      reader.seek(entry.at);
      const header = await reader.next();
      if (header === null) throw new TypeError(`it ends before "${entry.path}"`);
      expectSame(entry, header, entry.at);
      await take(reader);
    } catch (error) {
      if (isOwn(error) || error instanceof UpgradeError) throw error;
      const { path } = archiveOf(backup, manifest, id);
      throw fail('BACKUP_CORRUPT', { id: manifest.id, path, problem: messageOf(error) }, {}, error);
    }
  };
  return {
    read: async (entry, sink) => {
      // What a sink throws is no fault of the archive.
      let own: unknown = null;
      const guarded: typeof sink = (piece, place) => {
        try {
          sink(piece, place);
        } catch (error) {
          own = error;
          throw error;
        }
      };
      await at(
        entry,
        (reader) => readProven(reader, entry, guarded),
        (error) => error === own,
      );
    },
    copy: async (entry, sink) => {
      let own: unknown = null;
      const guarded = async (chunk: Buffer): Promise<void> => {
        await sink(chunk).catch((error: unknown) => {
          own = error;
          throw error;
        });
      };
      const pieces = entry.type === 'file' ? entry.pieces : undefined;
      const size = pieces === undefined ? entry.size : storedSize(pieces, entry.size);
      await at(
        entry,
        (reader) => reader.body(size, guarded),
        (error) => error === own,
      );
    },
    close: async () => {
      for (const one of await Promise.allSettled(opened.values())) {
        if (one.status === 'rejected') continue;
        await one.value.reader.close();
        await one.value.file.close();
      }
    },
  };
}
