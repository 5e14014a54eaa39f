// The file that takes the output of a command which may leave a daemon behind. It stays small while the command runs.
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const flood = { limitBytes: 4 * 1024 * 1024, everyMs: 50 };

/** Output is a comfort: where it cannot be kept (disk full, read-only), the command runs all the same. */
export async function openOutput(file: string): Promise<FileHandle | null> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'a+', 0o600);
    // Appending, so that cutting it off makes every holder go on at its new end.
    await handle.truncate(0);
    return handle;
  } catch {
    return null;
  }
}

/** Cuts a flooding file off while the command runs; gives the end of what was cut off last. */
export async function keepSmall(output: FileHandle, until: AbortSignal): Promise<string> {
  let kept = '';
  while (!until.aborted) {
    await sleep(flood.everyMs, undefined, { signal: until, ref: false }).catch(() => undefined);
    if ((await output.stat()).size <= flood.limitBytes) continue;
    kept = await readEnd(output);
    await output.truncate(0);
  }
  return kept;
}

export async function readEnd(output: FileHandle): Promise<string> {
  const { size } = await output.stat();
  const buffer = Buffer.alloc(Math.min(size, 64 * 1024));
  const { bytesRead } = await output.read(buffer, 0, buffer.length, size - buffer.length);
  return buffer.toString('utf8', 0, bytesRead);
}

/** The end of a file that may not be there, and may be large. */
export async function readEndOf(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => null);
  if (handle === null) return '';
  try {
    return await readEnd(handle);
  } finally {
    await handle.close();
  }
}
