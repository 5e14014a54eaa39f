// Of an encrypted backup: `<id>.manifest.json` says in the clear only what it takes to find and open the two encrypted files, the archive and the manifest proper.
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SealedManifest } from '../../schemas/backup-manifest.ts';
import { openArchive, type FileToOpen } from './archive-file.ts';
import { writeDurably } from './durable.ts';
import { hashFile } from './hash-file.ts';

export const sealedFormat = 'rungs-encrypted-backup';

export interface ToSeal {
  readonly id: string;
  readonly createdAt: string;
  readonly recipients: readonly string[];
  /** The encrypted file. */
  readonly archive: { readonly bytes: number; readonly sha256: string };
}

/** On disk when it resolves. The encrypted manifest is there before it. */
export async function writeSealed(manifest: string, { id, createdAt, archive, recipients }: ToSeal): Promise<void> {
  const document: SealedManifest = {
    format: sealedFormat,
    formatVersion: 1,
    id,
    createdAt,
    recipients: [...recipients],
    archive: { file: `${id}.tar.zst.age`, ...archive },
    manifest: { file: `${id}.manifest.json.age`, ...(await describedFile(`${manifest}.age`)) },
  };
  await writeDurably(manifest, `${JSON.stringify(document, null, 2)}\n`);
}

/** The document in the clear, or `null` for the manifest of a backup that is not encrypted. Throws a TypeError for one that is not as we write it. */
export async function readSealed(text: Buffer, id: string): Promise<SealedManifest | null> {
  // Asked before anything is parsed: a manifest in the clear may be large.
  if (!text.subarray(0, 200).includes(`"${sealedFormat}"`)) return null;
  const value: unknown = JSON.parse(text.toString());
  const { sealedManifestSchema } = await import('../../schemas/backup-manifest.ts');
  const parsed = sealedManifestSchema.safeParse(value);
  if (!parsed.success) throw new TypeError('the manifest is damaged');
  const { archive, manifest } = parsed.data;
  if (parsed.data.id !== id || archive.file !== `${id}.tar.zst.age` || manifest.file !== `${id}.manifest.json.age`)
    throw new TypeError('the manifest belongs to another backup');
  return parsed.data;
}

/** No manifest that we write comes near it. */
const largest = 1 << 30;

/** Throws BACKUP_MISSING, BACKUP_ENCRYPTED, BACKUP_CORRUPT. */
export async function unsealManifest(
  { recipients }: SealedManifest,
  path: string,
  { id, keys }: Omit<FileToOpen, 'path'>,
): Promise<Buffer> {
  const file = await openArchive({ id, path: `${path}.age`, keys, recipients });
  try {
    if (file.size > largest) throw new TypeError('the manifest is larger than any that we write');
    const bytes = Buffer.alloc(file.size);
    await file.read(bytes, 0, bytes.length, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Whether both encrypted files are as they were written, which takes no key. Gives what is wrong, or `null`. */
export async function sealProblem({ archive, manifest }: SealedManifest, dir: string): Promise<string | null> {
  for (const { file, bytes, sha256 } of [manifest, archive]) {
    const found = await describedFile(join(dir, file)).catch(() => null);
    if (found === null) return `${file} cannot be read`;
    if (found.bytes !== bytes || found.sha256 !== sha256) return `${file} is not as it was written`;
  }
  return null;
}

export async function describedFile(file: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  return { bytes: (await lstat(file)).size, sha256: await hashFile(file) };
}
