// Restores the databases of a backup where nobody uses them, and asks each whether it is sound: SQLite in a scratch folder, PostgreSQL in a scratch database.
// Everything else of a backup is proven by reading it.
import { createHash } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { integrityCheck, logicalDigest } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import type { ContentEntry, EntryOf } from '../model/manifest.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openContents, type ContentReader } from './content-reader.ts';
import type { OpenManifest } from './manifest-file.ts';

interface Tested {
  readonly id: string;
  readonly path: string;
  readonly keys: KeyRing;
}

/** Nothing of it is left, whatever it finds. Throws RESTORE_TEST_FAILED, POSTGRES_…, and what reading throws. */
export async function testRestore(backup: Tested, manifest: OpenManifest, config: Config, signal?: AbortSignal): Promise<void> {
  const dir = join(config.state, 'restore-test');
  const contents = openContents(backup, manifest);
  try {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const entry of manifest.entries) {
      signal?.throwIfAborted();
      if (entry.type !== 'database' && entry.type !== 'postgres') continue;
      const file = join(dir, `${createHash('sha256').update(entry.path).digest('hex').slice(0, 16)}.db`);
      try {
        await extract(entry, file, contents);
        await (entry.type === 'database' ? testSqlite(entry, file, signal) : testPostgres(entry, file, backup.id, config, signal));
      } catch (error) {
        if (signal?.aborted === true) throw error;
        const problem = error instanceof UpgradeError ? (error.failures[0]?.message ?? '') : messageOf(error);
        throw fail('RESTORE_TEST_FAILED', { id: backup.id, name: entry.name, problem: problem.replace(/\.$/, '') }, {}, error);
      } finally {
        for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true });
      }
    }
  } finally {
    await contents.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function extract(entry: ContentEntry, file: string, contents: ContentReader): Promise<void> {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    await contents.read(entry, (piece, at) => {
      for (let done = 0; done < piece.length;) done += writeSync(descriptor, piece, done, piece.length - done, at + done);
    });
  } finally {
    closeSync(descriptor);
  }
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
