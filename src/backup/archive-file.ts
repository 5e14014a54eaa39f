// Opens a file of a backup, encrypted or not: what is read from it are the bytes of the archive, or of the manifest.
import { open, type FileHandle } from 'node:fs/promises';
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
  /** Only so many bytes of it belong to the archive. */
  readonly limit?: number | undefined;
}

export interface OpenFile extends ReadableFile {
  /** Bytes of what is read from it. */
  readonly size: number;
  close(): Promise<void>;
}

/** Throws BACKUP_MISSING, BACKUP_ENCRYPTED, and BACKUP_CORRUPT. */
export async function openArchive({ id, path, keys, recipients = [], limit = Infinity }: FileToOpen): Promise<OpenFile> {
  const corrupt = (error: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem: messageOf(error) }, {}, error);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw error instanceof Error && 'code' in error && error.code === 'ENOENT' ? fail('BACKUP_MISSING', { id, path }) : corrupt(error);
  });
  try {
    if (!(await startsAsAge(file))) {
      // Under that name nobody put it there in the clear.
      if (isEncrypted(path)) throw new TypeError('it is no file that age made');
      const { size } = await file.stat();
      return {
        size: Math.min(size, limit),
        read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
        close: () => file.close(),
      };
    }
    const { size, read } = await openEncrypted(file, (await keys?.keysOf(id)) ?? []);
    return { size: Math.min(size, limit), read, close: () => file.close() };
  } catch (error) {
    await file.close();
    if (error instanceof NoKeyFits) throw fail('BACKUP_ENCRYPTED', { id, recipients, hasTried: keys?.hasNamedKeys === true }, {}, error);
    throw error instanceof UpgradeError ? error : corrupt(error);
  }
}

async function startsAsAge(file: FileHandle): Promise<boolean> {
  const magic = 'age-encryption.org/v1\n';
  const { bytesRead, buffer } = await file.read(Buffer.alloc(magic.length), 0, magic.length, 0);
  return buffer.toString('latin1', 0, bytesRead) === magic;
}

export function isEncrypted(path: string): boolean {
  return /\.age(\.partial)?$/.test(path);
}
