// The shape of an exported backup: the archive, then its manifest in a zstd frame that readers skip, so that plain `tar --zstd -xf` opens it.
import type { OpenFile } from './archive-file.ts';

/** Begins a frame that every zstd reader passes over (RFC 8878, 3.1.2). */
const skippable = 0x184d2a5b;
/** Ends the file, after the manifest and its length: how a reader finds it. */
const mark = 'rungs-manifest-1';
const headSize = 8;
const tailSize = 4 + mark.length;
/** No manifest that we write comes near it; a frame could hold no more than four times this. */
const largest = 1 << 30;

/** What follows the archive. */
export function manifestFrame(manifest: Buffer): Buffer {
  const head = Buffer.alloc(headSize);
  head.writeUInt32LE(skippable, 0);
  head.writeUInt32LE(manifest.length + tailSize, 4);
  const tail = Buffer.alloc(tailSize);
  tail.writeUInt32LE(manifest.length, 0);
  tail.write(mark, 4, 'latin1');
  return Buffer.concat([head, manifest, tail]);
}

/** Bytes of the archive, and the text of the manifest, unchecked. Throws a TypeError for what is no exported backup. */
export async function readManifestFrame(file: OpenFile): Promise<{ readonly archiveBytes: number; readonly text: Buffer }> {
  const bytesAt = async (position: number, length: number): Promise<Buffer> => {
    const buffer = Buffer.alloc(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await file.read(buffer, done, length - done, position + done);
      if (bytesRead === 0) throw new TypeError('it is truncated');
      done += bytesRead;
    }
    return buffer;
  };
  if (file.size < headSize + tailSize) throw new TypeError('it is no exported backup');
  const tail = await bytesAt(file.size - tailSize, tailSize);
  if (tail.toString('latin1', 4) !== mark) throw new TypeError('it is no exported backup, or it is cut off');
  const length = tail.readUInt32LE(0);
  const archiveBytes = file.size - tailSize - length - headSize;
  if (archiveBytes < 0 || length > largest) throw new TypeError('its manifest is larger than it can be');
  const head = await bytesAt(archiveBytes, headSize);
  if (head.readUInt32LE(0) !== skippable || head.readUInt32LE(4) !== length + tailSize)
    throw new TypeError('its manifest is not where it says');
  return { archiveBytes, text: await bytesAt(archiveBytes + headSize, length) };
}
