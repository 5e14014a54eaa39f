// Consistent copies of what must not be read while it is written to: SQLite databases by their online backup, PostgreSQL by pg_dump.
import { constants, lstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { copyDatabase, integrityCheck, logicalDigest } from '../databases/sqlite.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { LogicalDigest, ManifestSource } from '../model/manifest.ts';
import type { CommandWorld } from './command-sources.ts';
import { describeFile, type Found } from './scan.ts';

/** Copies of databases are not encrypted: where backups are, they never lie where backups do. */
export function copiesIn({ state, backup }: Config): string {
  return backup.recipients.length === 0 ? backup.dir : join(state, 'copies');
}

/** By path of the entry. */
export type Copies = Map<string, Copy>;

/** What stands for a source in the archive, and what it is compared by later. */
export type Copy =
  | { readonly file: string; readonly logical: LogicalDigest }
  /** What a command printed. */
  | { readonly file: string; readonly state: string | null };

interface Place {
  readonly config: Config;
  /** Told of each file before it is made. */
  readonly temporary: string[];
}

interface For {
  readonly id: string;
  readonly signal?: AbortSignal;
}

export async function copyDatabases(
  sources: readonly ManifestSource[],
  { id, signal }: For,
  { config, temporary }: Place,
): Promise<Copies> {
  const copies: Copies = new Map();
  for (const source of sources) {
    if (source.kind !== 'database') continue;
    const live = source.location ?? join(config.root, source.path);
    if (lstatSync(live, { throwIfNoEntry: false }) === undefined || describeFile(source.path, live, source).database === null) continue;
    const name = source.name ?? source.path;
    const file = join(copiesIn(config), `${id}.${copies.size}.db.partial`);
    temporary.push(file);
    const options = { name, ...(signal === undefined ? {} : { signal }) };
    // Made by us first, so that nobody else can read it.
    await (await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)).close();
    await copyDatabase(live, file, options);
    const problems = await integrityCheck(file, options);
    if (problems.length > 0) throw fail('DATABASE_CORRUPT', { name, file: live, problems });
    copies.set(source.path, { file, logical: await logicalDigest(file, options) });
  }
  return copies;
}

/** What stands in the archive for each PostgreSQL database, and for what commands print: a file that is nowhere in the installation. */
export async function dumpDatabases(
  sources: readonly ManifestSource[],
  { id, signal }: For,
  { config, copies, temporary, world }: Place & { readonly copies: Copies; readonly world: CommandWorld },
): Promise<readonly Found[]> {
  const dumps: Found[] = [];
  for (const source of sources) {
    if (source.kind === 'command') {
      const file = join(copiesIn(config), `${id}.${copies.size}.db.partial`);
      temporary.push(file);
      const { dumpCommand } = await import('./command-sources.ts');
      copies.set(source.path, { file, ...(await dumpCommand(file, { world, name: source.name ?? '', signal })) });
      dumps.push(describeFile(source.path, file, source));
    }
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
