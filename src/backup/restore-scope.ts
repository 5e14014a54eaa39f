// Which paths of a backup a restore is about.
import { relative, resolve } from 'node:path';
import { fail } from '../model/failure.ts';
import { shownPath } from './compare.ts';
import type { OpenManifest } from './manifest-file.ts';
import { isWithin } from './names.ts';
import { isOutside } from './sources.ts';

export interface Scope {
  readonly isWanted: (path: string) => boolean;
  /** Where to look, as paths are shown; `null` is everywhere. */
  readonly paths: readonly string[] | null;
}

/** A path means itself and all that is in it. The names of one inode belong together. Throws RESTORE_PATH_UNKNOWN. */
export function scopeOf(manifest: OpenManifest, root: string, paths: readonly string[] | undefined): Scope {
  if (paths === undefined || paths.length === 0) return { isWanted: () => true, paths: null };
  const entries = [...manifest.entries];
  const databases = new Map<string, string>(
    entries.flatMap((entry) =>
      entry.type === 'database' || entry.type === 'postgres'
        ? [[`database:${entry.name}`, shownPath(entry)] as const]
        : entry.type === 'command'
          ? [[shownPath(entry), shownPath(entry)] as const]
          : [],
    ),
  );
  const wanted = paths.map((path) => databases.get(path) ?? relative(root, resolve(root, path)));
  for (const [index, path] of wanted.entries()) {
    const isKnown =
      entries.some((entry) => isWithin(shownPath(entry), path)) ||
      manifest.sources.some((source) => source.kind === 'tree' && !path.startsWith('database:') && isWithin(path, source.path));
    if (!isKnown || isOutside(path)) throw fail('RESTORE_PATH_UNKNOWN', { id: manifest.id, path: paths[index] ?? path });
  }
  const isNamed = (path: string): boolean => wanted.some((folder) => isWithin(path, folder));
  const names = new Map(entries.flatMap((entry) => (entry.type === 'hardlink' ? [[entry.path, entry.target] as const] : [])));
  const inodes = new Set([...names].flatMap(([path, target]) => (isNamed(path) || isNamed(target) ? [target] : [])));
  const linked = new Set([...inodes, ...[...names].flatMap(([path, target]) => (inodes.has(target) ? [path] : []))]);
  return { isWanted: (path) => isNamed(path) || linked.has(path), paths: [...new Set([...wanted, ...linked])] };
}
