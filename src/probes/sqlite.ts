// Asks a SQLite database and compares the first column of the first row. Reads only, and leaves no file behind.
import { open, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import type { ProbeContext, ProbeOf } from './registry.ts';
import { show } from './show.ts';

const busyMs = 2_000;

export async function probeSqlite(
  { database, query, expect }: ProbeOf<'sqlite'>,
  { config, limitMs }: ProbeContext,
): Promise<string | null> {
  const found = config.databases[database];
  if (found?.kind !== 'sqlite') return `upgrade.yaml has no SQLite database "${database}"`;
  if (!(await exists(found.file))) return `the database ${found.file} is not there`;
  const { DatabaseSync } = await import('node:sqlite');
  const url = pathToFileURL(found.file);
  if (await isAtRest(found.file)) url.searchParams.set('immutable', '1');
  const connection = new DatabaseSync(url, { readOnly: true, timeout: Math.min(busyMs, Math.ceil(limitMs)) });
  try {
    const statement = connection.prepare(query);
    statement.setReadBigInts(true);
    const row = statement.get();
    if (row === undefined) return `"${query}" gave no row, expected ${show(expect.value)}`;
    const seen: unknown = Object.values(row)[0];
    return isSame(seen, expect.value) ? null : `"${query}" gave ${show(seen)}, expected ${show(expect.value)}`;
  } finally {
    connection.close();
  }
}

/**
 * A database in WAL mode that nobody has open. Merely reading it would leave a `-wal` and a `-shm` file beside it, and an installation
 * that was rolled back has to be the old one to the last file; read as immutable it stays as it is.
 */
async function isAtRest(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(20), 0, 20, 0);
    return buffer[18] === 2 && !(await exists(`${file}-wal`));
  } finally {
    await handle.close();
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** SQLite has no booleans, and its integers are wider than those of YAML. */
function isSame(seen: unknown, expected: unknown): boolean {
  if (typeof seen !== 'bigint') return seen === expected;
  if (typeof expected === 'boolean') return seen === BigInt(expected);
  return typeof expected === 'number' && Number.isInteger(expected) && seen === BigInt(expected);
}
