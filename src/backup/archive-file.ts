// Opens a file of a backup, encrypted or not: what is read from it are the bytes of the archive, or of the manifest.
import { open } from 'node:fs/promises';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import { openEncrypted, type ReadableFile } from './age/encrypted-file.ts';
import { NoKeyFits } from './age/header.ts';
import type { KeyRing } from './age/key-ring.ts';

export interface FileToOpen {
  readonly id: string;
  readonly path: string;
  /** Needed for what is encrypted. */
  readonly keys?: KeyRing | undefined;
  /** Whom it is encrypted to, where that is known. */
  readonly recipients?: readonly string[] | undefined;
}

export interface OpenFile extends ReadableFile {
  /** Bytes of what is read from it. */
  readonly size: number;
  close(): Promise<void>;
}

/** Throws BACKUP_MISSING, BACKUP_ENCRYPTED, and BACKUP_CORRUPT. */
export async function openArchive({ id, path, keys, recipients = [] }: FileToOpen): Promise<OpenFile> {
  const corrupt = (error: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem: messageOf(error) }, {}, error);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw error instanceof Error && 'code' in error && error.code === 'ENOENT' ? fail('BACKUP_MISSING', { id, path }) : corrupt(error);
  });
  try {
    if (!isEncrypted(path)) {
      const { size } = await file.stat();
      return { size, read: (buffer, offset, length, position) => file.read(buffer, offset, length, position), close: () => file.close() };
    }
    const { size, read } = await openEncrypted(file, (await keys?.keysOf(id)) ?? []);
    return { size, read, close: () => file.close() };
  } catch (error) {
    await file.close();
    if (error instanceof NoKeyFits) throw fail('BACKUP_ENCRYPTED', { id, recipients, hasTried: keys?.hasNamedKeys === true }, {}, error);
    throw error instanceof UpgradeError ? error : corrupt(error);
  }
}

export function isEncrypted(path: string): boolean {
  return /\.age(\.partial)?$/.test(path);
}
