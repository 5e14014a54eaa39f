// Takes tar bytes and appends them to a file as independent zstd frames, compressed beside each other and written in order; memory stays flat.
// What is on disk is read back behind the writing, and unpacks to what went in. Frames start at known places, so a file that changed while being read can be
// taken back, and one file can be fetched without reading the rest.
import type { FileHandle } from 'node:fs/promises';
import type { ReadableFile, WritableFile } from './age/encrypted-file.ts';
import { createFramePacker, type FrameCodec } from './frame-codec.ts';
import { createReadBack } from './read-back.ts';

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
  /** A place to come back to; only the latest is one. */
  mark(): Promise<Mark>;
  rewind(mark: Mark): Promise<void>;
  /** `end` puts the file on disk, and gives what it is read back from. Everything is there when it resolves. Rejects with a TypeError where that is not what was written. */
  finish(end: () => Promise<ReadableFile>): Promise<WrittenArchive>;
  /** Waits until nothing touches the file any more, whatever failed, and gives the memory back. */
  settle(): Promise<void>;
}

export interface WrittenArchive {
  readonly frames: readonly Frame[];
  readonly bytes: number;
  readonly tarBytes: number;
  /** Of the bytes that were read back. */
  readonly sha256: string;
}

export interface Mark {
  readonly frames: number;
  readonly tarBytes: number;
}

export const frameSize = 2 << 20;
/** Frames that are filled, packed and written at one time. */
const slots = 4;

interface Slot {
  readonly packer: FrameCodec;
  readonly tar: Buffer;
  readonly packed: Buffer;
  job: Promise<number>;
  tarBytes: number;
}

/** `behind`: the same file, where it can be read while it is being written. */
export function createFrameWriter(file: WritableFile, behind: FileHandle | null): FrameWriter {
  const free: Slot[] = Array.from({ length: slots }, createSlot);
  const queue: Slot[] = [];
  const frames: Frame[] = [];
  const readBack = createReadBack(behind);
  let present = free.pop() ?? createSlot();
  let filled = 0;
  let sealed = 0;
  let bytes = 0;

  const writeOldest = async (): Promise<void> => {
    const slot = queue.shift();
    if (slot === undefined) return;
    const length = await slot.job;
    const packed = slot.packed.subarray(0, length);
    for (let done = 0; done < length;) done += (await file.write(packed, done, length - done, bytes + done)).bytesWritten;
    bytes += length;
    const frame: Frame = [length, slot.tarBytes];
    frames.push(frame);
    readBack.wrote(frame);
    free.push(slot);
  };
  const cut = async (): Promise<void> => {
    if (filled === 0) return;
    const slot = present;
    slot.tarBytes = filled;
    slot.job = slot.packer.run(slot.tar.subarray(0, filled), slot.packed);
    // Awaited later, in order; until then its failure must not count as unnoticed.
    slot.job.catch(() => undefined);
    queue.push(slot);
    sealed += filled;
    filled = 0;
    while (free.length === 0) await writeOldest();
    present = free.pop() ?? createSlot();
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
    free: () => present.tar.subarray(filled),
    advance,
    append: async (source) => {
      for (let done = 0; done < source.length;) {
        const count = source.copy(present.tar, filled, done);
        done += count;
        await advance(count);
      }
    },
    cut,
    mark: async () => {
      await cut();
      readBack.mark();
      return { frames: frames.length + queue.length, tarBytes: sealed };
    },
    rewind: async (mark) => {
      filled = 0;
      await drain();
      frames.length = mark.frames;
      bytes = frames.reduce((total, [packed]) => total + packed, 0);
      sealed = mark.tarBytes;
      await readBack.rewind(mark.frames);
      await file.truncate(bytes);
    },
    finish: async (end) => {
      await cut();
      await drain();
      const sha256 = await readBack.finish(await end());
      return { frames, bytes, tarBytes: sealed, sha256 };
    },
    settle: async () => {
      await Promise.allSettled([...queue.map(({ job }) => job), readBack.settle()]);
      for (const { packer } of [present, ...free, ...queue]) packer.close();
    },
  };
}

function createSlot(): Slot {
  return {
    packer: createFramePacker(),
    tar: Buffer.allocUnsafeSlow(frameSize),
    // zstd adds at most a 256th and its headers to what it cannot make smaller.
    packed: Buffer.allocUnsafeSlow(frameSize + (frameSize >> 8) + 1024),
    job: Promise.resolve(0),
    tarBytes: 0,
  };
}
