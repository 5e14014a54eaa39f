// Restores a backup whole where nobody uses it: everything into a scratch folder in the state folder, PostgreSQL databases into scratch databases beside the live ones.
// Given a backup that was read back; promises that its tree comes back as listed and that each database in it is sound, or throws; and that nothing of it is left.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { integrityCheck, logicalDigest } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { fail, failuresOf, messageOf, UpgradeError } from '../model/failure.ts';
import type { EntryOf } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { extractTree } from './extract.ts';
import type { OpenManifest } from './manifest-file.ts';
import { verifyBackup } from './verify.ts';

interface Tested {
  readonly id: string;
  readonly path: string;
  readonly keys: KeyRing;
}

interface TestOptions {
  /** Everything; else only the databases. */
  readonly isWhole: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Throws RESTORE_TEST_FAILED, POSTGRES_…, and what reading throws. */
export async function testRestore(backup: Tested, manifest: OpenManifest, config: Config, { isWhole, signal }: TestOptions): Promise<void> {
  const dir = join(config.state, 'restore-test');
  const databases: (EntryOf<'database'> | EntryOf<'postgres'>)[] = [];
  for (const entry of manifest.entries) if (entry.type === 'database' || entry.type === 'postgres') databases.push(entry);
  if (!isWhole && databases.length === 0) return;
  const named = async (what: string, action: () => Promise<unknown>): Promise<void> => {
    try {
      await action();
    } catch (error) {
      if (signal?.aborted === true || hasCode(error, 'BACKUP_')) throw error;
      const problem = error instanceof UpgradeError ? (error.failures[0]?.message ?? '') : messageOf(error);
      throw fail('RESTORE_TEST_FAILED', { id: backup.id, what, problem: problem.replace(/\.$/, '') }, {}, error);
    }
  };
  try {
    // Of one that was killed.
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    await named(isWhole ? 'its files' : 'its databases', () =>
      extractTree({
        manifest: { ...manifest, entries: isWhole ? [...manifest.entries] : databases },
        paths: isWhole ? undefined : databases.map(({ name }) => `database:${name}`),
        source: { ...backup, manifest },
        dir,
        verify: () => verifyBackup(backup, manifest, { isDeep: true, signal }),
        // Each is restored below.
        verifyDumps: async () => undefined,
        signal,
      }),
    );
    for (const entry of databases) {
      signal?.throwIfAborted();
      const file = join(dir, entry.path);
      await named(`its database "${entry.name}"`, () =>
        entry.type === 'database' ? testSqlite(entry, file, signal) : testPostgres(entry, file, backup.id, config, signal),
      );
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function hasCode(error: unknown, prefix: string): boolean {
  return error instanceof UpgradeError && failuresOf(error).some(({ code }) => code.startsWith(prefix));
}

async function testSqlite({ name, logical }: EntryOf<'database'>, file: string, signal?: AbortSignal): Promise<void> {
  const options = { name, ...(signal === undefined ? {} : { signal }) };
  const problems = await integrityCheck(file, options);
  if (problems.length > 0) throw new TypeError(problems.join(', '));
  if ((await logicalDigest(file, options)).digest !== logical.digest)
    throw new TypeError('its schema or rows are not those that were saved');
}

async function testPostgres(
  { name, logical }: EntryOf<'postgres'>,
  file: string,
  id: string,
  { databases }: Config,
  signal?: AbortSignal,
): Promise<void> {
  const target = databases[name];
  if (target?.kind !== 'postgres') throw new TypeError('upgrade.yaml names no PostgreSQL database so');
  const { tryPostgres } = await import('../databases/postgres/restore.ts');
  await tryPostgres(target, file, { name, id, expected: logical, signal });
}
