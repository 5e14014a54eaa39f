// Takes tar bytes and appends them to a file as independent zstd frames, compressed beside each other and written in order; memory stays flat.
// Frames start at known places, so a file that changed while being read can be taken back, and one file can be fetched without reading the rest.
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

/** Bytes of the archive and of the tar. */
export type Frame = readonly [bytes: number, tarBytes: number];

export interface FrameWriter {
  /** Bytes of tar so far. */
  position(): number;
  /** What is free in the present frame, to be filled from its start; `advance` says how much was. Never empty. */
  free(): Buffer;
  advance(bytes: number): Promise<void>;
  append(bytes: Buffer): Promise<void>;
  /** Ends the present frame, if anything is in it. */
  cut(): Promise<void>;
  /** A place to come back to. */
  mark(): Promise<Mark>;
  rewind(mark: Mark): Promise<void>;
  /** Everything is in the file when it resolves. */
  finish(): Promise<{ readonly frames: readonly Frame[]; readonly bytes: number; readonly tarBytes: number }>;
  /** Waits until nothing touches the file any more, whatever failed. */
  settle(): Promise<void>;
}

export interface Mark {
  readonly frames: number;
  readonly bytes: number;
  readonly tarBytes: number;
}

export const frameSize = 4 << 20;
/** Of frames that are compressed at one time: the thread pool has four threads. */
const inFlight = 3;

const compress = promisify(zstdCompress);
const options = { chunkSize: frameSize + (frameSize >> 7), params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } };

export function createFrameWriter(file: FileHandle): FrameWriter {
  const spare: Buffer[] = [];
  const queue: Promise<{ readonly packed: Buffer; readonly tarBytes: number }>[] = [];
  const frames: Frame[] = [];
  let present: Buffer = Buffer.allocUnsafe(frameSize);
  let filled = 0;
  let sealed = 0;
  let bytes = 0;

  const writeOldest = async (): Promise<void> => {
    const oldest = queue.shift();
    if (oldest === undefined) return;
    const { packed, tarBytes } = await oldest;
    for (let done = 0; done < packed.length; ) done += (await file.write(packed, done, packed.length - done, bytes + done)).bytesWritten;
    bytes += packed.length;
    frames.push([packed.length, tarBytes]);
  };
  const cut = async (): Promise<void> => {
    if (filled === 0) return;
    const buffer = present;
    const tarBytes = filled;
    const job = compress(buffer.subarray(0, tarBytes), options).then((packed) => {
      spare.push(buffer);
      return { packed, tarBytes };
    });
    // Awaited later, in order; until then its failure must not count as unnoticed.
    job.catch(() => undefined);
    queue.push(job);
    sealed += tarBytes;
    filled = 0;
    while (queue.length > inFlight) await writeOldest();
    present = spare.pop() ?? Buffer.allocUnsafe(frameSize);
  };
  const drain = async (): Promise<void> => {
    while (queue.length > 0) await writeOldest();
  };
  const advance = async (count: number): Promise<void> => {
    filled += count;
    if (filled === frameSize) await cut();
  };

  return {
    position: () => sealed + filled,
    free: () => present.subarray(filled),
    advance,
    append: async (source) => {
      for (let done = 0; done < source.length; ) {
        const count = source.copy(present, filled, done);
        done += count;
        await advance(count);
      }
    },
    cut,
    mark: async () => {
      await cut();
      await drain();
      return { frames: frames.length, bytes, tarBytes: sealed };
    },
    rewind: async (mark) => {
      filled = 0;
      await drain();
      await file.truncate(mark.bytes);
      frames.length = mark.frames;
      bytes = mark.bytes;
      sealed = mark.tarBytes;
    },
    finish: async () => {
      await cut();
      await drain();
      return { frames, bytes, tarBytes: sealed };
    },
    settle: async () => {
      await Promise.allSettled(queue);
    },
  };
}
