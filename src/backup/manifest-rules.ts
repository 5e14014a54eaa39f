// Whether a manifest is safe to follow, whoever wrote it: the head at once, the entries one by one.
import { isAbsolute } from 'node:path';
import { hasContent, type ArchiveInfo, type ContentEntry, type ManifestEntry, type ManifestHead } from '../model/manifest.ts';
import { bytesOf, comparePaths, isWithin } from './names.ts';
import { commandsFolder, dumpsFolder, outsideFolder, volumesFolder } from './sources.ts';

/** No frame that we write is larger than 2 MiB. */
const largestFrame = 64 << 20;

export function headProblem({ id, archive, archives, sources, encryption }: ManifestHead, wanted: string): string | null {
  if (id !== wanted) return `it belongs to backup ${id}`;
  const all = [{ id, ...archive }, ...archives];
  if (new Set(all.map((one) => one.id)).size !== all.length) return 'it lists an archive twice';
  for (const one of all) {
    if (one.file !== `${one.id}.tar.zst` && !(encryption !== null && one.file === `${one.id}.tar.zst.age`))
      return `it names another archive, ${one.file}`;
    const problem = archiveProblem(one);
    if (problem !== null) return problem;
  }
  // The keys to earlier archives are gone.
  if (encryption !== null && archives.length > 0) return 'it is encrypted, and yet not whole';
  for (const { path, kind, name, location } of sources) {
    if (!isInside(path) || (location !== null && !isAbsolute(location))) return `the source "${path}" leads out of the root`;
    if (kind === 'volume' && path !== `${volumesFolder}/${name}`) return `"${path}" is not where volumes lie`;
  }
  return null;
}

function archiveProblem({ frames, bytes, tarBytes }: ArchiveInfo): string | null {
  if (frames.some(([packed, unpacked]) => unpacked > largestFrame || packed > bytes))
    return 'a part of the archive is larger than any that we write';
  if (frames.some(([packed, unpacked]) => packed === 0 || unpacked === 0)) return 'a part of the archive is empty';
  const isWhole = sum(frames.map(([packed]) => packed)) === bytes && sum(frames.map(([, unpacked]) => unpacked)) === tarBytes;
  return isWhole ? null : 'its sizes contradict each other';
}

/** Entries come in the order of their paths, so nothing but the folders above the present one and the hard links has to be remembered. */
export function entryRules({ id, archive, archives, sources, totals }: ManifestHead): {
  readonly check: (entry: ManifestEntry) => string | null;
  /** Looks through the entries once more where there are hard links. */
  readonly end: (entries: Iterable<ManifestEntry>) => string | null;
} {
  const tarBytes = new Map([[id, archive.tarBytes], ...archives.map((one) => [one.id, one.tarBytes] as const)]);
  const volumes = new Set(sources.flatMap(({ kind, path }) => (kind === 'volume' ? [path] : [])));
  const folders: string[] = [];
  const links = new Map<string, string>();
  let previous: string | null = null;
  let count = 0;
  let last = -1;

  const check = (entry: ManifestEntry): string | null => {
    const { path, type } = entry;
    if (!isInside(path)) return `"${path}" leads out of the root`;
    const impossible = impossibleIn(entry);
    if (impossible !== null) return `"${path.slice(0, 100)}" ${impossible}`;
    const place = placeOf(entry);
    if (place !== null && path !== place) return `"${path}" is not where such a copy lies`;
    for (let above = folders.at(-1); above !== undefined && !isWithin(path, above); above = folders.at(-1)) folders.pop();
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (place === null && !volumes.has(path) && parent !== '' && parent !== folders.at(-1))
      return `"${path}" does not lie in folders that are listed before it`;
    if (previous !== null && comparePaths(previous, path) >= 0) return `"${path}" is listed twice, or not in its place`;
    previous = path;
    count += 1;
    if (type === 'dir' && path !== '') folders.push(path);
    if (type === 'hardlink') links.set(path, entry.target);
    if (!hasContent(entry)) return null;
    if (!isInArchive(entry, tarBytes.get(entry.in ?? id))) return `"${path}" lies nowhere in the archive`;
    if (entry.in !== undefined && entry.in !== id) return null;
    if (entry.at <= last) return `"${path}" lies nowhere in the archive`;
    last = entry.at;
    return null;
  };
  const end = (entries: Iterable<ManifestEntry>): string | null => {
    if (count !== totals.entries) return `it lists ${count} entries instead of ${totals.entries}`;
    if (links.size === 0) return null;
    const targets = new Set(links.values());
    const files = new Set<string>();
    for (const { type, path } of entries) if (type === 'file' && targets.has(path)) files.add(path);
    const [wrong] = [...links].find(([path, target]) => !files.has(target) || comparePaths(target, path) >= 0) ?? [];
    return wrong === undefined ? null : `"${wrong}" is a hard link to "${links.get(wrong)}", which is no file of this backup`;
  };
  return { check, end };
}

/** No file system has larger files, and to hash the zeros of one takes for ever. */
const largestFile = 2 ** 44;
/** -1 leaves the owner as it is. */
const largestOwner = 2 ** 32 - 2;

/** What no system could set: it would be found out in the middle of a restore. */
function impossibleIn(entry: ManifestEntry): string | null {
  const { path, uid, gid, xattrs } = entry;
  if (path.length > 4095 || isTooLong(path)) return 'is too long for a name';
  if (uid > largestOwner || gid > largestOwner) return 'belongs to nobody';
  if (entry.type === 'link' && (entry.target === '' || entry.target.length > 4095 || entry.target.includes('\0')))
    return 'links to what is no path';
  if (hasContent(entry) && entry.size > largestFile) return 'is larger than any file';
  if (xattrs === undefined || Object.keys(xattrs).every((name) => /^(user|trusted|security|system)\.[^\0]{1,255}$/s.test(name)))
    return null;
  return 'has attributes of no kind that there is';
}

function isTooLong(path: string): boolean {
  // Most are short: one character has at most three bytes in UTF-16's units.
  return path.length > 85 && path.split('/').some((part) => part.length > 85 && bytesOf(part).length > 255);
}

/** Where copies lie that are no file of the installation under their own path. */
function placeOf(entry: ManifestEntry): string | null {
  if (entry.type === 'postgres') return `${dumpsFolder}/${entry.name}.dump`;
  if (entry.type === 'command') return `${commandsFolder}/${entry.name}`;
  return entry.type === 'database' && entry.location !== null && isAbsolute(entry.location) ? `${outsideFolder}/${entry.name}` : null;
}

function isInArchive(entry: ContentEntry, tarBytes: number | undefined): boolean {
  if (tarBytes === undefined || entry.at >= tarBytes) return false;
  if (entry.type !== 'file' || entry.pieces === undefined) return entry.size <= tarBytes;
  let end = 0;
  let stored = 0;
  for (const [offset, length] of entry.pieces) {
    if (offset < end) return false;
    end = offset + length;
    stored += length;
  }
  return end <= entry.size && stored <= tarBytes;
}

function isInside(path: string): boolean {
  return path === '' || (!path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
