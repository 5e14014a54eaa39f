// The live tree against a manifest: what is missing, what was created since, what differs and in which way. Times alone are no difference. Changes nothing.
import { join } from 'node:path';
import { existsSync, statSync } from 'node:fs';
import { digestOf } from '../databases/logical-digest.ts';
import { integrityProblems, readStill, sidecars } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError, messageOf } from '../model/failure.ts';
import type { EntryOf, Manifest, ManifestEntry } from '../model/manifest.ts';
import type { Difference } from '../model/ports.ts';
import { hashFile } from './hash-file.ts';
import { comparePostgres } from './postgres.ts';
import type { Scope } from './restore-scope.ts';
import { scan, type Found } from './scan.ts';

export interface CompareRequest {
  readonly manifest: Manifest;
  readonly root: string;
  readonly databases: Config['databases'];
  /** Absolute paths that are no part of the installation. */
  readonly never: readonly string[];
  readonly signal?: AbortSignal;
  /** Only what is in it is looked at. */
  readonly scope?: Scope;
  /** Files that a restore has just written, out of contents whose SHA-256 was right: by path, what they were then. */
  readonly written?: ReadonlyMap<string, Written>;
}

export interface Written {
  readonly dev: string;
  readonly ino: string;
  readonly ctime: string;
}

export interface Comparison {
  /** Paths of the manifest; `database:<name>` for databases that are no file inside the root. */
  readonly differences: readonly Difference[];
  readonly compared: number;
  readonly leftovers: readonly string[];
}

/** Throws DATABASE_BUSY and POSTGRES_UNREACHABLE where a database cannot be read in time. */
export async function compareTree(request: CompareRequest): Promise<Comparison> {
  const { manifest, root, never, scope, signal } = request;
  const isInScope = (path: string): boolean => scope?.isWanted(path) ?? true;
  const knownDatabases = manifest.entries.filter(({ type }) => type === 'database').map(({ path }) => path);
  const { entries, leftovers } = scan({
    root,
    sources: manifest.sources,
    exclude: manifest.exclude,
    never,
    knownDatabases,
    within: scope?.paths ?? null,
  });
  const live = new Map(entries.map((found) => [found.path, found]));
  const inodes = inodeOwners(manifest, live);
  const differences: Difference[] = [];

  const listed = new Set<string>();
  let compared = 0;
  for (const entry of manifest.entries) {
    signal?.throwIfAborted();
    listed.add(entry.path);
    if (!isInScope(shownPath(entry))) continue;
    compared += 1;
    const found = live.get(entry.path);
    if (entry.type === 'postgres') {
      const difference = await comparePostgres(entry, request.databases[entry.name], { id: request.manifest.id, signal });
      if (difference !== null) differences.push({ path: shownPath(entry), ...difference });
    } else if (entry.type === 'special') {
      if (found !== undefined && found.type !== 'special') differences.push({ path: entry.path, kind: 'differs', why: 'type' });
    } else if (found === undefined) {
      differences.push({ path: shownPath(entry), kind: 'missing', why: 'missing' });
    } else {
      const why = await whyDifferent(entry, found, request, inodes);
      if (why.length > 0)
        differences.push({ path: shownPath(entry), kind: 'differs', why: why.join(', '), times: timesOf(entry, found, root) });
    }
  }
  differences.push(...created(entries, listed).filter(({ path }) => isInScope(path)));
  return { differences, compared, leftovers };
}

/** How a path of the manifest is shown: databases that are no file inside the root by their name. */
export function shownPath(entry: ManifestEntry): string {
  return entry.type === 'postgres' || (entry.type === 'database' && entry.location !== null) ? `database:${entry.name}` : entry.path;
}

/** The uppermost paths that the manifest does not list. Sockets and FIFOs come and go with services. */
function created(entries: readonly Found[], listed: ReadonlySet<string>): readonly Difference[] {
  const found: Difference[] = [];
  let folder: string | null = null;
  for (const { path, type, database, ctime, birth } of entries) {
    if (listed.has(path) || type === 'special') continue;
    if (folder !== null && path.startsWith(`${folder}/`)) continue;
    const isOutside = database !== null && database.location !== null;
    found.push({ path: isOutside ? `database:${database.name}` : path, kind: 'created', why: 'created since', times: [ctime, birth] });
    folder = type === 'dir' ? path : null;
  }
  return found;
}

/** The contents of a database change with its WAL. */
function timesOf(entry: ManifestEntry, found: Found, root: string): readonly string[] {
  if (entry.type !== 'database') return [found.ctime];
  const file = entry.location ?? join(root, entry.path);
  const wal = statSync(`${file}-wal`, { bigint: true, throwIfNoEntry: false });
  return [wal === undefined || wal.mtimeNs < BigInt(found.ctime) ? found.ctime : String(wal.mtimeNs)];
}

async function whyDifferent(
  entry: Exclude<ManifestEntry, { type: 'special' | 'postgres' }>,
  found: Found,
  request: CompareRequest,
  inodes: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const wanted = entry.type === 'hardlink' || entry.type === 'database' ? 'file' : entry.type;
  if (found.type !== wanted) return ['type'];
  const why: string[] = [];
  // The mode of a link means nothing, and cannot be set on Linux.
  if (entry.type !== 'link' && found.mode !== entry.mode) why.push('mode');
  if (found.uid !== entry.uid || found.gid !== entry.gid) why.push('owner');
  if (entry.type === 'link' && found.target !== entry.target) why.push('link target');
  if (entry.type === 'hardlink' && inodes.get(inodeOf(found)) !== entry.target) why.push('hard link');
  if (entry.type === 'file') {
    if (inodes.get(inodeOf(found)) !== entry.path) why.push('hard link');
    if (found.size !== entry.size) why.push('size');
    else if (!isUntouched(entry, found, request.written) && (await contentOf(join(request.root, entry.path))) !== entry.sha256)
      why.push('content');
  }
  if (entry.type === 'database')
    why.push(...(await whyDatabaseDiffers(entry, entry.location ?? join(request.root, entry.path), request.signal)));
  return why;
}

/**
 * Which path of the manifest each live inode belongs to: hard links belong to the file that they link to. Two files that were two and are one inode now
 * belong to the first, and the second differs.
 */
function inodeOwners(manifest: Manifest, live: ReadonlyMap<string, Found>): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const entry of manifest.entries) {
    const found = entry.type === 'file' ? live.get(entry.path) : undefined;
    if (found?.type === 'file' && !owners.has(inodeOf(found))) owners.set(inodeOf(found), entry.path);
  }
  return owners;
}

function inodeOf({ dev, ino }: Found): string {
  return `${dev}:${ino}`;
}

function isUntouched({ path, seen, mtime }: EntryOf<'file'>, found: Found, written: CompareRequest['written']): boolean {
  const last = written?.get(path);
  if (last !== undefined && found.dev === last.dev && found.ino === last.ino && found.ctime === last.ctime) return true;
  return seen !== null && found.dev === seen.dev && found.ino === seen.ino && found.ctime === seen.ctime && found.mtime === mtime;
}

async function contentOf(file: string): Promise<string> {
  try {
    return await hashFile(file);
  } catch (error) {
    // It went away or cannot be read: it is not what it was.
    return messageOf(error);
  }
}

async function whyDatabaseDiffers(entry: EntryOf<'database'>, file: string, signal?: AbortSignal): Promise<readonly string[]> {
  // Byte for byte the copy, and nothing beside it that would change it, needs no look inside.
  const isAlone = sidecars.every((suffix) => suffix === '-shm' || (statOrNull(file + suffix)?.size ?? 0) === 0);
  if (isAlone && existsSync(file) && statOrNull(file)?.size === entry.size && (await contentOf(file)) === entry.sha256) return [];
  try {
    return await readStill(
      file,
      async (database) => {
        if (integrityProblems(database).length > 0) return ['damaged'];
        const { schema, tables, digest } = await digestOf(database, signal);
        if (digest === entry.logical.digest) return [];
        const names = [...new Set([...Object.keys(tables), ...Object.keys(entry.logical.tables)])];
        const rows = names.filter((name) => tables[name]?.digest !== entry.logical.tables[name]?.digest);
        return [
          ...(schema === entry.logical.schema ? [] : ['schema']),
          ...(rows.length === 0 ? [] : [`rows of ${rows.slice(0, 5).join(', ')}${rows.length > 5 ? ' and others' : ''}`]),
        ];
      },
      { name: entry.name, ...(signal === undefined ? {} : { signal }) },
    );
  } catch (error) {
    if (error instanceof UpgradeError && error.failures.some(({ code }) => code === 'DATABASE_CORRUPT' || code === 'DATABASE_UNREACHABLE'))
      return ['damaged'];
    throw error;
  }
}

function statOrNull(file: string): { readonly size: number } | null {
  return statSync(file, { throwIfNoEntry: false }) ?? null;
}
