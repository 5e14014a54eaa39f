// Walks sources and tells what is there, in one order on every machine. Reads no contents. Used by the backup and by the comparison, so that both see the same things.
import { accessSync, constants, lstatSync, type BigIntStats } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { geteuid } from 'node:process';
import { messageOf } from '../model/failure.ts';
import type { EntryOf, ManifestSource } from '../model/manifest.ts';
import { sidecars } from '../databases/sqlite.ts';
import { byPath, foldersAbove, isWithin, linkTargetOf, namesIn, toBytes } from './names.ts';

export interface Found {
  /** Relative to the root, empty for the root itself. */
  readonly path: string;
  readonly type: 'dir' | 'file' | 'link' | 'special';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: string;
  readonly ctime: string;
  /** When its inode was made; 0 where the file system does not tell. */
  readonly birth: string;
  readonly dev: string;
  readonly ino: string;
  readonly hasOtherNames: boolean;
  readonly isSparse: boolean;
  /** Of a link. */
  readonly target: string;
  readonly kind: EntryOf<'special'>['kind'] | null;
  readonly database: ManifestSource | null;
}

export interface ScanRequest {
  readonly root: string;
  readonly sources: readonly ManifestSource[];
  /** Glob patterns relative to the root; what a pattern names is left out with everything in it. */
  readonly exclude: readonly string[];
  /** Absolute; left out with everything in them, whatever else says. */
  readonly never: readonly string[];
  /** Paths that are databases although their file may be gone: their -wal and the like are theirs. */
  readonly knownDatabases?: readonly string[];
  /** Whether everything must be readable: what is not becomes a problem. */
  readonly isForReading?: boolean;
  /** Looks only at these paths and what is in them; databases outside of the root are `database:<name>`. `null` looks everywhere. */
  readonly within?: readonly string[] | null;
}

export interface Scan {
  /** Parents before what is in them. */
  readonly entries: readonly Found[];
  /** What could not be read, with why. */
  readonly problems: readonly string[];
  /** Absolute paths of what a killed restore left behind. */
  readonly leftovers: readonly string[];
}

/** Staged files of a restore: `.rungs-restore-<id>-<n>`. */
export const stagedName = /^\.rungs-restore-[0-9A-Za-z_-]+-\d+$/;

export function scan({ root, sources, exclude, never, knownDatabases = [], isForReading = false, within = null }: ScanRequest): Scan {
  const entries = new Map<string, Found>();
  const problems: string[] = [];
  const leftovers: string[] = [];
  const databases = new Map(sources.filter(({ kind }) => kind === 'database').map((source) => [source.path, source]));
  const isExcluded = excluder(exclude);
  const isNever = (absolute: string): boolean => never.some((path) => absolute === path || absolute.startsWith(`${path}/`));
  const hidden = new Set<string>();
  const mustAsk = isForReading && geteuid?.() !== 0;

  const look = (path: string, absolute = join(root, path)): Found | null => {
    const known = entries.get(path);
    if (known !== undefined) return known;
    try {
      const stat = lstatSync(toBytes(absolute), { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) return null;
      const found = describe(path, absolute, stat, databases.get(path) ?? null);
      if (mustAsk && (found.type === 'dir' || found.type === 'file'))
        accessSync(toBytes(absolute), found.type === 'dir' ? constants.R_OK | constants.X_OK : constants.R_OK);
      entries.set(path, found);
      return found;
    } catch (error) {
      problems.push(`${path === '' ? root : path} (${messageOf(error).split(',')[0]})`);
      return null;
    }
  };

  const walk = (path: string): void => {
    // A stack of our own: the depth of a tree is not ours to limit.
    const stack = [path];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const absolute = join(root, next);
      if (isNever(absolute) || hidden.has(next) || look(next)?.type !== 'dir' || walked.has(next)) continue;
      walked.add(next);
      try {
        for (const name of namesIn(absolute)) {
          const child = next === '' ? name : `${next}/${name}`;
          if (stagedName.test(name)) leftovers.push(join(absolute, name));
          else if (!isExcluded(child)) stack.push(child);
        }
      } catch (error) {
        problems.push(`${next === '' ? root : next} (${messageOf(error).split(',')[0]})`);
      }
    }
  };
  const walked = new Set<string>();

  for (const source of databases.values()) {
    if (!isWanted(source, within)) continue;
    if (isNever(source.location ?? join(root, source.path))) continue;
    const found = reach(source, root, look);
    if ((found !== null && found.database !== null) || knownDatabases.includes(source.path))
      for (const suffix of sidecars) hidden.add(source.path + suffix);
  }
  for (const source of sources) {
    if (source.kind !== 'tree') continue;
    for (const path of startsIn(source.path, within)) {
      // What lies in a folder that is left out is left out too.
      const isLeftOut = [...foldersAbove(path), path].some(
        (folder) => isWithin(folder, source.path) && folder !== source.path && isExcluded(folder),
      );
      const start = { ...source, path };
      if (!isLeftOut && reach(start, root, (place) => (isNever(join(root, place)) ? null : look(place))) !== null) walk(path);
    }
  }
  return {
    entries: [...entries.values()].filter(({ path }) => !hidden.has(path)).toSorted(byPath),
    problems: problems.toSorted(),
    leftovers,
  };
}

function isWanted({ path, name, location }: ManifestSource, within: readonly string[] | null): boolean {
  const shown = location === null ? path : `database:${name}`;
  return within === null || within.some((wanted) => isWithin(shown, wanted));
}

/** Where to begin in a tree of which only some paths are wanted. */
function startsIn(tree: string, within: readonly string[] | null): readonly string[] {
  if (within === null) return [tree];
  return within.flatMap((wanted) => (isWithin(wanted, tree) ? [wanted] : isWithin(tree, wanted) ? [tree] : []));
}

/** The source's own entry, if every folder above it is one; these folders are entries too, so that they come back as they were. */
function reach(source: ManifestSource, root: string, look: (path: string, absolute?: string) => Found | null): Found | null {
  if (source.location !== null) return look(source.path, source.location);
  const isReachable = foldersAbove(source.path).every((folder) => look(folder)?.type === 'dir');
  return isReachable ? look(source.path, join(root, source.path)) : null;
}

/** A file that stands for a source, wherever it lies. */
export function describeFile(path: string, absolute: string, source: ManifestSource): Found {
  return describe(path, absolute, lstatSync(absolute, { bigint: true }), source);
}

function describe(path: string, absolute: string, stat: BigIntStats, database: ManifestSource | null): Found {
  const type = stat.isDirectory() ? 'dir' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'special';
  return {
    path,
    type,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    mtime: String(stat.mtimeNs),
    ctime: String(stat.ctimeNs),
    birth: String(stat.birthtimeNs),
    dev: String(stat.dev),
    ino: String(stat.ino),
    hasOtherNames: type === 'file' && stat.nlink > 1n,
    isSparse: type === 'file' && stat.blocks * 512n < stat.size,
    target: type === 'link' ? linkTargetOf(absolute) : '',
    kind:
      type !== 'special'
        ? null
        : stat.isSocket()
          ? 'socket'
          : stat.isFIFO()
            ? 'fifo'
            : stat.isCharacterDevice()
              ? 'character device'
              : 'block device',
    // An empty file is a valid database, and inside the root an ordinary file says so more exactly than a copy.
    database: type === 'file' && database !== null && (stat.size > 0n || hasWal(absolute) || database.location !== null) ? database : null,
  };
}

function hasWal(file: string): boolean {
  return (lstatSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function excluder(patterns: readonly string[]): (path: string) => boolean {
  const clean = patterns.map((pattern) => pattern.replace(/^\.\//, '').replace(/\/+$/, ''));
  const exact = new Set(clean);
  const globs = clean.filter((pattern) => /[*?[{(!+@\\]/.test(pattern));
  return (path) => exact.has(path) || globs.some((glob) => matchesGlob(path, glob));
}
