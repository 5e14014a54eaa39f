// The contents of one entry out of a tar: what is a map of holes is taken away, and what was once read is proven by its SHA-256.
import { createHash, type Hash } from 'node:crypto';
import type { ContentEntry } from '../model/manifest.ts';
import type { TarReader } from './archive-reader.ts';
import { mapOf, storedSize, type Piece } from './sparse.ts';

/** The body of the entry whose header was just read; `sink` gets each piece with its place in the file. Throws a TypeError where it is not what was once read. */
export async function readProven(reader: TarReader, entry: ContentEntry, sink: (piece: Buffer, at: number) => void): Promise<void> {
  const hash = createHash('sha256');
  const pieces = entry.type === 'file' ? entry.pieces : undefined;
  const given = (piece: Buffer, at: number): void => {
    hash.update(piece);
    sink(piece, at);
  };
  if (pieces === undefined) {
    let at = 0;
    await reader.body(entry.size, (piece) => {
      given(piece, at);
      at += piece.length;
    });
  } else {
    const spread = spreader(mapOf(pieces, entry.size), pieces, { given, hole: (length) => hashZeros(hash, length) });
    await reader.body(storedSize(pieces, entry.size), spread);
    hashZeros(hash, entry.size - endOf(pieces));
  }
  if (hash.digest('hex') !== entry.sha256) throw new TypeError(`the contents of "${entry.path}" are not those that were read`);
}

const zeros = Buffer.alloc(1 << 20);

export function hashZeros(hash: Hash, count: number): void {
  for (let left = count; left > 0; left -= zeros.length) hash.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
}

function endOf(pieces: readonly Piece[]): number {
  const [offset, length] = pieces.at(-1) ?? [0, 0];
  return offset + length;
}

/** Takes the map and then piece after piece, in whatever portions they come. */
function spreader(
  map: Buffer,
  pieces: readonly Piece[],
  { given, hole }: { readonly given: (piece: Buffer, at: number) => void; readonly hole: (length: number) => void },
): (portion: Buffer) => void {
  let mapped = 0;
  let index = 0;
  let done = 0;
  let end = 0;
  return (portion) => {
    let left = portion;
    if (mapped < map.length) {
      const part = left.subarray(0, map.length - mapped);
      if (!part.equals(map.subarray(mapped, mapped + part.length))) throw new TypeError('a file with holes has them elsewhere than listed');
      mapped += part.length;
      left = left.subarray(part.length);
    }
    while (left.length > 0) {
      const [offset, length] = pieces[index] ?? [0, 0];
      const part = left.subarray(0, length - done);
      if (part.length === 0 && done === length) {
        index += 1;
        done = 0;
        if (index > pieces.length) throw new TypeError('a file with holes has more data than listed');
        continue;
      }
      if (done === 0) hole(offset - end);
      given(part, offset + done);
      done += part.length;
      end = offset + done;
      left = left.subarray(part.length);
      if (done === length) {
        index += 1;
        done = 0;
      }
    }
  };
}
