// Takes tar bytes and appends them to a file as independent zstd frames, compressed beside each other and written in order; memory stays flat.
// Frames start at known places, so a file that changed while being read can be taken back, and one file can be fetched without reading the rest.
import type { WritableFile } from './age/encrypted-file.ts';
import { createFramePacker, type FrameCodec } from './frame-codec.ts';

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
  /** Waits until nothing touches the file any more, whatever failed, and gives the memory back. */
  settle(): Promise<void>;
}

export interface Mark {
  readonly frames: number;
  readonly bytes: number;
  readonly tarBytes: number;
}

export const frameSize = 2 << 20;
/** Frames that are filled, packed and written at one time. */
const slots = 3;

interface Slot {
  readonly packer: FrameCodec;
  readonly tar: Buffer;
  readonly packed: Buffer;
  job: Promise<number>;
  tarBytes: number;
}

export function createFrameWriter(file: WritableFile): FrameWriter {
  const free: Slot[] = Array.from({ length: slots }, createSlot);
  const queue: Slot[] = [];
  const frames: Frame[] = [];
  let present = free.pop() ?? createSlot();
  let filled = 0;
  let sealed = 0;
  let bytes = 0;

  const writeOldest = async (): Promise<void> => {
    const slot = queue.shift();
    if (slot === undefined) return;
    const length = await slot.job;
    for (let done = 0; done < length;) done += (await file.write(slot.packed, done, length - done, bytes + done)).bytesWritten;
    bytes += length;
    frames.push([length, slot.tarBytes]);
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
      await Promise.allSettled(queue.map(({ job }) => job));
      for (const { packer } of [present, ...free, ...queue]) packer.close();
    },
  };
}

function createSlot(): Slot {
  // zstd adds at most a 256th and its headers to what it cannot make smaller.
  return {
    packer: createFramePacker(),
    tar: Buffer.allocUnsafeSlow(frameSize),
    packed: Buffer.allocUnsafeSlow(frameSize + (frameSize >> 8) + 1024),
    job: Promise.resolve(0),
    tarBytes: 0,
  };
}
