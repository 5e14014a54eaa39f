// One self-contained file out of a backup: the archive with its manifest in a zstd frame that readers skip, so that plain `tar --zstd -xf` opens it.
import { constants } from 'node:fs';
import { link, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, messageOf } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import { removeIfThere } from './create.ts';
import { syncFolder } from './durable.ts';

/** Begins a frame that every zstd reader passes over (RFC 8878, 3.1.2). */
const skippable = 0x184d2a5b;
/** Ends the file, after the manifest and its length: how a reader finds it. */
const mark = 'rungs-manifest-1';

/** Mode 0600, atomic, synced. Throws BACKUP_EXPORT_EXISTS, BACKUP_WRITE_FAILED, and what `verify` throws. */
export async function exportBackup(backup: BackupRecord, file: string, verify: () => Promise<void>): Promise<void> {
  await verify();
  const manifest = await readFile(backup.manifest);
  const partial = `${file}.${backup.id}.partial`;
  try {
    await removeIfThere(partial);
    const target = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      await copyInto(target, backup.path);
      const tail = Buffer.alloc(4 + mark.length);
      tail.writeUInt32LE(manifest.length, 0);
      tail.write(mark, 4, 'latin1');
      const head = Buffer.alloc(8);
      head.writeUInt32LE(skippable, 0);
      head.writeUInt32LE(manifest.length + tail.length, 4);
      await target.appendFile(Buffer.concat([head, manifest, tail]));
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
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fail('BACKUP_EXPORT_EXISTS', { file });
    throw fail('BACKUP_WRITE_FAILED', { dir: dirname(file), error: messageOf(error) }, {}, error);
  }
}

async function copyInto(target: FileHandle, path: string): Promise<void> {
  const source = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (;;) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      await target.appendFile(buffer.subarray(0, bytesRead));
    }
  } finally {
    await source.close();
  }
}
