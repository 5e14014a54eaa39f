// Proves frames of an archive one after the other, as they are read: each unpacks whole, to what the checksum in it says went in, and the SHA-256 of them all is known
// at the end. What was proven can be taken back to a mark.
import { createHash, type Hash } from 'node:crypto';
import type { ReadableFile } from './age/encrypted-file.ts';
import { createFrameUnpacker } from './frame-codec.ts';
import type { Frame } from './frame-writer.ts';

export interface Proof {
  /** The next frames. Rejects with a TypeError where they are not what was written. */
  prove(frames: readonly Frame[]): Promise<void>;
  mark(): Promise<void>;
  /** Back to the mark, which was behind so many frames. */
  rewind(frames: number): Promise<void>;
  /** Hex SHA-256 of all of them. */
  digest(): Promise<string>;
  /** Gives the memory back. */
  close(): Promise<void>;
}

interface State {
  readonly frames: number;
  readonly bytes: number;
  readonly hash: Hash;
}

const otherThanWritten = 'what is read back from the disk is not what was written';

/** `sync`: puts what was written on disk, before it is read back. */
export function createProof(file: ReadableFile, sync: () => Promise<void> = async () => undefined): Proof {
  const known: Frame[] = [];
  const unpacker = createFrameUnpacker();
  let proven: State = { frames: 0, bytes: 0, hash: createHash('sha256') };
  let safe = proven;
  let packed = Buffer.alloc(0);
  let tar = Buffer.alloc(0);

  const readFrame = async (length: number, position: number): Promise<Buffer> => {
    if (packed.length < length) packed = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await file.read(packed, done, length - done, position + done);
      if (bytesRead === 0) throw new TypeError('it is shorter than what was written');
      done += bytesRead;
    }
    return packed.subarray(0, length);
  };
  return {
    prove: async (frames) => {
      known.push(...frames);
      await sync();
      const hash = proven.hash.copy();
      let { bytes } = proven;
      for (const [length, tarBytes] of known.slice(proven.frames)) {
        const read = await readFrame(length, bytes);
        if (tar.length < tarBytes) tar = Buffer.allocUnsafeSlow(tarBytes);
        const unpacking = unpacker.run(read, tar).catch((error: unknown) => {
          throw new TypeError(otherThanWritten, { cause: error });
        });
        hash.update(read);
        if ((await unpacking) !== tarBytes) throw new TypeError(otherThanWritten);
        bytes += length;
      }
      proven = { frames: known.length, bytes, hash };
    },
    mark: async () => {
      safe = proven;
    },
    rewind: async (frames) => {
      if (proven.frames > frames) proven = safe;
      known.length = frames;
    },
    digest: async () => proven.hash.copy().digest('hex'),
    close: async () => unpacker.close(),
  };
}
