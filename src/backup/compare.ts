// The live tree against a manifest: what is missing, what was created since, what differs and in which way. Times alone are no difference. Changes nothing.
import { join } from 'node:path';
import { existsSync, statSync } from 'node:fs';
import { digestOf } from '../databases/logical-digest.ts';
import { integrityProblems, readStill, sidecars } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError, messageOf } from '../model/failure.ts';
import type { EntryOf, ManifestEntry } from '../model/manifest.ts';
import type { Difference } from '../model/ports.ts';
import { isOfSystem, readAttributes } from './attributes.ts';
import { hashFile } from './hash-file.ts';
import { compareCommand, type CommandWorld } from './command-sources.ts';
import type { OpenManifest } from './manifest-file.ts';
import { comparePaths } from './names.ts';
import { comparePostgres } from './postgres.ts';
import type { Scope } from './restore-scope.ts';
import type { Found } from './scan.ts';
import { walk } from './walk.ts';

export interface CompareRequest {
  readonly manifest: OpenManifest;
  readonly root: string;
  readonly databases: Config['databases'];
  readonly world: CommandWorld;
  /** Absolute paths that are no part of the installation. */
  readonly never: readonly string[];
  readonly signal?: AbortSignal;
  /** Only what is in it is looked at. */
  readonly scope?: Scope;
  /** Files that a restore has just written, out of contents whose SHA-256 was right: by path, what they were then. */
  readonly written?: ReadonlyMap<string, Written>;
  /** What a restore has just put back by commands: what nobody can compare is asked for once. */
  readonly putBack?: ReadonlySet<string>;
  /** Folders whose attributes were others: what a restore has written in them may have inherited some. */
  readonly attributed?: ReadonlySet<string>;
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
  const knownDatabases: string[] = [];
  for (const entry of manifest.entries) if (entry.type === 'database') knownDatabases.push(entry.path);
  const { exclude, sources } = manifest;
  const { found: live, leftovers } = walk({ root, sources, exclude, never, knownDatabases, within: scope?.paths ?? null });
  /** Which path of the manifest each live inode with several names belongs to. */
  const inodes = new Map<string, string>();
  const differences: Difference[] = [];
  const created = createdFinder();
  const toLookAt: ManifestEntry[] = [];
  const madeAt = BigInt(Date.parse(manifest.createdAt)) * 1_000_000n;

  // Those of a file that was just written are its own, unless its folder has some to inherit.
  const inherited = new Set(request.attributed);
  const mayHaveOthers = (entry: ManifestEntry, found: Found): boolean => {
    if (entry.xattrs !== undefined || manifest.attributes !== true) return entry.xattrs !== undefined;
    // Those of a hard link are with its target; a database that lies outside has none here.
    if (entry.type === 'hardlink' || (entry.type === 'database' && entry.location !== null)) return false;
    return !isWritten(found, request.written?.get(entry.path)) || inherited.has(folderOf(entry.path));
  };

  let compared = 0;
  for (const { entry, found } of together(manifest.entries, live)) {
    signal?.throwIfAborted();
    if (entry === null) {
      const difference = found === null ? null : created(found);
      if (difference !== null && isInScope(difference.path)) differences.push(difference);
      continue;
    }
    // Hard links belong to the file that they link to. Two files that were two and are one inode now belong to the first, and the second differs.
    if (entry.type === 'file' && found?.hasOtherNames === true && !inodes.has(inodeOf(found))) inodes.set(inodeOf(found), entry.path);
    if (entry.xattrs !== undefined && inheritable in entry.xattrs) inherited.add(entry.path);
    if (!isInScope(shownPath(entry))) continue;
    compared += 1;
    if (entry.type === 'postgres') {
      const difference = await comparePostgres(entry, request.databases[entry.name], { id: request.manifest.id, signal });
      if (difference !== null) differences.push({ path: shownPath(entry), ...difference });
    } else if (entry.type === 'command') {
      // Sources without a digest are put back where they are named, and only there.
      const isNamed =
        entry.state === null && request.scope?.paths?.includes(shownPath(entry)) === true && request.putBack?.has(entry.path) !== true;
      const difference = isNamed ? { kind: 'differs' as const, why: 'asked for' } : await compareCommand(entry, request.world, signal);
      if (difference !== null) differences.push({ path: shownPath(entry), ...difference });
    } else if (entry.type === 'special') {
      if (found !== null && found.type !== 'special') differences.push({ path: entry.path, kind: 'differs', why: 'type' });
    } else if (found === null) {
      differences.push({ path: shownPath(entry), kind: 'missing', why: 'missing' });
    } else {
      const why = await whyDifferent(entry, found, request, inodes);
      if (why.length > 0)
        differences.push({ path: shownPath(entry), kind: 'differs', why: why.join(', '), times: timesOf(entry, found, root) });
      else if (BigInt(found.ctime) > madeAt && mayHaveOthers(entry, found)) toLookAt.push(entry);
    }
  }
  for (const { path, type } of await withOtherAttributes(toLookAt, request))
    if (type !== 'special') differences.push({ path, kind: 'differs', why: 'attributes' });
  return { differences, compared, leftovers };
}

/** What is listed and what is there, path by path. Both are in the order of their paths, so neither is held whole. */
function* together(
  entries: Iterable<ManifestEntry>,
  live: Iterable<Found>,
): Generator<{ readonly entry: ManifestEntry | null; readonly found: Found | null }, void> {
  const rest = live[Symbol.iterator]();
  let next = rest.next();
  for (const entry of entries) {
    while (next.done !== true && comparePaths(next.value.path, entry.path) < 0) {
      yield { entry: null, found: next.value };
      next = rest.next();
    }
    if (next.done !== true && next.value.path === entry.path) {
      yield { entry, found: next.value };
      next = rest.next();
    } else yield { entry, found: null };
  }
  for (; next.done !== true; next = rest.next()) yield { entry: null, found: next.value };
}

const inheritable = 'system.posix_acl_default';

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Those whose attributes, ACLs among them, are not as listed. Where this system cannot tell, none. */
async function withOtherAttributes(
  entries: readonly ManifestEntry[],
  { root, manifest }: Pick<CompareRequest, 'root' | 'manifest'>,
): Promise<readonly ManifestEntry[]> {
  const present = await readAttributes(entries.map(({ path }) => join(root, path)));
  if (present === null) return [];
  return entries.filter(({ path, xattrs = {} }) => {
    const found = present.get(join(root, path)) ?? {};
    const isLost = Object.entries(xattrs).some(([name, value]) => found[name] !== value && !isOfSystem(name));
    const isMore = Object.keys(found).some((name) => !(name in xattrs) && !isOfSystem(name));
    return isLost || (isMore && manifest.attributes === true);
  });
}

/** How a path of the manifest is shown: databases that are no file inside the root by their name. */
export function shownPath(entry: ManifestEntry): string {
  if (entry.type === 'command') return `command:${entry.name}`;
  return entry.type === 'postgres' || (entry.type === 'database' && entry.location !== null) ? `database:${entry.name}` : entry.path;
}

/** Given what the manifest does not list, in order: the uppermost paths of it. Sockets and FIFOs come and go with services. */
function createdFinder(): (found: Found) => Difference | null {
  let folder: string | null = null;
  return ({ path, type, database, ctime, birth }) => {
    if (type === 'special' || (folder !== null && path.startsWith(`${folder}/`))) return null;
    folder = type === 'dir' ? path : null;
    const isOutside = database !== null && database.location !== null;
    return { path: isOutside ? `database:${database.name}` : path, kind: 'created', why: 'created since', times: [ctime, birth] };
  };
}

/** The contents of a database change with its WAL. */
function timesOf(entry: ManifestEntry, found: Found, root: string): readonly string[] {
  if (entry.type !== 'database') return [found.ctime];
  const file = entry.location ?? join(root, entry.path);
  const wal = statSync(`${file}-wal`, { bigint: true, throwIfNoEntry: false });
  return [wal === undefined || wal.mtimeNs < BigInt(found.ctime) ? found.ctime : String(wal.mtimeNs)];
}

async function whyDifferent(
  entry: Exclude<ManifestEntry, { type: 'special' | 'postgres' | 'command' }>,
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
    if (found.hasOtherNames && inodes.get(inodeOf(found)) !== entry.path) why.push('hard link');
    if (found.size !== entry.size) why.push('size');
    else if (!isUntouched(entry, found, request.written) && (await contentOf(join(request.root, entry.path))) !== entry.sha256)
      why.push('content');
  }
  if (entry.type === 'database')
    why.push(...(await whyDatabaseDiffers(entry, entry.location ?? join(request.root, entry.path), request.signal)));
  return why;
}

function isWritten(found: Found, last: Written | undefined): boolean {
  return last !== undefined && found.dev === last.dev && found.ino === last.ino && found.ctime === last.ctime;
}

function inodeOf({ dev, ino }: Found): string {
  return `${dev}:${ino}`;
}

function isUntouched({ path, seen, mtime }: EntryOf<'file'>, found: Found, written: CompareRequest['written']): boolean {
  if (isWritten(found, written?.get(path))) return true;
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
