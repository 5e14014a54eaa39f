// Looks at a file: whether it is there, its mode, a text in it.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ProbeOf } from './registry.ts';
import { show } from './show.ts';

export async function probeFile({ file, expect }: ProbeOf<'file'>): Promise<string | null> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (found === null) return expect.exists ? `${file} is not there` : null;
  if (!expect.exists) return `${file} is there, and should not be`;
  const mode = found.mode & 0o7777;
  if (expect.mode !== null && mode !== expect.mode) return `${file} has mode ${octal(mode)}, expected ${octal(expect.mode)}`;
  if (expect.contains !== null && !(await contains(file, expect.contains))) return `${file} does not contain ${show(expect.contains)}`;
  return null;
}

/** Reads in pieces: the file may be large. */
async function contains(file: string, text: string): Promise<boolean> {
  const wanted = Buffer.from(text);
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file)) {
    const piece = Buffer.concat([rest, chunk]);
    if (piece.includes(wanted)) return true;
    // What may be the beginning of the text goes on into the next piece.
    rest = piece.subarray(Math.max(0, piece.length - wanted.length + 1));
  }
  return wanted.length === 0;
}

function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
