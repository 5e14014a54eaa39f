// Makes one backup in one pass: copies the databases, then reads, hashes, packs and compresses everything once, while what was written is read back; and only then gives it its name.
import { lstatSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Config } from '../model/config.ts';
import { UpgradeError, fail, messageOf } from '../model/failure.ts';
import { hasContent, type ManifestEntry, type ManifestHead } from '../model/manifest.ts';
import type { BackupRecord, BackupStore, Clock } from '../model/ports.ts';
import type { KeyRing } from './age/key-ring.ts';
import { pack } from './archive-writer.ts';
import { findBasis, type Basis } from './basis.ts';
import { archiveOf } from './content-reader.ts';
import type { CommandWorld } from './command-sources.ts';
import { copiesIn, copyDatabases, dumpDatabases } from './copies.ts';
import { syncFolder } from './durable.ts';
import { createManifestWriter, type ManifestStart, type ManifestWriter } from './manifest-file.ts';
import { comparePaths } from './names.ts';
import { prepare, type Preparation } from './prepare.ts';
import type { Found } from './scan.ts';
import { describedFile, writeSealed } from './sealed-manifest.ts';
import { resolveSources } from './sources.ts';
import { loadTarHeaders } from './tar-header.ts';
import { walk } from './walk.ts';
import { weigh } from './weigh.ts';
import { writeArchive } from './write-archive.ts';

export interface CreateContext {
  readonly config: Config;
  readonly clock: Clock;
  readonly never: readonly string[];
  readonly settledMs: number;
  readonly keys: KeyRing;
  readonly world: CommandWorld;
}

export type CreateRequest = Parameters<BackupStore['create']>[0];

/** Throws BACKUP_UNREADABLE, BACKUP_FILE_CHANGED, BACKUP_NO_SPACE, BACKUP_WRITE_FAILED, BACKUP_CORRUPT (by reading back) and DATABASE_…; then nothing of it is left. */
export async function createBackup(request: CreateRequest, context: CreateContext): Promise<BackupRecord> {
  const { config } = context;
  const { id, isFull = false, earlier = [] } = request;
  const { basis, warning } = isFull ? { basis: null, warning: null } : await findBasis(earlier, { config, id });
  const warnings = warning === null ? [] : [warning];
  const made = await attempt(request, context, { basis, warnings });
  if (!('lie' in made)) return made;
  // The clock, or whoever sets times, cannot be trusted: nothing is taken unread.
  const found = `"${made.lie}" has other contents than in backup ${basis?.manifest.id}, and the same size, times and inode: everything was read again.`;
  const anew = await attempt(request, context, { basis: null, warnings: [...warnings, found] });
  if ('lie' in anew) throw new TypeError('a whole backup takes nothing unread');
  return anew;
}

interface Terms {
  readonly basis: Basis | null;
  readonly warnings: readonly string[];
}

async function attempt(
  request: CreateRequest,
  context: CreateContext,
  { basis, warnings }: Terms,
): Promise<BackupRecord | { readonly lie: string }> {
  const { config, clock } = context;
  const { id, signal } = request;
  const { dir, recipients } = config.backup;
  const sources = resolveSources(config, request.extraPaths);
  const paths = pathsOf(dir, id, recipients.length > 0);
  const temporary = [paths.partial, ...[paths.manifest, `${paths.manifest}.age`].map((file) => `${file}.partial`)];
  let totalBytes = 0;
  let manifest: ManifestWriter | null = null;
  try {
    totalBytes = basis?.manifest.totals.bytes ?? (request.onProgress === undefined ? 0 : weigh(sources, context, null).bytes);
    // Making our own folders changes the times of those that they are made in.
    const before = timesAbove([dir, copiesIn(config)], config.root);
    await prepareFolder(dir);
    if (copiesIn(config) !== dir) await prepareFolder(copiesIn(config));
    // Our own key is on disk before anything that only it may open here.
    const all = recipients.length === 0 ? [] : [...recipients, await context.keys.makeKey(id)];
    const copies = await copyDatabases(sources, request, { config, temporary });
    const dumps = await dumpDatabases(sources, request, { config, copies, temporary, world: context.world });
    const start: ManifestStart = {
      format: 'rungs-backup',
      formatVersion: 2,
      id,
      product: config.product,
      version: request.version,
      runId: request.runId,
      createdAt: clock.now(),
      root: config.root,
      sources: [...sources],
      exclude: [...config.backup.exclude],
      basis: basis === null ? null : { id: basis.manifest.id, depth: basis.depth },
    };
    const writer = await createManifestWriter(all.length === 0 ? paths.manifest : `${paths.manifest}.age`, start, all);
    manifest = writer;
    const { exclude } = config.backup;
    const { found, problems } = walk({ root: config.root, sources, exclude, never: context.never, isForReading: true });
    const preparation: Preparation = { id, root: config.root, basis: basis?.manifest ?? null, lie: null, hasAttributes: true };
    const tally = createTally();
    const target = { id, path: paths.partial, recipients: all, keys: context.keys };
    const { sha256, bytes, tarBytes, frames } = await writeArchive(target, async (archive) => {
      const entries = pack(prepare(merge(found, dumps, before), preparation), {
        root: config.root,
        copies,
        headers: await loadTarHeaders(),
        writer: archive,
        sleep: (ms) => clock.sleep(ms),
        signal,
        onBytes: progressTeller(request, totalBytes),
        settledMs: context.settledMs,
      });
      for await (const entry of entries) {
        tally.add(entry);
        await writer.add(entry);
      }
      if (problems.length > 0) throw fail('BACKUP_UNREADABLE', { problems: problems.toSorted() });
    });
    if (preparation.lie !== null) {
      for (const file of temporary) await removeIfThere(file);
      return { lie: preparation.lie };
    }
    const encrypted = all.length === 0 ? null : await describedFile(paths.partial);
    // The manifest first: an archive under its final name always has one.
    temporary.push(paths.manifest, `${paths.manifest}.age`);
    const head = await writer.finish({
      simultaneous: request.isSimultaneous ?? false,
      warnings: [...warnings, ...(preparation.hasAttributes ? [] : [withoutAttributes])],
      attributes: preparation.hasAttributes,
      encryption: encrypted === null ? null : { format: 'age', recipients: [...recipients], ...encrypted },
      archive: { file: basename(paths.archive), sha256, bytes, tarBytes, frames: frames.map(([packed, unpacked]) => [packed, unpacked]) },
      archives: [...tally.needed].toSorted().map((needed) => infoOf(basis, needed)),
      totals: tally.totals(),
    });
    if (encrypted !== null) await writeSealed(paths.manifest, { id, createdAt: head.createdAt, recipients, archive: encrypted });
    await rename(paths.partial, paths.archive);
    temporary.length = 0;
    await syncFolder(dir);
    request.onProgress?.(totalBytes, totalBytes);
    return recordOf(head, paths);
  } catch (error) {
    for (const file of temporary) await removeIfThere(file);
    throw describe(error, { id, dir, bytes: totalBytes, path: paths.partial, signal });
  } finally {
    await manifest?.close();
    await removeCopies(copiesIn(config), id);
  }
}

const withoutAttributes = 'Extended attributes and ACLs are not in it: getfattr is missing (package attr).';

/** By path relative to the root: when the folders that these are going to be made in were last changed. */
function timesAbove(folders: readonly string[], root: string): ReadonlyMap<string, string> {
  const times = new Map<string, string>();
  for (const folder of folders) {
    let above = folder;
    while (lstatSync(above, { throwIfNoEntry: false }) === undefined) above = dirname(above);
    if (above !== folder) times.set(relative(root, above), String(lstatSync(above, { bigint: true }).mtimeNs));
  }
  return times;
}

/** Into the order of their paths. */
function* merge(found: Iterable<Found>, others: readonly Found[], times: ReadonlyMap<string, string>): Generator<Found, void> {
  const rest = others.toSorted((a, b) => comparePaths(a.path, b.path));
  for (const one of found) {
    while (rest[0] !== undefined && comparePaths(rest[0].path, one.path) < 0) yield* rest.splice(0, 1);
    const mtime = one.type === 'dir' ? times.get(one.path) : undefined;
    yield mtime === undefined ? one : { ...one, mtime };
  }
  yield* rest;
}

interface Tally {
  readonly needed: ReadonlySet<string>;
  add(entry: ManifestEntry): void;
  totals(): ManifestHead['totals'];
}

function createTally(): Tally {
  const needed = new Set<string>();
  let [files, bytes, entries] = [0, 0, 0];
  return {
    needed,
    add: (entry) => {
      entries += 1;
      if (hasContent(entry)) bytes += entry.size;
      if (hasContent(entry) || entry.type === 'hardlink') files += 1;
      if ('in' in entry && entry.in !== undefined) needed.add(entry.in);
    },
    totals: () => ({ files, bytes, entries }),
  };
}

function infoOf(basis: Basis | null, id: string): ManifestHead['archives'][number] {
  if (basis === null) throw new TypeError('a whole backup needs no other');
  const { file, sha256, bytes, tarBytes, frames } = archiveOf({ path: '' }, basis.manifest, id);
  return { id, file, sha256, bytes, tarBytes, frames };
}

function progressTeller({ onProgress }: CreateRequest, totalBytes: number): (bytes: number) => void {
  let done = 0;
  let told = 0;
  return (bytes) => {
    done += bytes;
    if (done - told < 1 << 20) return;
    told = done;
    onProgress?.(Math.min(done, totalBytes), totalBytes);
  };
}

export function pathsOf(
  dir: string,
  id: string,
  isEncrypted = false,
): { readonly archive: string; readonly manifest: string; readonly partial: string } {
  const archive = join(dir, `${id}.tar.zst${isEncrypted ? '.age' : ''}`);
  return { archive, manifest: join(dir, `${id}.manifest.json`), partial: `${archive}.partial` };
}

export function recordOf(manifest: ManifestHead, paths: { readonly archive: string; readonly manifest: string }): BackupRecord {
  const { id, runId, version, createdAt, archive, archives, totals, simultaneous, warnings } = manifest;
  return {
    id,
    path: paths.archive,
    manifest: paths.manifest,
    bytes: archive.bytes,
    files: totals.files,
    verified: true,
    createdAt,
    runId,
    version,
    needs: archives.map((one) => one.id),
    simultaneous,
    warnings,
  };
}

/** 0700, and without what killed runs left: nothing under a final name is touched but manifests whose archive was never finished. */
async function prepareFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (((await stat(dir)).mode & 0o077) !== 0) await chmod(dir, 0o700);
  const names = new Set(await readdir(dir));
  for (const name of names) {
    if (/^[0-9A-Za-z_-]+\.((tar\.zst|manifest\.json)(\.age)?|\d+\.db)\.partial(-journal|-wal|-shm|\.list)?$/.test(name))
      await removeIfThere(join(dir, name));
    const id = /^([0-9A-Za-z_-]+)\.manifest\.json(?:\.age)?$/.exec(name)?.[1];
    if (id !== undefined && !names.has(`${id}.tar.zst`) && !names.has(`${id}.tar.zst.age`)) await removeIfThere(join(dir, name));
  }
}

async function removeCopies(dir: string, id: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names) if (name.startsWith(`${id}.`) && /\.\d+\.db\.partial/.test(name)) await removeIfThere(join(dir, name));
}

export async function removeIfThere(file: string): Promise<void> {
  const isThere = await lstat(file).then(
    () => true,
    () => false,
  );
  if (isThere) await unlink(file);
}

function describe(
  error: unknown,
  about: {
    readonly id: string;
    readonly dir: string;
    readonly path: string;
    readonly bytes: number;
    readonly signal: AbortSignal | undefined;
  },
): unknown {
  const { id, dir, path, bytes, signal } = about;
  if (error instanceof UpgradeError || signal?.aborted === true) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || /database or disk is full/.test(messageOf(error));
  if (isFull) return fail('BACKUP_NO_SPACE', { dir, bytes }, {}, error);
  // What was read back, or unpacked again, is something else.
  if (error instanceof TypeError && code === '') return fail('BACKUP_CORRUPT', { id, path, problem: messageOf(error) }, {}, error);
  return code === '' ? error : fail('BACKUP_WRITE_FAILED', { dir, error: messageOf(error) }, {}, error);
}
