// One self-contained file out of a backup, for another host: see `exported-file.ts`. That of an encrypted backup is encrypted to the same keys.
import { constants } from 'node:fs';
import { link, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { createEncrypted, type WritableFile } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import { removeIfThere } from './create.ts';
import { syncFolder } from './durable.ts';
import { manifestFrame } from './exported-file.ts';
import { manifestIn, readManifestText } from './manifest-file.ts';

/** Mode 0600, atomic, synced. Throws BACKUP_EXPORT_EXISTS, BACKUP_EXPORT_INCOMPLETE, BACKUP_ENCRYPTED, BACKUP_WRITE_FAILED, and what `verify` throws. */
export async function exportBackup(
  backup: BackupRecord & { readonly keys: KeyRing },
  file: string,
  verify: () => Promise<void>,
): Promise<void> {
  await verify();
  const { id } = backup;
  const text = await readManifestText(backup);
  const { archives, encryption } = await manifestIn(text, { id, path: backup.manifest });
  if (archives.length > 0) throw fail('BACKUP_EXPORT_INCOMPLETE', { id, others: archives.map((one) => one.id) });
  const partial = `${file}.${id}.partial`;
  try {
    await removeIfThere(partial);
    const target = await open(partial, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      const encrypted = encryption === null ? null : await createEncrypted(target, encryption.recipients);
      const position = await copyArchive(backup, encrypted ?? target);
      await writeWhole(encrypted ?? target, manifestFrame(text), position);
      await encrypted?.end();
      await target.sync();
    } finally {
      await target.close();
    }
    // A link, unlike a rename, never takes the place of another file.
    await link(partial, file);
    await removeIfThere(partial);
    await syncFolder(dirname(file));
  } catch (error) {
    await removeIfThere(partial).catch(() => undefined);
    if (error instanceof UpgradeError) throw error;
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fail('BACKUP_EXPORT_EXISTS', { file });
    throw fail('BACKUP_WRITE_FAILED', { dir: dirname(file), error: messageOf(error) }, {}, error);
  }
}

/** Bytes of it. `limit`: what of the file is the archive. */
export async function copyArchive(
  source: { readonly id: string; readonly path: string; readonly keys: KeyRing; readonly limit?: number },
  target: WritableFile,
): Promise<number> {
  const archive = await openArchive(source);
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let position = 0; position < archive.size;) {
      const { bytesRead } = await archive.read(buffer, 0, Math.min(buffer.length, archive.size - position), position);
      if (bytesRead === 0) throw new TypeError(`${source.path} became shorter while it was copied`);
      await writeWhole(target, buffer.subarray(0, bytesRead), position);
      position += bytesRead;
    }
    return archive.size;
  } finally {
    await archive.close();
  }
}

async function writeWhole(target: WritableFile, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await target.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
