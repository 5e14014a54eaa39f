// How much a backup would take: the contents of all files, and what of it no earlier backup has. Reads no contents.
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { ManifestSource } from '../model/manifest.ts';
import { beside, isUntouched } from './basis.ts';
import type { OpenManifest } from './manifest-file.ts';
import { walk } from './walk.ts';

export interface Weight {
  readonly bytes: number;
  readonly newBytes: number;
  readonly files: number;
}

/** Throws BACKUP_UNREADABLE with everything that cannot be read. */
export function weigh(
  sources: readonly ManifestSource[],
  { config, never }: { readonly config: Config; readonly never: readonly string[] },
  basis: OpenManifest | null,
): Weight {
  const { found, problems } = walk({ root: config.root, sources, exclude: config.backup.exclude, never, isForReading: true });
  let [bytes, newBytes, files] = [0, 0, 0];
  for (const { found: one, entry } of beside(found, basis?.entries ?? [])) {
    if (one.type !== 'file') continue;
    files += 1;
    bytes += one.size;
    if (!isUntouched(one, entry)) newBytes += one.size;
  }
  if (problems.length > 0) throw fail('BACKUP_UNREADABLE', { problems: problems.toSorted() });
  return { bytes, newBytes, files };
}
