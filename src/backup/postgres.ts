// PostgreSQL databases in a backup: what they are worth in bytes, whether their dumps can be read, how they differ from what is live, and their way back.
import type { Config, DatabaseConfig } from '../model/config.ts';
import { failuresOf, fail, UpgradeError } from '../model/failure.ts';
import type { EntryOf } from '../model/manifest.ts';
import type { BackupRecord, Difference } from '../model/ports.ts';
import type { KeyRing } from './age/key-ring.ts';
import { openArchive } from './archive-file.ts';
import { createTarReader } from './archive-reader.ts';
import { archiveOf } from './content-reader.ts';
import type { OpenManifest } from './manifest-file.ts';

/** Nothing for one that does not answer: the check tells of it, and planning goes on. */
export async function sizeOfPostgres({ databases }: Pick<Config, 'databases'>): Promise<number> {
  const sizes = await Promise.all(
    Object.entries(databases).map(async ([name, database]) => (database.kind === 'postgres' ? sizeOf(name, database) : 0)),
  );
  return sizes.reduce((total, size) => total + size, 0);
}

async function sizeOf(name: string, target: Extract<DatabaseConfig, { kind: 'postgres' }>): Promise<number> {
  const { connectPostgres } = await import('../databases/postgres/connect.ts');
  try {
    const client = await connectPostgres({ ...target, attempts: 1 }, { name, application: 'rungs backup' });
    try {
      const { rows } = await client.query<{ size: string }>('SELECT pg_database_size(current_database())::text AS size');
      return Number(rows[0]?.size ?? 0);
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch {
    return 0;
  }
}

const pieceSize = 1 << 20;

/** After the archives were verified: pg_restore reads the table of contents of each dump. Throws BACKUP_CORRUPT, POSTGRES_TOOLS_MISSING. */
export async function verifyDumps({ id, path, keys }: BackupRecord & { readonly keys?: KeyRing }, manifest: OpenManifest): Promise<void> {
  const dumps: EntryOf<'postgres'>[] = [];
  for (const entry of manifest.entries) if (entry.type === 'postgres') dumps.push(entry);
  if (dumps.length === 0) return;
  const { complaintOf, findTools, runTool } = await import('../databases/postgres/tools.ts');
  for (const dump of dumps) {
    const { name, size, at } = dump;
    const tools = await findTools(name);
    const archive = archiveOf({ path }, manifest, dump.in ?? id);
    const file = await openArchive({ id, path: archive.path, keys });
    const reader = await createTarReader(file, archive.frames);
    try {
      reader.seek(at);
      await reader.next();
      const listed = await runTool(tools.restore, ['--list'], {
        input: async (give) => {
          let isTaken = true;
          for (let left = size; left > 0 && isTaken; left -= pieceSize) {
            // The reader's memory is used again for what comes next.
            const parts: Buffer[] = [];
            await reader.body(Math.min(pieceSize, left), (chunk) => void parts.push(Buffer.from(chunk)));
            isTaken = await give(Buffer.concat(parts));
          }
        },
      });
      if (listed.code !== 0) {
        const problem = `the dump of the database "${name}" cannot be read: ${complaintOf(listed, 'pg_restore --list')}`;
        throw fail('BACKUP_CORRUPT', { id, path: archive.path, problem });
      }
    } finally {
      await reader.close();
      await file.close();
    }
  }
}

/**
 * The live database against the digest of its dump, and whether a restore of this backup was killed before it had cleared away what it needs beside it.
 * Throws POSTGRES_UNREACHABLE for a server that does not answer.
 */
export async function comparePostgres(
  { name, logical }: EntryOf<'postgres'>,
  target: DatabaseConfig | undefined,
  { id, signal }: { readonly id: string; readonly signal?: AbortSignal | undefined },
): Promise<Omit<Difference, 'path'> | null> {
  if (target?.kind !== 'postgres') return { kind: 'missing', why: 'upgrade.yaml names no PostgreSQL database so' };
  const { codeOf, connectPostgres } = await import('../databases/postgres/connect.ts');
  const { differencesOf, digestPostgres } = await import('../databases/postgres/digest.ts');
  try {
    const client = await connectPostgres(target, { name, application: 'rungs backup', ...(signal === undefined ? {} : { signal }) });
    try {
      const why = differencesOf(logical, await digestPostgres(client, signal));
      if (why.length > 0) return { kind: 'differs', why: why.join(', ') };
      const { existing, namesBeside } = await import('../databases/postgres/beside.ts');
      const { databaseOf } = await import('../databases/postgres/libpq.ts');
      const names = namesBeside(await databaseOf(target), id);
      const isAlone = (await existing(client, names)).size === 1;
      return isAlone ? null : { kind: 'differs', why: 'a restore that was not finished has left a database beside it' };
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch (error) {
    // Dropped by somebody, or left so by a restore that was killed between two names.
    const code = error instanceof UpgradeError ? codeOf(error.cause) : null;
    if (code === '3D000') return { kind: 'missing', why: 'missing' };
    if (code === '55000') return { kind: 'differs', why: 'closed by a restore that was not finished' };
    // Nobody can say what is in it; a restore puts the one out who keeps it locked.
    if (codeOf(error) === '55P03') return { kind: 'differs', why: 'locked by another session' };
    throw error instanceof UpgradeError || signal?.aborted === true
      ? error
      : fail('POSTGRES_UNREACHABLE', { name, server: 'the server', attempts: 1, error: failuresOf(error)[0]?.message ?? '' }, {}, error);
  }
}

export async function restoreDump(
  { name, logical }: EntryOf<'postgres'>,
  dump: string | undefined,
  target: DatabaseConfig | undefined,
  { id, signal }: { readonly id: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  if (target?.kind !== 'postgres') throw new TypeError(`upgrade.yaml names no PostgreSQL database "${name}"`);
  if (dump === undefined) throw new TypeError('it was not staged');
  const { restorePostgres } = await import('../databases/postgres/restore.ts');
  await restorePostgres(target, dump, { name, id, expected: logical, signal });
}
