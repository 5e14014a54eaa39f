// Writes a new step file, with its folder, and never over one that is there.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fail, messageOf } from '../model/failure.ts';

/** Throws STATE_NOT_WRITABLE. A shell script is made executable. */
export function writeStep(file: string, text: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { flag: 'wx' });
    if (file.endsWith('.sh')) chmodSync(file, 0o755);
  } catch (error) {
    throw fail('STATE_NOT_WRITABLE', { path: file, reason: messageOf(error) }, { place: { file } }, error);
  }
}
