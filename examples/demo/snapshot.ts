// Facts of every path below a folder, to prove that two states of an installation are the same.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface PathFacts {
  readonly type: 'file' | 'folder' | 'link' | 'other';
  /** Permission bits, octal: `644`. Empty for links, which have none of their own. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file, else 0. */
  readonly size: number;
  /** SHA-256 of a file's content, hex, else empty. */
  readonly sha256: string;
  /** Where a link points, else empty. */
  readonly target: string;
}

/** Paths relative to the root, `/` between parts, sorted; the root itself is `.`. */
export type Snapshot = ReadonlyMap<string, PathFacts>;

// State and run files are not part of what is upgraded; the database's bytes change with every checkpoint while its rows do not.
const leftOut = new Set(['.upgrade', 'run', 'data/app.db-wal', 'data/app.db-shm']);
const withoutBytes = new Set(['data/app.db']);

export async function snapshotOf(root: string): Promise<Snapshot> {
  const facts = new Map<string, PathFacts>();
  await visit('.');
  return new Map([...facts].toSorted(([a], [b]) => (a < b ? -1 : 1)));

  async function visit(path: string): Promise<void> {
    facts.set(path, await factsOf(join(root, path), !withoutBytes.has(path)));
    if (facts.get(path)?.type !== 'folder') return;
    const names = await readdir(join(root, path));
    const children = names.map((name) => (path === '.' ? name : `${path}/${name}`)).filter((child) => !leftOut.has(child));
    await Promise.all(children.map(visit));
  }
}

/** One digest over all facts: equal digests, equal trees. */
export function digestOf(snapshot: Snapshot): string {
  const hash = createHash('sha256');
  for (const entry of snapshot) hash.update(`${JSON.stringify(entry)}\n`);
  return hash.digest('hex');
}

/** One line for each path that is not the same: `created a`, `gone b`, `c: mode 644 → 600`. Empty when the trees are equal. */
export function differencesBetween(before: Snapshot, after: Snapshot): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return paths.flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)];
    if (old === undefined) return [`created ${path}`];
    if (now === undefined) return [`gone ${path}`];
    const keys: readonly (keyof PathFacts)[] = ['type', 'mode', 'uid', 'gid', 'size', 'sha256', 'target'];
    const changed = keys.filter((key) => old[key] !== now[key]).map((key) => `${key} ${old[key]} → ${now[key]}`);
    return changed.length === 0 ? [] : [`${path}: ${changed.join(', ')}`];
  });
}

async function factsOf(path: string, hasBytes: boolean): Promise<PathFacts> {
  const stats = await lstat(path);
  const mode = (stats.mode & 0o7777).toString(8).padStart(3, '0');
  const common = { mode, uid: stats.uid, gid: stats.gid, size: 0, sha256: '', target: '' };
  if (stats.isSymbolicLink()) return { ...common, type: 'link', mode: '', target: await readlink(path) };
  if (stats.isDirectory()) return { ...common, type: 'folder' };
  if (!stats.isFile()) return { ...common, type: 'other' };
  if (!hasBytes) return { ...common, type: 'file' };
  return {
    ...common,
    type: 'file',
    size: stats.size,
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  };
}
