// Reads a backup and proves that it holds exactly what its manifest says: its own archive whole, and of the archives of others what it needs of them.
import type { ManifestEntry } from '../model/manifest.ts';
import type { BackupRecord } from '../model/ports.ts';
import { hasContent, type ContentEntry } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { verifyArchive, type ContentSink } from './archive-reader.ts';
import { openContents } from './content-reader.ts';
import type { OpenManifest } from './manifest-file.ts';

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Who wants the contents of an entry on the way. */
  readonly sinkFor?: (entry: ContentEntry) => ContentSink | null;
}

/** Throws BACKUP_MISSING and BACKUP_CORRUPT with the first thing that is not as the manifest says. */
export async function verifyBackup(
  { id, path, keys }: Pick<BackupRecord, 'id' | 'path'> & { readonly keys?: KeyRing },
  manifest: OpenManifest,
  { signal, sinkFor = () => null }: VerifyOptions = {},
): Promise<void> {
  await verifyArchive({ id, path, keys, ...manifest.archive, entries: ownEntries(manifest) }, signal, sinkFor);
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
export function* ownEntries({ entries }: Pick<OpenManifest, 'entries'>): Generator<ManifestEntry> {
  for (const entry of entries) if (!('in' in entry) || entry.in === undefined) yield entry;
}
