// Walks sources and tells what is there, one path at a time and in one order on every machine, so that a tree of any size is never held whole.
// Reads no contents. Used by the backup and by the comparison, so that both see the same things.
import { accessSync, constants, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { geteuid } from 'node:process';
import { messageOf } from '../model/failure.ts';
import type { ManifestSource } from '../model/manifest.ts';
import { sidecars } from '../databases/sqlite.ts';
import { comparePaths, isWithin, namesIn, toBytes } from './names.ts';
import { describe, excluder, stagedName, type Found, type ScanRequest } from './scan.ts';

export interface Walk {
  /** In the order of `byPath`; parents before what is in them. Once. */
  readonly found: Generator<Found, void>;
  /** What could not be read, with why. Complete when the walk has ended. */
  readonly problems: readonly string[];
  /** Absolute paths of what a killed restore left behind. */
  readonly leftovers: readonly string[];
}

/** What the sources say of one path: that all in it is wanted, that it is a database, or that something below it is. */
interface Wanted {
  readonly below: Map<string, Wanted>;
  isTree: boolean;
  database: ManifestSource | null;
}

interface Folder {
  readonly path: string;
  readonly absolute: string;
  readonly wanted: Wanted | undefined;
  readonly isInTree: boolean;
  readonly names: readonly string[];
  next: number;
}

export function walk(request: ScanRequest): Walk {
  const { root, sources, isForReading = false, within = null } = request;
  const problems: string[] = [];
  const leftovers: string[] = [];
  const isExcluded = excluder(request.exclude);
  const never = new Set(request.never);
  const isNever = (absolute: string): boolean => request.never.some((path) => isWithin(absolute, path));
  const isLookedAt = (path: string): boolean => within === null || within.some((one) => isWithin(path, one) || isWithin(one, path));
  const mustAsk = isForReading && geteuid?.() !== 0;

  const look = (path: string, absolute: string, database: ManifestSource | null): Found | null => {
    try {
      const stat = lstatSync(toBytes(absolute), { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) return null;
      const found = describe(path, absolute, stat, database);
      if (mustAsk && (found.type === 'dir' || found.type === 'file'))
        accessSync(toBytes(absolute), found.type === 'dir' ? constants.R_OK | constants.X_OK : constants.R_OK);
      return found;
    } catch (error) {
      problems.push(`${path === '' ? root : path} (${messageOf(error).split(',')[0]})`);
      return null;
    }
  };

  const top: Wanted = { below: new Map(), isTree: false, database: null };
  const hidden = new Set<string>();
  const outside: ManifestSource[] = [];
  for (const source of sources) {
    const absolute = source.location ?? join(root, source.path);
    if (source.kind !== 'tree' && source.kind !== 'database') continue;
    if (isNever(absolute)) continue;
    if (source.location !== null) {
      outside.push(source);
    } else {
      const place = placeOf(top, source.path);
      if (source.kind === 'tree') place.isTree = true;
      else place.database = source;
    }
    if (source.kind === 'database' && (isDatabase(absolute, source) || request.knownDatabases?.includes(source.path) === true))
      for (const suffix of sidecars) hidden.add(source.path + suffix);
  }

  const namesOf = ({ path, absolute, wanted, isInTree }: Omit<Folder, 'names' | 'next'>): readonly string[] => {
    if (!isInTree) return [...(wanted?.below.keys() ?? [])].toSorted(comparePaths);
    try {
      const names = namesIn(absolute);
      leftovers.push(...names.filter((name) => stagedName.test(name)).map((name) => join(absolute, name)));
      return names.filter(
        (name) => !stagedName.test(name) && (wanted?.below.has(name) === true || !isExcluded(path === '' ? name : `${path}/${name}`)),
      );
    } catch (error) {
      problems.push(`${path === '' ? root : path} (${messageOf(error).split(',')[0]})`);
      return [];
    }
  };

  function* inside(): Generator<Found, void> {
    // A stack of our own: the depth of a tree is not ours to limit.
    const stack: Folder[] = [];
    const enter = (found: Found | null, absolute: string, wanted: Wanted | undefined, isAboveInTree: boolean): void => {
      if (found?.type !== 'dir') return;
      const folder = { path: found.path, absolute, wanted, isInTree: isAboveInTree || wanted?.isTree === true };
      stack.push({ ...folder, names: namesOf(folder), next: 0 });
    };
    const start = isLookedAt('') && (top.isTree || top.below.size > 0) ? look('', root, null) : null;
    if (start !== null && top.isTree) yield start;
    enter(start, root, top, false);
    for (let folder = stack.at(-1); folder !== undefined; folder = stack.at(-1)) {
      const name = folder.names[folder.next];
      folder.next += 1;
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const path = folder.path === '' ? name : `${folder.path}/${name}`;
      const absolute = folder.absolute === '/' ? `/${name}` : `${folder.absolute}/${name}`;
      const wanted = folder.wanted?.below.get(name);
      if (hidden.has(path) || never.has(absolute) || !isLookedAt(path)) continue;
      const found = look(path, absolute, wanted?.database ?? null);
      if (found === null) continue;
      yield found;
      // What is left out is entered only for what is wanted in it.
      enter(found, absolute, wanted, folder.isInTree && !(wanted !== undefined && isExcluded(path)));
    }
  }

  function* all(): Generator<Found, void> {
    const others = outside
      .filter(({ name }) => within === null || within.some((one) => isWithin(`database:${name}`, one)))
      .flatMap((source) => look(source.path, source.location ?? '', source) ?? [])
      .toSorted((a, b) => comparePaths(a.path, b.path));
    for (const found of inside()) {
      while (others[0] !== undefined && comparePaths(others[0].path, found.path) < 0) yield* others.splice(0, 1);
      yield found;
    }
    yield* others;
  }
  return { found: all(), problems, leftovers };
}

function placeOf(top: Wanted, path: string): Wanted {
  let place = top;
  for (const name of path === '' ? [] : path.split('/')) {
    const next: Wanted = place.below.get(name) ?? { below: new Map(), isTree: false, database: null };
    place.below.set(name, next);
    place = next;
  }
  return place;
}

function isDatabase(absolute: string, source: ManifestSource): boolean {
  const stat = lstatSync(absolute, { bigint: true, throwIfNoEntry: false });
  return stat !== undefined && describe(source.path, absolute, stat, source).database !== null;
}
