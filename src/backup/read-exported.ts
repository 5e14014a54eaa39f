// Opens an exported backup and proves it: see `exported-file.ts`. Given a file that anybody may have made; promises that what it gives is safe to follow.
import { basename } from 'node:path';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import { readManifestFrame } from './exported-file.ts';
import { manifestIn, type OpenManifest } from './manifest-file.ts';
import { verifyBackup } from './verify.ts';

export interface Exported {
  /** So much of the file is the archive. */
  readonly archiveBytes: number;
  readonly text: Buffer;
  readonly manifest: OpenManifest;
}

/** Only the manifest is proven yet. Throws BACKUP_MISSING, BACKUP_ENCRYPTED, BACKUP_FORMAT_NEWER, BACKUP_CORRUPT. */
export async function readExported(file: string, keys: KeyRing): Promise<Exported> {
  const name = basename(file);
  const source = await openArchive({ id: name, path: file, keys });
  try {
    const { archiveBytes, text } = await readManifestFrame(source);
    const id = /"id": "([0-9A-Za-z][0-9A-Za-z_-]{0,63})"/.exec(text.toString('latin1', 0, 4096))?.[1] ?? '';
    const manifest = await manifestIn(text, { id, path: file });
    if (manifest.archives.length > 0) throw new TypeError('it lies in other archives too, which are not in it');
    if (manifest.archive.bytes !== archiveBytes)
      throw new TypeError(`its archive has ${archiveBytes} bytes instead of ${manifest.archive.bytes}`);
    return { archiveBytes, text, manifest };
  } catch (error) {
    throw error instanceof UpgradeError ? error : fail('BACKUP_CORRUPT', { id: name, path: file, problem: messageOf(error) }, {}, error);
  } finally {
    await source.close();
  }
}

/** Every byte of it. Throws BACKUP_CORRUPT. */
export async function proveExported(file: string, keys: KeyRing, { archiveBytes, manifest }: Exported): Promise<void> {
  await verifyBackup({ id: manifest.id, path: file, keys, limit: archiveBytes }, manifest, { isDeep: true });
}
