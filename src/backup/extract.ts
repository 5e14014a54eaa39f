// Writes a backup, or some paths of it, into a folder of its own, for looking. Given a folder that is empty or not there yet; promises to touch nothing else.
import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fail, messageOf } from '../model/failure.ts';
import type { Manifest, ManifestEntry } from '../model/manifest.ts';
import type { RestoreReport } from '../model/ports.ts';
import { hasCode } from './aside.ts';
import { shownPath } from './compare.ts';
import { byPath, foldersAbove, namesIn } from './names.ts';
import { scopeOf } from './restore-scope.ts';
import { restoreTree } from './restore.ts';
import type { BackupSource } from './stage.ts';

export interface ExtractRequest {
  readonly manifest: Manifest;
  /** Where the contents are, with the whole manifest. */
  readonly source: BackupSource;
  readonly dir: string;
  readonly paths?: readonly string[] | undefined;
  readonly verify: () => Promise<void>;
  readonly verifyDumps: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Throws RESTORE_TARGET, RESTORE_PATH_UNKNOWN, and what a restore throws. */
export async function extractTree({ manifest, source, dir, paths, verify, verifyDumps, signal }: ExtractRequest): Promise<RestoreReport> {
  const { isWanted } = scopeOf(manifest, dir, paths);
  const chosen = manifest.entries.filter((entry) => entry.type !== 'special' && isWanted(shownPath(entry)));
  makeTarget(dir);
  const entries = withFolders(manifest, [ownFolder(dir), ...chosen.map(asFile)]);
  const asideDir = join(dir, '.rungs-aside');
  const report = await restoreTree({
    // Each path is chosen already: what is restored is all that this manifest lists.
    manifest: { ...manifest, entries, sources: [{ path: '', kind: 'tree', name: null, location: null }], exclude: [] },
    source,
    root: dir,
    databases: {},
    world: { commands: {}, root: dir, scrub: (text) => text },
    never: [],
    asideDir,
    isPartial: paths !== undefined && paths.length > 0,
    verify,
    verifyDumps,
    signal,
  });
  rmSync(asideDir, { recursive: true, force: true });
  return { ...report, unchanged: 0 };
}

function makeTarget(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (namesIn(dir).length > 0) throw fail('RESTORE_TARGET', { dir, problem: 'it is not empty' });
  } catch (error) {
    if (hasCode(error, 'ENOTDIR', 'EEXIST')) throw fail('RESTORE_TARGET', { dir, problem: 'it is not a folder' });
    if (hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC')) throw fail('RESTORE_TARGET', { dir, problem: messageOf(error) });
    throw error;
  }
}

/** As it is, where the backup does not hold the root itself. */
function ownFolder(dir: string): ManifestEntry {
  const { mode, uid, gid, mtimeNs } = lstatSync(dir, { bigint: true });
  return { path: '', type: 'dir', mode: Number(mode) & 0o7777, uid: Number(uid), gid: Number(gid), mtime: String(mtimeNs) };
}

/** Databases become what they are in the archive: whole files. */
function asFile(entry: ManifestEntry): ManifestEntry {
  if (entry.type !== 'database' && entry.type !== 'postgres' && entry.type !== 'command') return entry;
  const { path, mode, uid, gid, mtime, size, sha256, at, in: other } = entry;
  return { path, mode, uid, gid, mtime, size, sha256, at, type: 'file', seen: null, ...(other === undefined ? {} : { in: other }) };
}

/** With the folders that they lie in: as the manifest has them, or, where databases stand for themselves, as nobody else may read them. */
function withFolders(manifest: Manifest, entries: readonly ManifestEntry[]): ManifestEntry[] {
  const listed = new Map(manifest.entries.map((entry) => [entry.path, entry]));
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path, uid, gid, mtime } of entries) {
    for (const folder of foldersAbove(path)) {
      if (!all.has(folder)) all.set(folder, listed.get(folder) ?? { path: folder, type: 'dir', mode: 0o700, uid, gid, mtime });
    }
  }
  return [...all.values()].toSorted(byPath);
}
