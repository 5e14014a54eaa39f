// What a backup takes: the config's paths (or the whole root), the paths of the steps, the version file and every database.
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Config } from '../model/config.ts';
import { UpgradeError, failure, type Failure } from '../model/failure.ts';
import type { ManifestSource } from '../model/manifest.ts';

/** Where databases outside the root lie in the archive. */
export const outsideFolder = '.rungs-outside';
/** And the dumps of PostgreSQL databases. */
export const dumpsFolder = '.rungs-databases';
/** Docker volumes, each a tree of its own. */
export const volumesFolder = '.rungs-volumes';
/** What commands printed. */
export const commandsFolder = '.rungs-commands';

/** Paths relative to the root, links on the way resolved. Throws BACKUP_SOURCE_OUTSIDE, all at once. */
export function resolveSources(config: Config, extraPaths: readonly string[]): readonly ManifestSource[] {
  const problems: Failure[] = [];
  const sources = new Map<string, ManifestSource>();
  const add = (source: ManifestSource): void => {
    if (!sources.has(source.path) || source.kind === 'database') sources.set(source.path, source);
  };

  const versionFile = config.version.kind === 'file' || config.version.kind === 'json' ? [config.version.file] : [];
  // Written by us at the end of a run, so a rollback has to find it.
  const indexes = Object.values(config.ladders).flatMap((ladder) => (ladder.kind === 'index' && ladder.writeBack ? [ladder.index] : []));
  const inside = indexes.filter((file) => !isOutside(relative(config.root, file)));
  for (const path of [...(config.backup.include ?? ['.']), ...extraPaths, ...versionFile, ...inside]) {
    const found = followFolders(config.root, path);
    for (const link of found.links) add(tree(link));
    if (found.path === null) problems.push(failure('BACKUP_SOURCE_OUTSIDE', { path, root: config.root }));
    else add(tree(found.path));
  }
  for (const [name, database] of Object.entries(config.databases)) {
    if (database.kind !== 'sqlite') {
      add({ path: `${dumpsFolder}/${name}.dump`, kind: 'postgres', name, location: null });
      continue;
    }
    // SQLite opens what a link leads to, and keeps its -wal there.
    const real = realFile(database.file);
    const path = relative(config.root, real);
    add(
      isOutside(path)
        ? { path: `${outsideFolder}/${name}`, kind: 'database', name, location: real }
        : { path, kind: 'database', name, location: null },
    );
    const given = relative(config.root, database.file);
    if (real !== database.file && !isOutside(given) && isLink(database.file)) add(tree(given));
  }
  for (const name of Object.keys(config.backup.commands)) add({ path: `${commandsFolder}/${name}`, kind: 'command', name, location: null });
  if (problems.length > 0) throw new UpgradeError(problems);
  return [...sources.values()];
}

function tree(path: string): ManifestSource {
  return { path, kind: 'tree', name: null, location: null };
}

/** Folders of the path that are links are followed and are sources themselves; the path's own last part is not followed. */
function followFolders(root: string, path: string): { readonly path: string | null; readonly links: readonly string[] } {
  const wanted = relative(root, resolve(root, path));
  if (isOutside(wanted)) return { path: null, links: [] };
  const links: string[] = [];
  let rest = wanted === '' ? [] : wanted.split('/');
  let real = root;
  // As many links as Linux follows in one path.
  while (rest.length > 1 && links.length < 40) {
    const [part = '', ...after] = rest;
    const next = join(real, part);
    if (isLink(next)) {
      links.push(relative(root, next));
      const target = relative(root, resolve(dirname(next), readlinkSync(next)));
      if (isOutside(target)) return { path: null, links };
      real = root;
      rest = [...(target === '' ? [] : target.split('/')), ...after];
    } else {
      real = next;
      rest = after;
    }
  }
  return { path: relative(root, join(real, ...rest)), links };
}

export function isOutside(relativePath: string): boolean {
  return relativePath === '..' || relativePath.startsWith('../') || isAbsolute(relativePath);
}

function isLink(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** With links resolved as far as the path exists. */
export function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    const folder = dirname(file);
    return folder === file ? file : join(realFile(folder), file.slice(folder.length + 1));
  }
}
