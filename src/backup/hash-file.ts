// The SHA-256 of a file's contents, read with one reused buffer, giving way to other work now and then.
import { createHash, hash as hashOnce } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { toBytes } from './names.ts';

const buffer = Buffer.allocUnsafe(1 << 20);
let sinceBreath = 0;

/** Follows no link and waits for no FIFO. Throws what the file system throws. */
export async function hashFile(file: string): Promise<string> {
  const descriptor = openSync(toBytes(file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const first = readSync(descriptor, buffer, 0, buffer.length, null);
    sinceBreath += first + (16 << 10);
    if (first < buffer.length && readSync(descriptor, buffer, first, buffer.length - first, null) === 0) {
      const digest = hashOnce('sha256', buffer.subarray(0, first));
      if (sinceBreath > 16 << 20) {
        sinceBreath = 0;
        await breathe();
      }
      return digest;
    }
    const hash = createHash('sha256');
    // Read again from the start: the second read above may have brought a little more.
    for (let at = 0; ;) {
      const count = readSync(descriptor, buffer, 0, buffer.length, at);
      if (count === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, count));
      at += count;
      sinceBreath += count;
      if (sinceBreath > 16 << 20) {
        sinceBreath = 0;
        // The buffer is shared: nothing of it is needed across this wait.
        await breathe();
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
