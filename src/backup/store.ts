// The backups of one installation: `<id>.tar.zst` with `<id>.manifest.json` in the backup folder. Records and retention are the journal's and the caller's.
import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Manifest, ManifestEntry, ManifestSource } from '../model/manifest.ts';
import type { BackupRecord, BackupStore, Clock } from '../model/ports.ts';
import { createKeyRing, type KeyRing } from './age/key-ring.ts';
import { afterBackup } from './after-backup.ts';
import { isEncrypted } from './archive-file.ts';
import { findBasis } from './basis.ts';
import { commandWorld } from './command-sources.ts';
import { compareTree } from './compare.ts';
import { createBackup, pathsOf, recordOf, removeIfThere } from './create.ts';
import { syncFolder } from './durable.ts';
import { exportBackup } from './export.ts';
import { importBackup } from './import.ts';
import { openManifest, readManifest, verifySealed, type OpenManifest } from './manifest-file.ts';
import { isWithin } from './names.ts';
import { sizeOfPostgres, verifyDumps } from './postgres.ts';
import { extractTree } from './extract.ts';
import { testRestore } from './restore-test.ts';
import { restoreTree } from './restore.ts';
import { scopeOf } from './restore-scope.ts';
import { roomFor } from './room.ts';
import { realFile, resolveSources } from './sources.ts';
import type { BackupSource } from './stage.ts';
import { verifyBackup } from './verify.ts';
import { weigh } from './weigh.ts';

export interface StoreOptions {
  readonly config: Config;
  readonly clock: Clock;
  /** Absolute paths that are never packed or compared, besides the state folder and the backups. */
  readonly excludeAlways?: readonly string[];
  /** How long a file must have been left alone to be known again by its inode. Pages written through a mapping are on disk after this long. */
  readonly settledMs?: number;
  /** Files with keys for encrypted backups. */
  readonly identities?: readonly string[];
  /** Takes secrets out of what commands print. */
  readonly scrub?: (text: string) => string;
}

export function createBackupStore({
  config,
  clock,
  excludeAlways = [],
  settledMs = 60_000,
  identities = [],
  scrub = (text) => text,
}: StoreOptions): BackupStore {
  const world = commandWorld(config, scrub);
  const keys = createKeyRing(config.state, identities);
  const never = [config.state, config.backup.dir, ...excludeAlways].flatMap((path) => [...new Set([path, realFile(path)])]);

  const compare: BackupStore['compare'] = async (backup, { paths } = {}) => {
    const manifest = await openManifest({ ...backup, keys });
    const scope = scopeOf(manifest, config.root, paths);
    const { differences, compared } = await compareTree({ manifest, root: config.root, databases: config.databases, world, never, scope });
    return { differences, compared };
  };
  const verify = async (backup: BackupRecord, known?: OpenManifest, isDeep = true): Promise<void> => {
    const manifest = known ?? (await openManifest({ ...backup, keys }));
    await verifyBackup({ ...backup, keys }, manifest, { isDeep });
    await verifyDumps({ ...backup, keys }, manifest);
  };

  const remove: BackupStore['remove'] = async (backup): Promise<void> => {
    // The archive first: a manifest alone counts as nothing, and the next backup clears it away.
    await removeIfThere(backup.path);
    await removeIfThere(backup.manifest);
    await removeIfThere(`${backup.manifest}.age`);
    if (
      await lstat(dirname(backup.path)).then(
        () => true,
        () => false,
      )
    )
      await syncFolder(dirname(backup.path));
  };
  const tryRestore = async (backup: BackupRecord, isWhole: boolean, signal?: AbortSignal): Promise<void> =>
    testRestore({ ...backup, keys }, await openManifest({ ...backup, keys }), config, { isWhole, signal });
  const acceptOrRemove = async (backup: BackupRecord, signal?: AbortSignal): Promise<void> => {
    try {
      await tryRestore(backup, true, signal);
    } catch (error) {
      await remove(backup);
      throw error;
    }
  };

  return {
    estimate: async (extraPaths, earlier = []) => {
      const resolved = resolveSources(config, extraPaths);
      const sources = resolved.map(({ path, kind, name }) =>
        kind === 'command' ? `command:${name}` : kind === 'database' || kind === 'postgres' ? `database:${name}` : path === '' ? '.' : path,
      );
      const { basis } = await findBasis(earlier, { config, id: '' });
      const { bytes, newBytes, files } = weigh(resolved, { config, never }, basis?.manifest ?? null);
      const dumps = await sizeOfPostgres(config);
      return { sources, bytes: bytes + dumps, newBytes: newBytes + dumps, files };
    },
    create: async (request) => {
      const paths = pathsOf(config.backup.dir, request.id, config.backup.recipients.length > 0);
      const isThere = await lstat(paths.archive).then(
        () => true,
        () => false,
      );
      if (!isThere) {
        const made = await createBackup(request, { config, clock, never, settledMs, keys, world });
        if (config.backup.restoreTest) await acceptOrRemove(made, request.signal);
        return made;
      }
      // A run that was killed after the backup and before its record takes it up again, if it still holds what is there.
      const manifest = await readManifest({ id: request.id, manifest: paths.manifest, keys });
      const backup = recordOf(manifest, paths);
      await verify(backup, manifest);
      const { differences } = await compareTree({ manifest, root: config.root, databases: config.databases, world, never });
      if (differences.length > 0) throw fail('BACKUP_EXISTS', { id: request.id, path: differences[0]?.path ?? '' });
      if (config.backup.restoreTest) await acceptOrRemove(backup, request.signal);
      return backup;
    },
    verify: async (backup, { isDeep = false } = {}) => {
      await verify(backup, undefined, isDeep);
      if (isDeep) await tryRestore(backup, false);
    },
    compare,
    restore: async (backup, { differences, paths, isLeft, asideDir, signal, beforeChange }) => {
      const manifest = await readManifest({ ...backup, keys });
      refuseForeignPlaces(manifest, config, never, backup);
      return restoreTree({
        manifest,
        source: sourceOf(backup, manifest, keys),
        root: config.root,
        databases: config.databases,
        world,
        never,
        asideDir,
        differences,
        paths,
        isLeft,
        signal,
        beforeChange,
        verify: () => verify(backup, manifest),
        verifyDumps: () => verifyDumps(backup, manifest),
      });
    },
    roomFor: async (backup, differences) => roomFor(await readManifest({ ...backup, keys }), config.root, differences),
    extractTo: async (backup, { dir, paths }) => {
      const manifest = await readManifest({ ...backup, keys });
      return extractTree({
        manifest,
        source: sourceOf(backup, manifest, keys),
        dir,
        paths,
        verify: () => verify(backup, manifest),
        verifyDumps: () => verifyDumps(backup, manifest),
      });
    },
    exportTo: async (backup, file) => exportBackup({ ...backup, keys }, file, () => verify(backup)),
    importFrom: async (file, isKnown) =>
      importBackup(file, {
        config,
        keys,
        isKnown,
        refuseForeign: (manifest, path) => refuseForeignPlaces(manifest, config, never, { id: manifest.id, manifest: path }),
      }),
    verifySealed: (backup) => verifySealed(backup),
    noteProof: async (backup) => (isEncrypted(backup.path) ? keys.noteProof(backup.path) : undefined),
    unprovenRecipients: () => keys.unproven(config.backup.recipients),
    forgetKeys: (except) => keys.forget(except),
    afterBackup: (backup, signal) => afterBackup(backup, config, { scrub, ...(signal === undefined ? {} : { signal }) }),
    remove,
    discard: async (id) => {
      for (const isSealed of [false, true]) {
        const { archive, manifest } = pathsOf(config.backup.dir, id, isSealed);
        await remove({ path: archive, manifest });
      }
    },
  };
}

function sourceOf({ id, path }: BackupRecord, manifest: Manifest, keys: KeyRing): BackupSource {
  return { id, path, manifest, keys };
}

/** A manifest that somebody else wrote must not lead into the state folder, nor to files that the config does not name as a database. */
function refuseForeignPlaces(
  manifest: OpenManifest,
  config: Config,
  never: readonly string[],
  { id, manifest: path }: Pick<BackupRecord, 'id' | 'manifest'>,
): void {
  const refuse = (problem: string): Error => fail('BACKUP_CORRUPT', { id, path, problem });
  const databases = new Map(
    Object.entries(config.databases).flatMap(([name, database]) =>
      database.kind === 'sqlite' ? [[name, realFile(database.file)] as const] : [],
    ),
  );
  const refuseForeign = (entry: ManifestSource | ManifestEntry): void => {
    const location = 'location' in entry ? entry.location : null;
    const name = 'name' in entry ? entry.name : null;
    const here = databases.get(name ?? '');
    if (location !== null && here !== undefined && here !== location)
      throw fail('BACKUP_DATABASE_ELSEWHERE', { id, name: name ?? '', there: location, here });
    if (location !== null && here === undefined) throw refuse(`it holds a database for ${location}, which is none of this installation's`);
    if (location === null && never.some((kept) => isWithin(join(config.root, entry.path), kept)))
      throw refuse(`it holds "${entry.path}", where Rungs keeps its own state`);
  };
  for (const source of manifest.sources) refuseForeign(source);
  for (const entry of manifest.entries) refuseForeign(entry);
}
