// What one path is, as `lstat` tells, and what a walk is asked for.
import { lstatSync, type BigIntStats } from 'node:fs';
import { matchesGlob } from 'node:path';
import type { EntryOf, ManifestSource } from '../model/manifest.ts';
import { linkTargetOf } from './names.ts';

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

/** Staged files of a restore: `.rungs-restore-<id>-<n>`. */
export const stagedName = /^\.rungs-restore-[0-9A-Za-z_-]+-\d+$/;

/** A file that stands for a source, wherever it lies. */
export function describeFile(path: string, absolute: string, source: ManifestSource): Found {
  return describe(path, absolute, lstatSync(absolute, { bigint: true }), source);
}

export function describe(path: string, absolute: string, stat: BigIntStats, database: ManifestSource | null): Found {
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

export function excluder(patterns: readonly string[]): (path: string) => boolean {
  const clean = patterns.map((pattern) => pattern.replace(/^\.\//, '').replace(/\/+$/, ''));
  const exact = new Set(clean);
  const globs = clean.filter((pattern) => /[*?[{(!+@\\]/.test(pattern));
  return (path) => exact.has(path) || globs.some((glob) => matchesGlob(path, glob));
}
