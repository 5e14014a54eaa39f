// Finds out, for some thousand paths at a time and ahead of the packing, what is to be known of them before they are read: whether they need be read at
// all, their extended attributes, and where files with holes have their data.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { ManifestEntry } from '../model/manifest.ts';
import type { ToPack } from './archive-writer.ts';
import { readAttributes } from './attributes.ts';
import { beside, isSampled, isUntouched } from './basis.ts';
import { hashFile } from './hash-file.ts';
import type { OpenManifest } from './manifest-file.ts';
import { toBytes } from './names.ts';
import type { Found } from './scan.ts';
import { piecesOf } from './sparse.ts';

export interface Preparation {
  /** Of the backup that is made. */
  readonly id: string;
  readonly root: string;
  readonly basis: OpenManifest | null;
  /** Set, and everything ended, when a file that looked untouched was not. */
  lie: string | null;
  /** Unset when this system cannot tell of extended attributes. */
  hasAttributes: boolean;
}

type Joined = Omit<ToPack, 'xattrs' | 'pieces'>;

/** Each batch starts a process or two. */
const batchSize = 2048;
/** Holes in smaller files are packed: compressed, they are nothing. */
const sparseFrom = 1 << 20;

export async function* prepare(found: Iterable<Found>, preparation: Preparation): AsyncGenerator<ToPack, void> {
  const joined = beside(found, preparation.basis?.entries ?? []);
  let ahead = nextBatch(joined, preparation);
  for (;;) {
    const batch = await ahead;
    if (batch.length === 0 || preparation.lie !== null) return;
    ahead = nextBatch(joined, preparation);
    // Whoever awaits it next is told.
    ahead.catch(() => undefined);
    yield* batch;
  }
}

async function nextBatch(joined: ReturnType<typeof beside>, preparation: Preparation): Promise<readonly ToPack[]> {
  const { root, basis, id } = preparation;
  const batch: Joined[] = [];
  for (let next = joined.next(); next.done !== true; next = joined.next()) {
    const { found, entry } = next.value;
    const earlier = entry === null ? null : placed(entry, basis?.id ?? '');
    const looksUntouched = isUntouched(found, entry);
    if (looksUntouched && isSampled(id, found.path) && (await isLie(root, found, entry))) {
      preparation.lie = found.path;
      return [];
    }
    batch.push({ found, earlier, isUntouched: looksUntouched });
    if (batch.length === batchSize) break;
  }
  const toRead = batch.filter((item) => !item.isUntouched && item.found.type !== 'special' && isInside(item.found));
  const absolute = (item: Joined): string => join(root, item.found.path);
  const sparse = toRead.filter(({ found }) => found.isSparse && found.size >= sparseFrom && found.database === null);
  const [attributes, pieces] = await Promise.all([
    preparation.hasAttributes ? readAttributes(toRead.map(absolute)) : null,
    piecesOf(sparse.map(absolute)),
  ]);
  if (attributes === null) preparation.hasAttributes = false;
  return batch.map((item) => {
    const path = absolute(item);
    const known = pieces.get(path);
    return { ...item, xattrs: attributes?.get(path), pieces: known?.size === item.found.size ? known.pieces : undefined };
  });
}

/** What was in the archive of the earlier backup itself lies, for the new one, in another's. */
function placed(entry: ManifestEntry, basisId: string): ToPack['earlier'] {
  const isStored = 'sha256' in entry || entry.type === 'hardlink';
  return isStored && entry.in === undefined ? { ...entry, in: basisId } : entry;
}

/** A database that lies outside has its own place; a dump has none. */
function isInside({ database }: Found): boolean {
  return database === null || (database.kind === 'database' && database.location === null);
}

/** Read in full, and still the same file afterwards, but not the same contents. */
async function isLie(root: string, found: Found, entry: ManifestEntry | null): Promise<boolean> {
  if (entry?.type !== 'file') return false;
  const file = join(root, found.path);
  const sha256 = await hashFile(file).catch(() => null);
  if (sha256 === null || sha256 === entry.sha256) return false;
  return lstatSync(toBytes(file), { bigint: true, throwIfNoEntry: false })?.ctimeNs === BigInt(found.ctime);
}
