// Writes and reads `<id>.manifest.json`. A manifest that was read is safe to follow: its paths stay inside the root, no two are one, nothing lies behind a link.
import { createHash, hash as hashOnce } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { fail, messageOf } from '../model/failure.ts';
import { hasContent, readManifestShape, type Manifest } from '../model/manifest.ts';
import { foldersAbove } from './names.ts';
import { dumpsFolder, outsideFolder } from './sources.ts';

export type UnsignedManifest = Omit<Manifest, 'sha256'>;

/** One entry a line, so that people and line tools can read it; the last line holds the SHA-256 of all before it. */
export function* manifestText(manifest: UnsignedManifest): Generator<string> {
  const hash = createHash('sha256');
  const { entries, ...head } = manifest;
  let pending = `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "entries": [`;
  let separator = '\n';
  for (const entry of entries) {
    pending += `${separator}    ${JSON.stringify(entry)}`;
    separator = ',\n';
    if (pending.length < 1 << 18) continue;
    hash.update(pending);
    yield pending;
    pending = '';
  }
  pending += '\n  ],\n';
  hash.update(pending);
  yield `${pending}  "sha256": "${hash.digest('hex')}"\n}\n`;
}

/** Throws BACKUP_MISSING, BACKUP_FORMAT_NEWER, and BACKUP_CORRUPT for one that was damaged or made to do harm. */
export async function readManifest({ id, manifest: path }: { readonly id: string; readonly manifest: string }): Promise<Manifest> {
  const corrupt = (problem: string, cause?: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem }, {}, cause);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw fail('BACKUP_MISSING', { id, path });
    throw corrupt(messageOf(error), error);
  });
  const value = parseJson(text, corrupt);
  const format = typeof value === 'object' && value !== null && 'formatVersion' in value ? value.formatVersion : undefined;
  if (typeof format === 'number' && format > 1) throw fail('BACKUP_FORMAT_NEWER', { id, found: String(format) });

  const end = text.lastIndexOf('  "sha256"');
  const shape = await readManifestShape(value);
  if ('problem' in shape) throw corrupt(`the manifest is damaged: ${shape.problem}`);
  const { manifest } = shape;
  if (hashOnce('sha256', text.slice(0, Math.max(0, end))) !== manifest.sha256) throw corrupt('the manifest is not as it was written');
  const problem = problemOf(manifest, id);
  if (problem !== null) throw corrupt(`the manifest is not safe to follow: ${problem}`);
  return manifest;
}

function parseJson(text: string, corrupt: (problem: string, cause: unknown) => Error): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw corrupt('the manifest is no JSON', error);
  }
}

/** No frame that we write is larger than 2 MiB. */
const largestFrame = 64 << 20;

function problemOf({ id, archive, entries, sources }: Manifest, wanted: string): string | null {
  if (id !== wanted) return `it belongs to backup ${id}`;
  if (archive.file !== `${id}.tar.zst`) return `it names another archive, ${archive.file}`;
  if (archive.frames.some(([bytes, tarBytes]) => tarBytes > largestFrame || bytes > archive.bytes))
    return 'a part of the archive is larger than any that we write';
  if (
    sum(archive.frames.map(([bytes]) => bytes)) !== archive.bytes ||
    sum(archive.frames.map(([, tarBytes]) => tarBytes)) !== archive.tarBytes
  )
    return 'its sizes contradict each other';
  for (const { path, location } of sources) {
    if (!isInside(path) || (location !== null && !isAbsolute(location))) return `the source "${path}" leads out of the root`;
  }

  const types = new Map<string, string>();
  let last = -1;
  for (const entry of entries) {
    const { path, type } = entry;
    if (!isInside(path)) return `"${path}" leads out of the root`;
    if (types.has(path)) return `"${path}" is listed twice`;
    const isOutside = type === 'database' && entry.location !== null;
    if (type === 'postgres' && path !== `${dumpsFolder}/${entry.name}.dump`) return `"${path}" is not where dumps lie`;
    if (
      isOutside
        ? path !== `${outsideFolder}/${entry.name}` || !isAbsolute(entry.location ?? '')
        : type !== 'postgres' && !foldersAbove(path).every((folder) => types.get(folder) === 'dir')
    ) {
      return `"${path}" does not lie in folders that are listed before it`;
    }
    if (type === 'hardlink' && types.get(entry.target) !== 'file')
      return `"${path}" is a hard link to "${entry.target}", which is no file of this backup`;
    if (hasContent(entry)) {
      if (entry.at <= last || entry.at >= archive.tarBytes || entry.size > archive.tarBytes) return `"${path}" lies nowhere in the archive`;
      last = entry.at;
    }
    types.set(path, type);
  }
  return null;
}

function isInside(path: string): boolean {
  return path === '' || (!path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
