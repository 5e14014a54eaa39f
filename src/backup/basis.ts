// The earlier backup that a new one may continue: the newest good one, if all that is needed of it is still there and right.
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Config } from '../model/config.ts';
import { failuresOf } from '../model/failure.ts';
import type { ManifestEntry } from '../model/manifest.ts';
import type { BackupRecord } from '../model/ports.ts';
import { archiveOf } from './content-reader.ts';
import { openManifest, type OpenManifest } from './manifest-file.ts';
import { comparePaths } from './names.ts';
import type { Found } from './scan.ts';
import { sampleArchive } from './verify.ts';

/** Every seventh backup is whole. */
const deepest = 6;

export interface Basis {
  readonly manifest: OpenManifest;
  readonly depth: number;
}

/** `null` with a reason where there was one that cannot be used. */
export async function findBasis(
  earlier: readonly BackupRecord[],
  { config, id }: { readonly config: Config; readonly id: string },
): Promise<{ readonly basis: Basis | null; readonly warning: string | null }> {
  const newest = earlier.find(({ verified, path }) => verified && dirname(path) === config.backup.dir);
  if (newest === undefined) return { basis: null, warning: null };
  try {
    const manifest = await openManifest(newest);
    const depth = (manifest.basis?.depth ?? 0) + 1;
    // Encrypted ones are whole, each by itself: their contents cannot be looked at here.
    const isFit =
      manifest.root === config.root &&
      manifest.product === config.product &&
      manifest.encryption === null &&
      config.backup.recipients.length === 0;
    if (!isFit || depth > deepest) return { basis: null, warning: null };
    for (const archive of [manifest.id, ...manifest.archives.map((one) => one.id)])
      await sampleArchive({ id: archive }, archiveOf(newest, manifest, archive), id);
    return { basis: { manifest, depth }, warning: null };
  } catch (error) {
    const why = failuresOf(error)[0]?.message ?? '';
    return { basis: null, warning: `Backup ${newest.id} cannot be continued, so this one is whole: ${why}` };
  }
}

/** Each path that is there with what the earlier backup has under it. Both are in the order of their paths, so neither is held whole. */
export function* beside(
  found: Iterable<Found>,
  earlier: Iterable<ManifestEntry>,
): Generator<{ readonly found: Found; readonly entry: ManifestEntry | null }, void> {
  const entries = earlier[Symbol.iterator]();
  let next = entries.next();
  for (const one of found) {
    while (next.done !== true && comparePaths(next.value.path, one.path) < 0) next = entries.next();
    yield { found: one, entry: next.done !== true && next.value.path === one.path ? next.value : null };
  }
}

/** By size, mtime, ctime and inode. The number of a device may be another after every start of a machine. */
export function isUntouched(found: Found, entry: ManifestEntry | null): boolean {
  return (
    entry?.type === 'file' &&
    entry.seen !== null &&
    found.type === 'file' &&
    found.database === null &&
    found.size === entry.size &&
    found.mtime === entry.mtime &&
    found.ctime === entry.seen.ctime &&
    found.ino === entry.seen.ino
  );
}

/** One file in 64 is read again although it looks untouched: other ones each time, the same ones when one backup is made again. */
export function isSampled(id: string, path: string): boolean {
  return crc32(path, crc32(id)) % 64 === 0;
}
