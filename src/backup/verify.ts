// Reads a backup and proves that it holds exactly what its manifest says: its own archive whole, and of the archives of others what it needs of them.
import type { ManifestEntry } from '../model/manifest.ts';
import type { BackupRecord } from '../model/ports.ts';
import { hasContent } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { verifyArchive } from './archive-reader.ts';
import { openContents } from './content-reader.ts';
import type { OpenManifest } from './manifest-file.ts';

/** Throws BACKUP_MISSING and BACKUP_CORRUPT with the first thing that is not as the manifest says. */
export async function verifyBackup(
  { id, path, keys }: Pick<BackupRecord, 'id' | 'path'> & { readonly keys?: KeyRing },
  manifest: OpenManifest,
  signal?: AbortSignal,
): Promise<void> {
  await verifyArchive({ id, path, keys, ...manifest.archive, entries: ownEntries(manifest) }, signal);
  const contents = openContents({ path, keys }, manifest);
  try {
    for (const entry of manifest.entries) {
      signal?.throwIfAborted();
      if (hasContent(entry) && entry.in !== undefined) await contents.read(entry, () => undefined);
    }
  } finally {
    await contents.close();
  }
}

/** What lies in the archive of the backup itself. */
export function* ownEntries({ entries }: Pick<OpenManifest, 'entries'>): Generator<ManifestEntry> {
  for (const entry of entries) if (!('in' in entry) || entry.in === undefined) yield entry;
}
