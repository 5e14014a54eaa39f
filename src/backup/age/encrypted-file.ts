// A file that is written from its start and read anywhere, and lies on disk encrypted: what `age -d` gives out of it are the bytes that were written.
// Memory is a few chunks, whatever the size.
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { makeHeader, readHeader, type KeyToTry } from './header.ts';
import { chunkSize, openChunk, payloadKey, saltSize, sealChunk, sealedSize, sizesOf, type ChunkPlace } from './payload.ts';

/** What is written to: a file, or one that encrypts on the way. */
export type WritableFile = Pick<FileHandle, 'truncate'> & {
  write(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>;
};

/** What is read from. */
export interface ReadableFile {
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

export interface EncryptedTarget extends WritableFile {
  /** Seals the last chunk; nothing is written after it. */
  end(): Promise<void>;
}

export async function createEncrypted(file: FileHandle, recipients: readonly string[]): Promise<EncryptedTarget> {
  const { header, fileKey } = await makeHeader(recipients);
  const start = header.length + saltSize;
  let salt = randomBytes(saltSize);
  let key = payloadKey(fileKey, salt);
  // A full chunk waits for what follows: only then it is known not to be the last.
  const pending = Buffer.allocUnsafeSlow(chunkSize);
  let filled = 0;
  let sealed = 0;
  await file.write(Buffer.concat([header, salt]), 0, start, 0);

  const seal = async (isLast: boolean): Promise<void> => {
    const parts = sealChunk(key, { index: sealed, isLast }, pending.subarray(0, filled));
    await writeAll(file, Buffer.concat(parts), start + sealed * sealedSize);
    sealed += 1;
    filled = 0;
  };

  return {
    write: async (buffer, offset, length, position) => {
      if (position !== sealed * chunkSize + filled) throw new TypeError('an encrypted file is written from its start to its end');
      for (let done = 0; done < length;) {
        if (filled === chunkSize) await seal(false);
        const count = buffer.copy(pending, filled, offset + done, Math.min(offset + length, offset + done + chunkSize - filled));
        filled += count;
        done += count;
      }
      return { bytesWritten: length };
    },
    truncate: async (bytes = 0) => {
      const whole = Math.floor(bytes / chunkSize);
      const rest = bytes - whole * chunkSize;
      const before = key;
      const open = async (index: number): Promise<Buffer> =>
        openChunk(before, { index, isLast: false }, await readAll(file, start + index * sealedSize, sealedSize));
      if (bytes === sealed * chunkSize + filled) return;
      if (bytes >= sealed * chunkSize) {
        filled = bytes - sealed * chunkSize;
        return;
      }
      const tail = await open(whole);
      // What follows takes places that were sealed once. Under the same key that would give the two away, so all that stays is sealed anew.
      salt = randomBytes(saltSize);
      key = payloadKey(fileKey, salt);
      await writeAll(file, salt, header.length);
      for (let index = 0; index < whole; index += 1) {
        const again = sealChunk(key, { index, isLast: false }, await open(index));
        await writeAll(file, Buffer.concat(again), start + index * sealedSize);
      }
      await file.truncate(start + whole * sealedSize);
      sealed = whole;
      filled = tail.copy(pending, 0, 0, rest);
    },
    end: () => seal(true),
  };
}

/** Throws NoKeyFits, and a TypeError for what is no age file or ends too early. */
export async function openEncrypted(
  file: FileHandle,
  keys: readonly KeyToTry[],
): Promise<ReadableFile & { readonly size: number; readonly fileKey: Uint8Array }> {
  const { bytes: headerSize, fileKey } = await readHeader(file, keys);
  const start = headerSize + saltSize;
  const { size } = await file.stat();
  const { chunks, plain } = sizesOf(size - start);
  const key = payloadKey(fileKey, await readAll(file, headerSize, saltSize));
  const sealed = Buffer.allocUnsafeSlow(piece * sealedSize);
  let latest: { readonly index: number; readonly chunk: Buffer } | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  const place = (index: number): ChunkPlace => ({ index, isLast: index === chunks - 1 });
  const readPart = async (buffer: Buffer, offset: number, length: number, position: number): Promise<number> => {
    const end = Math.min(plain, position + length);
    let done = 0;
    const give = (chunk: Buffer, index: number): void => {
      const from = position + done - index * chunkSize;
      done += chunk.copy(buffer, offset + done, from, Math.min(chunk.length, from + end - position - done));
      latest = { index, chunk };
    };
    while (position + done < end) {
      const first = Math.floor((position + done) / chunkSize);
      if (latest?.index === first) {
        give(latest.chunk, first);
        continue;
      }
      const last = Math.min(first + piece - 1, Math.floor((end - 1) / chunkSize));
      const wanted = Math.min(size - start - first * sealedSize, (last - first + 1) * sealedSize);
      await fill(file, sealed.subarray(0, wanted), start + first * sealedSize);
      for (let index = first; index <= last; index += 1) {
        const at = (index - first) * sealedSize;
        give(openWell(key, place(index), sealed.subarray(at, Math.min(wanted, at + sealedSize))), index);
      }
    }
    return done;
  };
  return {
    size: plain,
    fileKey,
    // One read at a time: they share the buffer.
    read: async (buffer, offset, length, position) => {
      const mine = turn.then(() => readPart(buffer, offset, length, position));
      turn = mine.catch(() => undefined);
      return { bytesRead: await mine };
    },
  };
}

/** Chunks that are read at once. */
const piece = 16;

function openWell(key: Buffer, place: ChunkPlace, sealed: Buffer): Buffer {
  try {
    return openChunk(key, place, sealed);
  } catch (error) {
    throw new TypeError('it was changed or cut off after it was encrypted', { cause: error });
  }
}

async function readAll(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await fill(file, buffer, position);
  return buffer;
}

async function fill(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length;) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) throw new TypeError('it is truncated');
    done += bytesRead;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
