// Sets an installation back to a backup: only what differs, each path by one rename, what was there kept aside. Killed at any point, running it again ends right.
import { lstatSync, lutimesSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { settleDatabase } from '../databases/settle.ts';
import { sidecars } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError, fail, messageOf } from '../model/failure.ts';
import { hasContent, type EntryOf, type Manifest, type ManifestEntry } from '../model/manifest.ts';
import type { Difference, RestoreReport } from '../model/ports.ts';
import { keepAside, moveAside, syncDirectory, type Aside } from './aside.ts';
import { writeAttributes } from './attributes.ts';
import { compareTree, shownPath, type Written } from './compare.ts';
import { syncFolders } from './durable.ts';
import { forgetSwaps, intendSwaps, stagedBefore } from './intents.ts';
import { foldersAbove, toBytes } from './names.ts';
import { restoreCommand, type CommandWorld } from './command-sources.ts';
import { restoreDump } from './postgres.ts';
import { scopeOf, type Scope } from './restore-scope.ts';
import {
  removeStaged,
  settable,
  setOwnerAndMode,
  stage,
  stagedPath,
  stageHardLink,
  stagedIn,
  stageLink,
  type BackupSource,
} from './stage.ts';

export interface RestoreRequest {
  readonly manifest: Manifest;
  /** Where the contents are, with the whole manifest. */
  readonly source: BackupSource;
  readonly root: string;
  readonly databases: Config['databases'];
  readonly world: CommandWorld;
  readonly never: readonly string[];
  readonly asideDir: string;
  /** What differs, where the caller has just compared. */
  readonly differences?: readonly Difference[] | undefined;
  readonly paths?: readonly string[] | undefined;
  /** The manifest lists only a part of what the archive holds: the rest of it is not proven. */
  readonly isPartial?: boolean;
  /** Differences that are left as they are. */
  readonly isLeft?: ((difference: Difference) => boolean) | undefined;
  /** Reads the whole archive, where nothing is staged out of it: what is staged is proven on the way. Called before the first change, if there is one to make. */
  readonly verify: () => Promise<void>;
  /** Called once, when all is staged, before the first change to what is live. */
  readonly beforeChange?: (() => Promise<void>) | undefined;
  /** Proves what a checksum cannot: that dumps can be read. */
  readonly verifyDumps: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A folder that could not be looked into shows what is in it only after its mode is set back. */
const passes = 4;

/** Throws RESTORE_PATH_UNKNOWN, BACKUP_CORRUPT before any change, RESTORE_FAILED, and RESTORE_INCOMPLETE with the paths that still differ. */
export async function restoreTree(request: RestoreRequest): Promise<RestoreReport> {
  const { manifest, root, databases, world, asideDir, signal, isLeft = () => false } = request;
  const never = [...request.never, asideDir];
  const scope = scopeOf(manifest, root, request.paths);
  const restored = new Set<string>();
  const removed = new Set<string>();
  const written = new Map<string, Written>();
  const putBack = new Set<string>();
  const attributed = new Set<string>();
  removeLeftovers(manifest, root, asideDir);

  const ours = (differences: readonly Difference[]): readonly Difference[] =>
    differences.filter((difference) => scope.isWanted(difference.path) && !isLeft(difference));
  const compare = async (): Promise<readonly Difference[]> => {
    const compared = await compareTree({
      manifest,
      root,
      databases,
      world,
      never,
      scope,
      written,
      putBack,
      attributed,
      ...(signal === undefined ? {} : { signal }),
    });
    for (const leftover of compared.leftovers) removeStaged(leftover);
    return ours(compared.differences);
  };
  // Of a part only that part is read, and proven while it is staged.
  let isVerified = scope.paths !== null || request.isPartial === true;
  let isBegun = false;
  const begin = async (): Promise<void> => {
    if (!isBegun) await request.beforeChange?.();
    isBegun = true;
  };
  let differences = request.differences === undefined ? await compare() : ours(request.differences);
  for (let pass = 1; differences.length > 0 && pass <= passes; pass += 1) {
    for (const { path, why } of differences) if (why.includes('attributes')) attributed.add(path);
    const toSetBack = differences.filter(({ kind }) => kind !== 'created');
    if (toSetBack.length > 0) {
      for (const path of await setBack(toSetBack, { ...request, isWhole: !isVerified, written, putBack, begin })) restored.add(path);
      isVerified = true;
    } else {
      if (!isVerified) await request.verify();
      isVerified = true;
      await begin();
      // Only now, when everything else is proven to be as it was.
      const aside = { dir: asideDir, touched: new Set<string>() };
      for (const { path } of differences) {
        await named(manifest.id, path, () => takeAway(path, request, aside));
        removed.add(path);
      }
      await syncAll(aside.touched);
    }
    differences = await compare();
  }
  if (differences.length > 0)
    throw fail('RESTORE_INCOMPLETE', { id: manifest.id, paths: differences.map(({ path, why }) => `${path} (${why})`) });
  await named(manifest.id, root, () => setFolderTimes(manifest, root, scope));
  forgetSwaps(asideDir);
  const inScope = manifest.entries.filter((entry) => scope.isWanted(shownPath(entry))).length;
  return { restored: [...restored], removed: [...removed], unchanged: Math.max(0, inScope - restored.size) };
}

interface SetBackRequest extends RestoreRequest {
  /** The whole archive is to be proven before the first change. */
  readonly isWhole: boolean;
  readonly written: Map<string, Written>;
  /** Paths of what commands have put back. */
  readonly putBack: Set<string>;
  readonly begin: () => Promise<void>;
}

/** Paths that were set back, as they are shown. */
async function setBack(differences: readonly Difference[], request: SetBackRequest): Promise<readonly string[]> {
  const { manifest, source, root, signal, isWhole, written } = request;
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
  const [entries, dumps] = [wanted.filter((entry) => !isDump(entry)), wanted.filter(isDump)];
  if (dumps.length > 0) mkdirSync(request.asideDir, { recursive: true, mode: 0o700 });
  const folders = folderFinder(root);
  const contents = wanted
    .flatMap((entry) => (hasContent(entry) && replaced.has(entry.path) ? [entry] : []))
    .map((entry, index) => ({
      entry,
      to: stagedPath(isDump(entry) ? request.asideDir : stagingFolder(entry, folders), manifest.id, index + 1),
    }));
  intendSwaps(
    request.asideDir,
    wanted.flatMap((entry) =>
      (entry.type === 'link' || entry.type === 'hardlink') && replaced.has(entry.path)
        ? [{ path: entry.path, staged: stagedPath(dirname(liveOf(entry, root)), manifest.id, 0) }]
        : [],
    ),
  );
  intendSwaps(
    request.asideDir,
    contents.map(({ entry, to }) => ({ path: entry.path, staged: to })),
  );

  if (isWhole) await (contents.length === 0 ? request.verify() : request.verifyDumps());
  let path = '';
  const staged = await named(
    manifest.id,
    () => path,
    () =>
      stage({
        source,
        entries: contents,
        isWhole: isWhole && contents.length > 0,
        signal,
        onEntry: (next) => void (path = next),
      }),
  );
  const touched = new Set<string>();
  const aside = { dir: request.asideDir, touched };
  try {
    await writeAttributes(new Map(contents.flatMap(({ entry, to }) => (entry.xattrs === undefined ? [] : [[to, entry.xattrs]]))));
    await request.begin();
    // What may fail for reasons of its own comes before the first file is changed.
    for (const entry of dumps)
      await named(manifest.id, shownPath(entry), async () => {
        if (entry.type === 'command') await restoreCommand(entry, staged.get(entry.path), request.world, signal);
        else await restoreDump(entry, staged.get(entry.path), request.databases[entry.name], { id: manifest.id, signal });
        request.putBack.add(entry.path);
      });
    // Everything that is to be replaced has its second name, on disk, before the first rename.
    for (const entry of entries) {
      if (replaced.has(entry.path) && entry.type !== 'dir')
        await named(manifest.id, shownPath(entry), () => keepPresent(entry, root, folders, aside));
    }
    await syncAll(touched);
    for (const entry of entries) {
      await named(manifest.id, shownPath(entry), () => {
        const live = liveOf(entry, root);
        if (replaced.has(entry.path)) putInPlace(entry, live, staged.get(entry.path), request, aside);
        else if (entry.type !== 'dir') setOwnerAndMode(live, entry, entry.type === 'link');
        touched.add(dirname(live));
        if (entry.type === 'file' && replaced.has(entry.path)) written.set(entry.path, identityOf(live));
      });
    }
    // From the inside out: a folder's own mode may forbid what had to be done in it.
    for (const entry of entries.toReversed()) {
      if (entry.type === 'dir') await named(manifest.id, entry.path, () => setOwnerAndMode(join(root, entry.path), entry, false));
    }
    await named(manifest.id, root, () =>
      writeAttributes(
        new Map(
          entries.flatMap((entry) => {
            const isNew = replaced.has(entry.path) && hasContent(entry);
            // Where it had none, whatever it has now came since.
            const hasOthers = why.get(entry.path)?.includes('attributes') === true && manifest.attributes === true;
            const wantedThere = entry.xattrs ?? (hasOthers ? {} : undefined);
            return wantedThere === undefined || isNew ? [] : [[liveOf(entry, root), wantedThere]];
          }),
        ),
      ),
    );
    await syncAll(touched);
  } finally {
    for (const file of staged.values()) removeStaged(file);
  }
  return wanted.map(shownPath);
}

/** What lies nowhere in the tree, and is put back by a program. */
function isDump(entry: ManifestEntry): entry is EntryOf<'postgres'> | EntryOf<'command'> {
  return entry.type === 'postgres' || entry.type === 'command';
}

function keepPresent(entry: ManifestEntry, root: string, folders: FolderFinder, aside: Aside): void {
  const live = liveOf(entry, root);
  // Behind a folder that is now a link lies nothing of ours.
  if (stagingFolder(entry, folders) !== dirname(live)) return;
  const present = typeAt(live);
  if (present === 'file' && entry.type === 'database') settleDatabase(live);
  if (present === 'file' || present === 'link') keepAside(live, aside, entry.path);
}

/** Folders that are gone by now went with the one above them, which is synced. */
async function syncAll(folders: Set<string>): Promise<void> {
  await syncFolders([...folders].filter((folder) => typeAt(folder) === 'dir'));
  folders.clear();
}

function identityOf(live: string): Written {
  const { dev, ino, ctimeNs } = lstatSync(toBytes(live), { bigint: true });
  return { dev: String(dev), ino: String(ino), ctime: String(ctimeNs) };
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
function setFolderTimes(manifest: Manifest, root: string, { isWanted, paths }: Scope): void {
  // The folders that single paths lie in have changed with them.
  const above = new Set((paths ?? []).flatMap((path) => ['', ...foldersAbove(path)]));
  for (const entry of manifest.entries.toReversed()) {
    if (entry.type !== 'dir' || !(isWanted(entry.path) || above.has(entry.path))) continue;
    if (typeAt(join(root, entry.path)) !== 'dir') continue;
    const folder = join(root, entry.path);
    const { mtimeNs, atime } = lstatSync(toBytes(folder), { bigint: true });
    if (mtimeNs !== BigInt(entry.mtime)) lutimesSync(toBytes(folder), atime, settable(entry.mtime));
  }
}

function liveOf(entry: ManifestEntry, root: string): string {
  return entry.type === 'database' && entry.location !== null ? entry.location : join(root, entry.path);
}

interface FolderFinder {
  readonly root: string;
  /** Which folders are there now, asked once each. */
  readonly isThere: (folder: string) => boolean;
}

function folderFinder(root: string): FolderFinder {
  const known = new Map<string, boolean>();
  const isThere = (folder: string): boolean => {
    const answer = known.get(folder) ?? typeAt(join(root, folder)) === 'dir';
    known.set(folder, answer);
    return answer;
  };
  return { root, isThere };
}

/** The nearest folder above the entry that is there now: the rename from it stays in one file system. */
function stagingFolder(entry: ManifestEntry, { root, isThere }: FolderFinder): string {
  if (entry.type === 'database' && entry.location !== null) return dirname(entry.location);
  const folders = foldersAbove(entry.path);
  const gone = folders.findIndex((folder) => !isThere(folder));
  const nearest = gone === -1 ? folders.at(-1) : folders[gone - 1];
  return nearest === undefined ? root : join(root, nearest);
}

function removeLeftovers(manifest: Manifest, root: string, asideDir: string): void {
  // Wherever they lie: what the intents of a killed attempt name.
  for (const staged of stagedBefore(asideDir)) removeStaged(staged);
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
  return why !== undefined && why.split(', ').every((reason) => reason === 'mode' || reason === 'owner' || reason === 'attributes');
}

async function named<T>(id: string, path: string | (() => string), action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UpgradeError || (error instanceof Error && error.name === 'AbortError')) throw error;
    throw fail('RESTORE_FAILED', { id, path: typeof path === 'string' ? path : path(), error: messageOf(error) }, {}, error);
  }
}
