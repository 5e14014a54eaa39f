// Reads back from disk what a frame writer wrote, some way behind it: each stretch is synced, read, held against the checksums of what was written, and
// hashed. So the proof is nearly done when the writing is.
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { ReadableFile } from './age/encrypted-file.ts';

export interface ReadBack {
  /** One more frame is written, right behind the one before. */
  wrote(bytes: number, checksum: number): void;
  /** What is written from here on may be taken back. */
  mark(): void;
  /** To the mark, which was behind so many frames and bytes. */
  rewind(frames: number, bytes: number): Promise<void>;
  /** Reads the rest; gives the SHA-256 of the whole. Rejects with a TypeError where the disk gives back something else. */
  finish(file: ReadableFile): Promise<string>;
  settle(): Promise<void>;
}

/** So much is synced and read at a time. */
const stretch = 64 << 20;

interface State {
  readonly frames: number;
  readonly bytes: number;
  readonly hash: Hash;
}

/** `file` is `null` where it can be read only when it is whole. */
export function createReadBack(behind: FileHandle | null): ReadBack {
  const written: { readonly bytes: number; readonly checksum: number }[] = [];
  let total = 0;
  let proven: State = { frames: 0, bytes: 0, hash: createHash('sha256') };
  let safe = proven;
  let buffer = Buffer.alloc(0);
  let work: Promise<void> = Promise.resolve();
  let intended = 0;

  const prove = async (file: ReadableFile, until: number): Promise<void> => {
    const hash = proven.hash.copy();
    let { frames, bytes } = proven;
    for (; frames < until; frames += 1) {
      const frame = written[frames];
      if (frame === undefined) break;
      if (buffer.length < frame.bytes) buffer = Buffer.allocUnsafeSlow(frame.bytes);
      for (let done = 0; done < frame.bytes;) {
        const { bytesRead } = await file.read(buffer, done, frame.bytes - done, bytes + done);
        if (bytesRead === 0) throw new TypeError('it is shorter than what was written');
        done += bytesRead;
      }
      const read = buffer.subarray(0, frame.bytes);
      if (crc32(read) !== frame.checksum) throw new TypeError('what is read back from the disk is not what was written');
      hash.update(read);
      bytes += frame.bytes;
    }
    proven = { frames, bytes, hash };
  };
  const proveWritten = (file: FileHandle): void => {
    const until = written.length;
    intended = total;
    work = work.then(async () => {
      await file.datasync();
      await prove(file, until);
    });
    // Whoever finishes is told.
    work.catch(() => undefined);
  };

  return {
    wrote: (bytes, checksum) => {
      written.push({ bytes, checksum });
      total += bytes;
      if (behind !== null && total - intended >= stretch) proveWritten(behind);
    },
    mark: () => {
      safe = proven;
    },
    rewind: async (frames, bytes) => {
      await work;
      if (proven.frames > frames) proven = safe;
      written.length = frames;
      total = bytes;
      intended = Math.min(intended, bytes);
    },
    finish: async (file) => {
      await work;
      await prove(file, written.length);
      return proven.hash.copy().digest('hex');
    },
    settle: async () => {
      await work.catch(() => undefined);
    },
  };
}
