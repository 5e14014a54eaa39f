// Takes an exported backup into the backup folder. All of it is checked where it lies before a byte is written; what is written is read back before it has its name.
import { constants } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import type { Config } from '../model/config.ts';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { createEncrypted } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { pathsOf, recordOf, removeIfThere } from './create.ts';
import { syncFolder } from './durable.ts';
import { copyArchive } from './export.ts';
import type { OpenManifest } from './manifest-file.ts';
import { proveExported, readExported } from './read-exported.ts';
import { describedFile, writeSealed } from './sealed-manifest.ts';
import { verifyBackup } from './verify.ts';

export interface ImportContext {
  readonly config: Config;
  readonly keys: KeyRing;
  /** What the journal knows already. */
  readonly isKnown: (id: string) => boolean;
  /** A manifest that somebody else wrote must not lead to what is none of this installation's. */
  readonly refuseForeign: (manifest: OpenManifest, path: string) => void;
}

/** Throws BACKUP_CORRUPT, BACKUP_ENCRYPTED, BACKUP_FORMAT_NEWER, BACKUP_IMPORT_EXISTS, BACKUP_IMPORT_FOREIGN; then nothing was written. And BACKUP_WRITE_FAILED; then nothing is left. */
export async function importBackup(file: string, { config, keys, isKnown, refuseForeign }: ImportContext): Promise<BackupRecord> {
  const exported = await readExported(file, keys);
  const { archiveBytes, text, manifest } = exported;
  const { id, product, encryption } = manifest;
  if (product !== config.product) throw fail('BACKUP_IMPORT_FOREIGN', { file, product, wanted: config.product });
  if (isKnown(id)) throw fail('BACKUP_IMPORT_EXISTS', { file, id });
  refuseForeign(manifest, file);
  await proveExported(file, keys, exported);

  const { dir } = config.backup;
  const paths = pathsOf(dir, id, encryption !== null);
  const staged = encryption === null ? `${paths.manifest}.partial` : `${paths.manifest}.age.partial`;
  const written = [paths.partial, staged];
  const recipients = encryption?.recipients ?? [];
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await write(paths.partial, recipients, async (target) => copyArchive({ id, path: file, keys, limit: archiveBytes }, target));
    await verifyBackup({ id, path: paths.partial, keys }, manifest, { isDeep: true });
    await write(staged, recipients, async (target) => void (await target.write(text, 0, text.length, 0)));
    written.push(paths.manifest, `${paths.manifest}.age`);
    await rename(staged, staged.replace(/\.partial$/, ''));
    await syncFolder(dir);
    if (encryption !== null)
      await writeSealed(paths.manifest, { id, createdAt: manifest.createdAt, recipients, archive: await describedFile(paths.partial) });
    await rename(paths.partial, paths.archive);
    await syncFolder(dir);
  } catch (error) {
    for (const one of written) await removeIfThere(one).catch(() => undefined);
    throw error instanceof UpgradeError ? error : fail('BACKUP_WRITE_FAILED', { dir, error: messageOf(error) }, {}, error);
  }
  // The run that it was made for is another host's.
  return { ...recordOf(manifest, paths), runId: null };
}

type Target = Awaited<ReturnType<typeof createEncrypted>>;

async function write(
  path: string,
  recipients: readonly string[],
  fill: (target: Pick<Target, 'write' | 'truncate'>) => Promise<unknown>,
): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  try {
    const encrypted = recipients.length === 0 ? null : await createEncrypted(file, recipients);
    await fill(encrypted ?? file);
    await encrypted?.end();
    await file.sync();
  } finally {
    await file.close();
  }
}
