// Reads one frame of an archive into a slot, whose buffers and context are used again for the next.
import type { ReadableFile } from './age/encrypted-file.ts';
import { createFrameUnpacker, type FrameCodec } from './frame-codec.ts';
import type { Frame } from './frame-writer.ts';

/** Where each frame starts, in the archive and in the tar. */
export function startsOf(frames: readonly Frame[]): readonly { readonly archive: number; readonly tar: number }[] {
  let archive = 0;
  let tar = 0;
  return frames.map(([bytes, tarBytes]) => {
    const start = { archive, tar };
    archive += bytes;
    tar += tarBytes;
    return start;
  });
}

export interface Slot {
  readonly unpacker: FrameCodec;
  readonly packed: Buffer;
  readonly tar: Buffer;
  index: number;
  job: Promise<unknown>;
}

/** Large enough for any frame of the archive. */
export function createSlot(frames: readonly Frame[]): Slot {
  const [packed, tar] = [0, 1].map((side) => frames.reduce((most, frame) => Math.max(most, frame[side] ?? 0), 0));
  return {
    unpacker: createFrameUnpacker(),
    packed: Buffer.allocUnsafeSlow(packed ?? 0),
    tar: Buffer.allocUnsafeSlow(tar ?? 0),
    index: -1,
    job: Promise.resolve(),
  };
}

export async function readFrame(
  file: ReadableFile,
  frames: readonly Frame[],
  starts: ReturnType<typeof startsOf>,
  index: number,
  { unpacker, packed, tar }: Slot,
): Promise<void> {
  const [bytes, tarBytes] = frames[index] ?? [0, 0];
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await file.read(packed, done, bytes - done, (starts[index]?.archive ?? 0) + done);
    if (bytesRead === 0) throw new TypeError('it is truncated');
    done += bytesRead;
  }
  // The target's size stops a frame that claims to be small and unpacks without end.
  const length = await unpacker.run(packed.subarray(0, bytes), tar.subarray(0, tarBytes));
  if (length !== tarBytes) throw new TypeError('a part of it unpacks to another size');
}
