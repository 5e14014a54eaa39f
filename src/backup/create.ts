// Makes one backup: scan, copy the databases, pack, sync, read everything back, and only then give it its name.
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { integrityCheck, copyDatabase, logicalDigest } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { UpgradeError, fail, messageOf } from '../model/failure.ts';
import { hasContent, type LogicalDigest, type ManifestEntry, type ManifestHead, type ManifestSource } from '../model/manifest.ts';
import type { BackupRecord, BackupStore, Clock } from '../model/ports.ts';
import { createEncrypted } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { verifyArchive } from './archive-reader.ts';
import { pack } from './archive-writer.ts';
import { syncFolder } from './durable.ts';
import { createFrameWriter, type Frame } from './frame-writer.ts';
import { createManifestWriter } from './manifest-file.ts';
import { byPath } from './names.ts';
import { describeFile, scan, type Found, type Scan } from './scan.ts';
import { describedFile, writeSealed } from './sealed-manifest.ts';
import { resolveSources } from './sources.ts';
import { loadTarHeaders } from './tar-header.ts';

export interface CreateContext {
  readonly config: Config;
  readonly clock: Clock;
  readonly never: readonly string[];
  readonly settledMs: number;
  readonly keys: KeyRing;
}

export type CreateRequest = Parameters<BackupStore['create']>[0];

/** Throws BACKUP_UNREADABLE, BACKUP_FILE_CHANGED, BACKUP_NO_SPACE, BACKUP_WRITE_FAILED, BACKUP_CORRUPT (by reading back) and DATABASE_…; then nothing of it is left. */
export async function createBackup(request: CreateRequest, context: CreateContext): Promise<BackupRecord> {
  const { config, clock } = context;
  const { dir } = config.backup;
  const sources = resolveSources(config, request.extraPaths);
  const found = scanAll(sources, context);
  const totalBytes = bytesOf(found);
  const { recipients } = config.backup;
  const paths = pathsOf(dir, request.id, recipients.length > 0);
  const temporary = [paths.partial];
  try {
    await prepareFolder(dir);
    if (copiesIn(config) !== dir) await prepareFolder(copiesIn(config));
    // Our own key is on disk before anything that only it may open here.
    const all = recipients.length === 0 ? [] : [...recipients, await context.keys.makeKey(request.id)];
    const copies = await copyDatabases(found, request, context, temporary);
    const dumps = await dumpDatabases(sources, request, context, { copies, temporary });
    const everything = { ...found, entries: [...found.entries, ...dumps].toSorted(byPath) };
    const packed = await packAll(everything, copies, request, { ...context, recipients: all });
    const files = packed.entries.filter((entry) => hasContent(entry) || entry.type === 'hardlink').length;
    // The first proof that what was written can be read, and that it is what was there.
    const sha256 = await verifyArchive(
      { id: request.id, path: paths.partial, sha256: null, keys: context.keys, ...packed },
      request.signal,
    );
    const { entries, frames, bytes, tarBytes } = packed;
    // The manifest first: an archive under its final name always has one.
    const file = all.length === 0 ? paths.manifest : `${paths.manifest}.age`;
    temporary.push(...[paths.manifest, `${paths.manifest}.age`].flatMap((name) => [`${name}.partial`, name]));
    const encrypted = all.length === 0 ? null : await describedFile(paths.partial);
    const writer = await createManifestWriter(
      file,
      {
        format: 'rungs-backup',
        formatVersion: 2,
        id: request.id,
        product: config.product,
        version: request.version,
        runId: request.runId,
        createdAt: clock.now(),
        root: config.root,
        sources: [...sources],
        exclude: [...config.backup.exclude],
        basis: null,
      },
      all,
    );
    for (const entry of entries) await writer.add(entry);
    const manifest = await writer.finish({
      simultaneous: true,
      warnings: [],
      encryption: encrypted === null ? null : { format: 'age', recipients: [...recipients], ...encrypted },
      archive: {
        file: basename(paths.archive),
        sha256,
        bytes,
        tarBytes,
        frames: frames.map(([packedBytes, unpacked]): [number, number] => [packedBytes, unpacked]),
      },
      archives: [],
      totals: { files, bytes: contentBytes(entries), entries: entries.length },
    });
    await writer.close();
    if (encrypted !== null)
      await writeSealed(paths.manifest, { id: request.id, createdAt: manifest.createdAt, recipients, archive: encrypted });
    await rename(paths.partial, paths.archive);
    temporary.length = 0;
    await syncFolder(dir);
    request.onProgress?.(totalBytes, totalBytes);
    return recordOf(manifest, paths);
  } catch (error) {
    for (const file of temporary) await removeIfThere(file);
    throw describe(error, dir, totalBytes, request.signal);
  } finally {
    await removeCopies(copiesIn(config), request.id);
  }
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
  const { id, runId, version, createdAt, archive, totals } = manifest;
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
  };
}

/** Throws BACKUP_UNREADABLE with everything that cannot be read. */
export function scanAll(sources: readonly ManifestSource[], { config, never }: Pick<CreateContext, 'config' | 'never'>): Scan {
  const found = scan({ root: config.root, sources, exclude: config.backup.exclude, never, isForReading: true });
  if (found.problems.length > 0) throw fail('BACKUP_UNREADABLE', { problems: found.problems });
  return found;
}

export function bytesOf({ entries }: Scan): number {
  return entries.reduce((total, { type, size }) => total + (type === 'file' ? size : 0), 0);
}

function contentBytes(entries: readonly ManifestEntry[]): number {
  return entries.reduce((total, entry) => total + (hasContent(entry) ? entry.size : 0), 0);
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

/** Copies of databases are not encrypted: where backups are, they never lie where backups do. */
function copiesIn({ state, backup }: Config): string {
  return backup.recipients.length === 0 ? backup.dir : join(state, 'copies');
}

type Copies = Map<string, { readonly file: string; readonly logical: LogicalDigest }>;

async function copyDatabases(found: Scan, { id, signal }: CreateRequest, { config }: CreateContext, temporary: string[]): Promise<Copies> {
  const copies: Copies = new Map();
  for (const { path, database } of found.entries) {
    if (database === null) continue;
    const name = database.name ?? path;
    const live = database.location ?? join(config.root, path);
    const file = join(copiesIn(config), `${id}.${copies.size}.db.partial`);
    temporary.push(file);
    const options = { name, ...(signal === undefined ? {} : { signal }) };
    // Made by us first, so that nobody else can read it.
    await (await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)).close();
    await copyDatabase(live, file, options);
    const problems = await integrityCheck(file, options);
    if (problems.length > 0) throw fail('DATABASE_CORRUPT', { name, file: live, problems });
    copies.set(path, { file, logical: await logicalDigest(file, options) });
  }
  return copies;
}

/** What stands for each PostgreSQL database in the archive: a file that is nowhere in the installation. */
async function dumpDatabases(
  sources: readonly ManifestSource[],
  { id, signal }: CreateRequest,
  { config }: CreateContext,
  { copies, temporary }: { readonly copies: Copies; readonly temporary: string[] },
): Promise<readonly Found[]> {
  const dumps: Found[] = [];
  for (const source of sources) {
    const target = source.kind === 'postgres' ? config.databases[source.name ?? ''] : undefined;
    if (target?.kind !== 'postgres') continue;
    const { dumpPostgres } = await import('../databases/postgres/dump.ts');
    const file = join(copiesIn(config), `${id}.${copies.size}.db.partial`);
    temporary.push(file);
    const { logical } = await dumpPostgres(target, file, { name: source.name ?? '', signal });
    copies.set(source.path, { file, logical });
    dumps.push(describeFile(source.path, file, source));
  }
  return dumps;
}

interface Packed {
  readonly entries: readonly ManifestEntry[];
  readonly frames: readonly Frame[];
  readonly bytes: number;
  readonly tarBytes: number;
}

async function packAll(
  found: Scan,
  copies: Copies,
  { id, signal, onProgress }: CreateRequest,
  { config, clock, settledMs, recipients }: CreateContext & { readonly recipients: readonly string[] },
): Promise<Packed> {
  const file = await open(
    pathsOf(config.backup.dir, id, recipients.length > 0).partial,
    constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
    0o600,
  );
  const encrypted = recipients.length === 0 ? null : await createEncrypted(file, recipients);
  const writer = createFrameWriter(encrypted ?? file);
  const totalBytes = bytesOf(found);
  let done = 0;
  let told = 0;
  try {
    const headers = await loadTarHeaders();
    const onBytes = (bytes: number): void => {
      done += bytes;
      if (done - told < 1 << 20) return;
      told = done;
      onProgress?.(Math.min(done, totalBytes), totalBytes);
    };
    const entries = await pack({
      root: config.root,
      entries: found.entries,
      copies,
      headers,
      writer,
      sleep: (ms) => clock.sleep(ms),
      signal,
      onBytes,
      settledMs,
    });
    // A tar ends with two empty blocks.
    await writer.append(Buffer.alloc(1024));
    const written = await writer.finish();
    await encrypted?.end();
    await file.sync();
    return { entries, ...written };
  } finally {
    await writer.settle();
    await file.close();
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

function describe(error: unknown, dir: string, bytes: number, signal: AbortSignal | undefined): unknown {
  if (error instanceof UpgradeError || signal?.aborted === true) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || /database or disk is full/.test(messageOf(error));
  if (isFull) return fail('BACKUP_NO_SPACE', { dir, bytes }, {}, error);
  return code === '' ? error : fail('BACKUP_WRITE_FAILED', { dir, error: messageOf(error) }, {}, error);
}
