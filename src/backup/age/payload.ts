// The payload of an age file (age-encryption.org/v1): chunks of 64 KiB, each sealed by itself, so that any of them can be read without those before.
// By Node's own ChaCha20-Poly1305: that of the age-encryption package is written in JavaScript and takes streams only.
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

export const chunkSize = 64 << 10;
export const tagSize = 16;
/** What a chunk takes in the file. */
export const sealedSize = chunkSize + tagSize;
export const saltSize = 16;

const algorithm = 'chacha20-poly1305';
const options = { authTagLength: tagSize };

export function payloadKey(fileKey: Uint8Array, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, salt, 'payload', 32));
}

/** Where a chunk lies and whether it is the last are part of what is sealed: chunks can be neither moved nor left out. */
export interface ChunkPlace {
  readonly index: number;
  readonly isLast: boolean;
}

export function sealChunk(key: Buffer, place: ChunkPlace, plain: Buffer): readonly Buffer[] {
  const cipher = createCipheriv(algorithm, key, nonceOf(place), options);
  const body = cipher.update(plain);
  return [body, cipher.final(), cipher.getAuthTag()];
}

/** Throws where it is not what was sealed there. */
export function openChunk(key: Buffer, place: ChunkPlace, sealed: Buffer): Buffer {
  const decipher = createDecipheriv(algorithm, key, nonceOf(place), options);
  decipher.setAuthTag(sealed.subarray(-tagSize));
  const plain = decipher.update(sealed.subarray(0, -tagSize));
  decipher.final();
  return plain;
}

function nonceOf({ index, isLast }: ChunkPlace): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Chunks of a payload of this many bytes, and what they hold. Throws a TypeError for a number that no payload has. */
export function sizesOf(sealedBytes: number): { readonly chunks: number; readonly plain: number } {
  const chunks = Math.ceil(sealedBytes / sealedSize);
  const last = sealedBytes - (chunks - 1) * sealedSize;
  if (chunks < 1 || last < tagSize || (last === tagSize && chunks > 1)) throw new TypeError('it is truncated');
  return { chunks, plain: sealedBytes - chunks * tagSize };
}
