// File names are bytes, ours are strings: a byte that is not UTF-8 becomes a lone surrogate (U+DC80 to U+DCFF), as in Python, and comes back exactly.
import { readdirSync, readlinkSync } from 'node:fs';

/** The path as the file system wants it: a string wherever a string can say it. */
export function toBytes(path: string): string | Buffer {
  return path.isWellFormed() ? path : bytesOf(path);
}

export function bytesOf(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path);
  return Buffer.concat(
    Array.from(path, (character) => {
      const code = character.charCodeAt(0);
      return character.length === 1 && code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character);
    }),
  );
}

export function nameOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\uFFFD') || Buffer.from(text).equals(bytes)) return text;
  let name = '';
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((size) => isCharacter(bytes.subarray(at, at + size), size)) ?? 0;
    name += length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0)) : bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return name;
}

function isCharacter(bytes: Buffer, size: number): boolean {
  const text = bytes.toString('utf8');
  return bytes.length === size && Array.from(text).length === 1 && Buffer.from(text).equals(bytes);
}

/** Names in a folder, in the order of their code units. */
export function namesIn(folder: string): readonly string[] {
  const names = readdirSync(toBytes(folder));
  const exact = names.some((name) => name.includes('\uFFFD')) ? readdirSync(toBytes(folder), { encoding: 'buffer' }).map(nameOf) : names;
  return exact.toSorted(byCodeUnits);
}

export function linkTargetOf(link: string): string {
  const target = readlinkSync(toBytes(link));
  return target.includes('\uFFFD') ? nameOf(readlinkSync(toBytes(link), { encoding: 'buffer' })) : target;
}

/** Parents come before what is in them, siblings stay together. */
export function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return comparePaths(a.path, b.path);
}

/** By code units, "/" before all others. */
export function comparePaths(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return at === length ? a.length - b.length : rank(a, at) - rank(b, at);
}

function rank(path: string, at: number): number {
  const code = path.charCodeAt(at);
  return code === 0x2f ? 0 : code;
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `a/b/c` gives `a` and `a/b`; of the empty path, which is the root, nothing. */
export function foldersAbove(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}
