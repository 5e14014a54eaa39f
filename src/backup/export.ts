// One self-contained file out of a backup, for another host: see `exported-file.ts`. What lies in the archives of earlier backups is folded in. That of an encrypted
// backup is encrypted to the same keys.
import { constants } from 'node:fs';
import { link, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { createEncrypted, type WritableFile } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import { removeIfThere } from './create.ts';
import { syncFolder } from './durable.ts';
import { manifestFrame } from './exported-file.ts';
import { foldBackup } from './fold.ts';
import { manifestIn, readManifestText, type OpenManifest } from './manifest-file.ts';
import { proveExported, readExported } from './read-exported.ts';

type Source = BackupRecord & { readonly keys: KeyRing };

/** Mode 0600, atomic, synced, and read back before it has its name. Throws BACKUP_EXPORT_EXISTS, BACKUP_ENCRYPTED, BACKUP_WRITE_FAILED, and what `verify` throws. */
export async function exportBackup(backup: Source, file: string, verify: () => Promise<void>): Promise<void> {
  await verify();
  const { id } = backup;
  const text = await readManifestText(backup);
  const manifest = await manifestIn(text, { id, path: backup.manifest });
  const partial = `${file}.${id}.partial`;
  // What was left there by an export that was killed goes with them.
  const temporary = [partial, `${partial}.manifest`, `${partial}.manifest.partial`];
  const clear = async (): Promise<void> => {
    for (const one of temporary) await removeIfThere(one);
  };
  try {
    await clear();
    const keys = manifest.archives.length === 0 ? await copyWhole(backup, partial, manifest, text) : await fold(backup, partial, manifest);
    await proveExported(partial, keys, await readExported(partial, keys));
    // A link, unlike a rename, never takes the place of another file.
    await link(partial, file);
    await clear();
    await syncFolder(dirname(file));
  } catch (error) {
    await clear().catch(() => undefined);
    if (error instanceof UpgradeError) throw error;
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fail('BACKUP_EXPORT_EXISTS', { file });
    throw fail('BACKUP_WRITE_FAILED', { dir: dirname(file), error: messageOf(error) }, {}, error);
  }
}

/** Gives the keys that open what it has written. */
async function copyWhole(backup: Source, partial: string, { encryption }: OpenManifest, text: Buffer): Promise<KeyRing> {
  const proving = encryption === null ? null : await provingKey();
  const target = await open(partial, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    const encrypted = proving === null ? null : await createEncrypted(target, [...(encryption?.recipients ?? []), proving.recipient]);
    const position = await copyArchive(backup, encrypted ?? target);
    await writeWhole(encrypted ?? target, manifestFrame(text), position);
    await encrypted?.end();
    await target.sync();
  } finally {
    await target.close();
  }
  return proving === null ? backup.keys : { ...backup.keys, keysOf: async () => [proving.identity] };
}

/** The keys of its recipients may be elsewhere: this one proves what was written, and is forgotten with that. */
async function provingKey(): Promise<{ readonly identity: string; readonly recipient: string }> {
  const { generateIdentity, identityToRecipient } = await import('age-encryption');
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** Never encrypted: such backups are whole. */
async function fold({ path, keys }: Source, partial: string, manifest: OpenManifest): Promise<KeyRing> {
  const folded = `${partial}.manifest`;
  await foldBackup(path, manifest, { archive: partial, manifest: folded });
  const target = await open(partial, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    await writeWhole(target, manifestFrame(await readFile(folded)), (await target.stat()).size);
    await target.sync();
  } finally {
    await target.close();
  }
  return keys;
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
