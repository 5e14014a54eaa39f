// Real folders for tests of reading: made from a map, compared by a snapshot, removed afterwards.
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export type Entry =
  | string
  | Buffer
  | { readonly folder: true; readonly mode?: number }
  | { readonly link: string }
  | { readonly text: string; readonly mode?: number; readonly owner?: number };

/** Gives the absolute path of the new tree, which goes with the test; `isKept`: with whoever made it. */
export function makeTree(entries: Readonly<Record<string, Entry>>, { isKept = false }: { readonly isKept?: boolean } = {}): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'rungs-test-'));
  if (!isKept) onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, entry] of Object.entries(entries)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    if (typeof entry === 'string' || Buffer.isBuffer(entry)) writeFileSync(file, entry);
    else if ('link' in entry) symlinkSync(entry.link, file);
    else {
      if ('folder' in entry) mkdirSync(file, { recursive: true });
      else writeFileSync(file, entry.text);
      if (entry.mode !== undefined) chmodSync(file, entry.mode);
      if ('owner' in entry && entry.owner !== undefined) chownSync(file, entry.owner, entry.owner);
    }
  }
  return root;
}

/** Everything that a reader could have changed: contents, modes, times. */
export function snapshot(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .concat('.')
    .map((name) => {
      const file = path.join(folder, name);
      const stats = lstatSync(file, { bigint: true });
      const content = stats.isFile() ? readFileSync(file, 'base64') : stats.isSymbolicLink() ? readlinkSync(file) : '';
      return [name, stats.mode, stats.uid, stats.mtimeNs, stats.ctimeNs, content].join(' ');
    });
}
