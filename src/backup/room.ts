// How much room a restore needs before its first swap: everything that it replaces lies beside the old until then.
import { dirname, join } from 'node:path';
import { hasContent, type Manifest } from '../model/manifest.ts';
import type { Difference } from '../model/ports.ts';
import { shownPath } from './compare.ts';

/** Bytes by place, not yet by file system: several places may share one. */
export function roomFor(
  { entries }: Manifest,
  root: string,
  differences: readonly Difference[],
): readonly { readonly path: string; readonly bytes: number }[] {
  const wanted = new Set(differences.filter(({ kind }) => kind !== 'created').map(({ path }) => path));
  return entries.flatMap((entry) => {
    if (!hasContent(entry) || !wanted.has(shownPath(entry))) return [];
    // Where a PostgreSQL server keeps its files is the server's; the dump is staged in the state folder, which is inside the root or counted with it.
    const folder = entry.type === 'database' && entry.location !== null ? dirname(entry.location) : dirname(join(root, entry.path));
    return [{ path: folder, bytes: entry.size }];
  });
}
