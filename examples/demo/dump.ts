// The logical content of a SQLite database as text: schema version, schema, and every row of every table in key order.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Reads a private copy of the file and its WAL: looking at a database must not leave a trace beside it. */
export async function dumpDatabase(file: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rungs-dump-'));
  try {
    const copy = join(dir, basename(file));
    for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) await copyFile(file + suffix, copy + suffix);
    return dump(copy);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function dump(file: string): string {
  const database = new DatabaseSync(file);
  try {
    const lines = [`user_version ${String(database.prepare('PRAGMA user_version').get()?.['user_version'])}`];
    for (const { type, name, sql } of database.prepare(`SELECT type, name, sql FROM sqlite_schema ORDER BY type, name`).all()) {
      lines.push(`${String(type)} ${String(name)}: ${String(sql)}`);
      if (type !== 'table') continue;
      // Whole numbers as `1n`, since 1, 1.0 and '1' are different values in SQLite.
      const rows = database.prepare(`SELECT * FROM "${String(name).replaceAll('"', '""')}" ORDER BY 1`);
      rows.setReadBigInts(true);
      for (const row of rows.iterate())
        lines.push(JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)));
    }
    return `${lines.join('\n')}\n`;
  } finally {
    database.close();
  }
}
