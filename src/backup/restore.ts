// Sets an installation back to a backup: only what differs, each path by one rename, what was there kept aside. Killed at any point, running it again ends right.
import { lstatSync, lutimesSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sidecars } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError, fail, messageOf } from '../model/failure.ts';
import { hasContent, type Manifest, type ManifestEntry } from '../model/manifest.ts';
import type { Difference, RestoreReport } from '../model/ports.ts';
import type { KeyRing } from './age/key-ring.ts';
import { keepAside, moveAside, syncDirectory, type Aside } from './aside.ts';
import { compareTree, shownPath } from './compare.ts';
import { foldersAbove, toBytes } from './names.ts';
import { restoreDump } from './postgres.ts';
import { scopeOf } from './restore-scope.ts';
import { removeStaged, settable, setOwnerAndMode, stage, stageHardLink, stagedIn, stageLink } from './stage.ts';

export interface RestoreRequest {
  readonly manifest: Manifest;
  readonly archive: string;
  readonly keys?: KeyRing | undefined;
  readonly root: string;
  readonly databases: Config['databases'];
  readonly never: readonly string[];
  readonly asideDir: string;
  /** What differs, where the caller has just compared. */
  readonly differences?: readonly Difference[] | undefined;
  readonly paths?: readonly string[] | undefined;
  /** Reads the whole archive; called before the first change, and only if there is one to make. */
  readonly verify: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A folder that could not be looked into shows what is in it only after its mode is set back. */
const passes = 4;

/** Throws RESTORE_PATH_UNKNOWN, BACKUP_CORRUPT before any change, RESTORE_FAILED, and RESTORE_INCOMPLETE with the paths that still differ. */
export async function restoreTree(request: RestoreRequest): Promise<RestoreReport> {
  const { manifest, root, databases, asideDir, signal } = request;
  const never = [...request.never, asideDir];
  const isWanted = scopeOf(manifest, root, request.paths);
  const restored = new Set<string>();
  const removed = new Set<string>();
  removeLeftovers(manifest, root, asideDir);

  const compare = async (): Promise<readonly Difference[]> => {
    const { differences, leftovers } = await compareTree({ manifest, root, databases, never, ...(signal === undefined ? {} : { signal }) });
    for (const leftover of leftovers) removeStaged(leftover);
    return differences.filter(({ path }) => isWanted(path));
  };
  let isVerified = false;
  let differences = request.differences?.filter(({ path }) => isWanted(path)) ?? (await compare());
  for (let pass = 1; differences.length > 0 && pass <= passes; pass += 1) {
    if (!isVerified) await request.verify();
    isVerified = true;
    const toSetBack = differences.filter(({ kind }) => kind !== 'created');
    if (toSetBack.length > 0) {
      for (const path of await setBack(toSetBack, request)) restored.add(path);
    } else {
      // Only now, when everything else is proven to be as it was.
      const aside = { dir: asideDir, touched: new Set<string>() };
      for (const { path } of differences) {
        await named(manifest.id, path, () => takeAway(path, request, aside));
        removed.add(path);
      }
      syncAll(aside.touched);
    }
    differences = await compare();
  }
  if (differences.length > 0)
    throw fail('RESTORE_INCOMPLETE', { id: manifest.id, paths: differences.map(({ path, why }) => `${path} (${why})`) });
  await named(manifest.id, root, () => setFolderTimes(manifest, root, isWanted));
  const inScope = manifest.entries.filter((entry) => isWanted(shownPath(entry))).length;
  return { restored: [...restored], removed: [...removed], unchanged: Math.max(0, inScope - restored.size) };
}

/** Paths that were set back, as they are shown. */
async function setBack(differences: readonly Difference[], request: RestoreRequest): Promise<readonly string[]> {
  const { manifest, archive, root, signal } = request;
  const why = new Map(differences.map(({ path, why: reason }) => [path, reason]));
  const replaced = new Set(
    manifest.entries.filter((entry) => why.has(shownPath(entry)) && !isOnlyRights(why.get(shownPath(entry)))).map(({ path }) => path),
  );
  for (const path of replaced) {
    // A folder above that is gone, or no folder any more, comes first.
    const folders = foldersAbove(path);
    const gone = folders.findIndex((folder) => typeAt(join(root, folder)) !== 'dir');
    if (gone >= 0) for (const folder of folders.slice(gone)) replaced.add(folder);
  }
  // A new inode for a file leaves its other names with the old one.
  for (const entry of manifest.entries) if (entry.type === 'hardlink' && replaced.has(entry.target)) replaced.add(entry.path);
  const wanted = manifest.entries.filter((entry) => replaced.has(entry.path) || why.has(shownPath(entry)));
  const [entries, dumps] = [
    wanted.filter(({ type }) => type !== 'postgres'),
    wanted.flatMap((entry) => (entry.type === 'postgres' ? [entry] : [])),
  ];
  if (dumps.length > 0) mkdirSync(request.asideDir, { recursive: true, mode: 0o700 });
  const contents = wanted.flatMap((entry) => (hasContent(entry) && replaced.has(entry.path) ? [entry] : []));

  let path = '';
  const staged = await named(
    manifest.id,
    () => path,
    () =>
      stage({
        manifest,
        archive,
        keys: request.keys,
        entries: contents,
        folderFor: (entry) => (entry.type === 'postgres' ? request.asideDir : stagingFolder(entry, root)),
        signal,
        onEntry: (next) => void (path = next),
      }),
  );
  const touched = new Set<string>();
  const aside = { dir: request.asideDir, touched };
  try {
    // What may fail for reasons of its own comes before the first file is changed.
    for (const entry of dumps)
      await named(manifest.id, shownPath(entry), () =>
        restoreDump(entry, staged.get(entry.path), request.databases[entry.name], { id: manifest.id, signal }),
      );
    // Everything that is to be replaced has its second name, on disk, before the first rename.
    for (const entry of entries) {
      if (replaced.has(entry.path) && entry.type !== 'dir')
        await named(manifest.id, shownPath(entry), () => keepPresent(entry, root, aside));
    }
    syncAll(touched);
    for (const entry of entries) {
      await named(manifest.id, shownPath(entry), () => {
        const live = liveOf(entry, root);
        if (replaced.has(entry.path)) putInPlace(entry, live, staged.get(entry.path), request, aside);
        else if (entry.type !== 'dir') setOwnerAndMode(live, entry, entry.type === 'link');
        touched.add(dirname(live));
      });
    }
    // From the inside out: a folder's own mode may forbid what had to be done in it.
    for (const entry of entries.toReversed()) {
      if (entry.type === 'dir') await named(manifest.id, entry.path, () => setOwnerAndMode(join(root, entry.path), entry, false));
    }
    syncAll(touched);
  } finally {
    for (const file of staged.values()) removeStaged(file);
  }
  return wanted.map(shownPath);
}

function keepPresent(entry: ManifestEntry, root: string, aside: Aside): void {
  const live = liveOf(entry, root);
  // Behind a folder that is now a link lies nothing of ours.
  if (stagingFolder(entry, root) !== dirname(live)) return;
  const present = typeAt(live);
  if (present === 'file' || present === 'link') keepAside(live, aside, entry.path);
}

/** Folders that are gone by now went with the one above them, which is synced. */
function syncAll(folders: Set<string>): void {
  for (const folder of folders) if (typeAt(folder) === 'dir') syncDirectory(folder);
  folders.clear();
}

function putInPlace(
  entry: ManifestEntry,
  live: string,
  staged: string | undefined,
  { manifest, root }: RestoreRequest,
  aside: Aside,
): void {
  const present = typeAt(live);
  if (entry.type === 'dir' || entry.type === 'special' || present === 'dir' || present === 'special') {
    if (present !== null && !(entry.type === 'dir' && present === 'dir')) moveAside(live, aside, entry.path);
    if (entry.type === 'special') return;
    if (entry.type === 'dir') {
      if (typeAt(live) === null) mkdirSync(toBytes(live), { mode: 0o700 });
      return;
    }
  }
  if (entry.type === 'database') {
    // A WAL of the database that goes would be played into the one that comes.
    for (const suffix of sidecars) if (typeAt(live + suffix) !== null) moveAside(live + suffix, aside, entry.path + suffix);
    syncDirectory(dirname(live));
  }
  const next =
    entry.type === 'link'
      ? stageLink(dirname(live), manifest.id, entry)
      : entry.type === 'hardlink'
        ? stageHardLink(dirname(live), manifest.id, join(root, entry.target))
        : staged;
  if (next === undefined) throw new TypeError('it was not staged');
  renameSync(toBytes(next), toBytes(live));
  // Renaming one name of an inode over another leaves both.
  removeStaged(next);
}

function takeAway(path: string, { manifest, root }: RestoreRequest, aside: Aside): void {
  const database = manifest.sources.find(
    (source) => source.kind === 'database' && (source.location === null ? source.path : `database:${source.name}`) === path,
  );
  const live = database?.location ?? join(root, path);
  const place = database?.path ?? path;
  if (database !== undefined)
    for (const suffix of sidecars) if (typeAt(live + suffix) !== null) moveAside(live + suffix, aside, place + suffix);
  if (typeAt(live) !== null) moveAside(live, aside, place);
}

/** Last of all, because every change in a folder sets its time. */
function setFolderTimes(manifest: Manifest, root: string, isWanted: (path: string) => boolean): void {
  for (const entry of manifest.entries.toReversed()) {
    if (entry.type !== 'dir' || !isWanted(entry.path)) continue;
    const folder = join(root, entry.path);
    const { mtimeNs, atime } = lstatSync(toBytes(folder), { bigint: true });
    if (mtimeNs !== BigInt(entry.mtime)) lutimesSync(toBytes(folder), atime, settable(entry.mtime));
  }
}

function liveOf(entry: ManifestEntry, root: string): string {
  return entry.type === 'database' && entry.location !== null ? entry.location : join(root, entry.path);
}

/** The nearest folder above the entry that is there now: the rename from it stays in one file system. */
function stagingFolder(entry: ManifestEntry, root: string): string {
  if (entry.type === 'database' && entry.location !== null) return dirname(entry.location);
  let folder = root;
  for (const above of foldersAbove(entry.path)) {
    if (typeAt(join(root, above)) !== 'dir') break;
    folder = join(root, above);
  }
  return folder;
}

function removeLeftovers(manifest: Manifest, root: string, asideDir: string): void {
  const folders = new Set([root, asideDir]);
  for (const { path, location } of manifest.sources) {
    if (location !== null) folders.add(dirname(location));
    else for (const folder of foldersAbove(path)) if (typeAt(join(root, folder)) === 'dir') folders.add(join(root, folder));
  }
  for (const folder of folders) for (const leftover of stagedIn(folder)) removeStaged(leftover);
}

function typeAt(path: string): 'dir' | 'file' | 'link' | 'special' | null {
  const stat = lstatSync(toBytes(path), { throwIfNoEntry: false });
  if (stat === undefined) return null;
  return stat.isDirectory() ? 'dir' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'special';
}

function isOnlyRights(why: string | undefined): boolean {
  return why !== undefined && why.split(', ').every((reason) => reason === 'mode' || reason === 'owner');
}

async function named<T>(id: string, path: string | (() => string), action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UpgradeError || (error instanceof Error && error.name === 'AbortError')) throw error;
    throw fail('RESTORE_FAILED', { id, path: typeof path === 'string' ? path : path(), error: messageOf(error) }, {}, error);
  }
}
