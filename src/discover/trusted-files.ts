// Reads files that will be executed, and says why one must not be: it lies elsewhere, everybody may write it, or a stranger owns it.
import { hash, createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { failure, messageOf, type Failure } from '../model/failure.ts';

export interface Trust {
  /** Real path that everything has to lie in. */
  readonly within: string;
  /** User ids whose files may be run; `null` where we are not root, and a file can do no more than its owner. */
  readonly owners: ReadonlySet<number> | null;
}

export interface TrustedFile {
  /** Hex. */
  readonly sha256: string;
  /** `null` where the bytes are not UTF-8 or were not wanted. */
  readonly bytes: Buffer | null;
}

export const stepBytesLimit = 16 * 1024 ** 2;

/** Root trusts itself and whoever owns `upgrade.yaml`: its commands are run as root, too. */
export function trustOf(configFile: string, migrations: string): Trust {
  const isRoot = process.geteuid?.() === 0;
  return { within: migrations, owners: isRoot ? new Set([0, statSync(configFile).uid]) : null };
}

/** Problems of a folder or file that was looked at. */
export function ownershipProblems(file: string, { mode, uid }: Stats, { owners }: Trust): readonly Failure[] {
  const problems: Failure[] = [];
  if ((mode & 0o002) !== 0)
    problems.push(failure('UNSAFE_MODE', { file, mode: (mode & 0o7777).toString(8).padStart(4, '0') }, { place: { file } }));
  if (owners !== null && !owners.has(uid)) {
    problems.push(
      failure(
        'UNSAFE_OWNER',
        { file, owner: `user ${uid}`, trusted: [...owners].map((owner) => (owner === 0 ? 'root' : `user ${owner}`)).join(' or ') },
        { place: { file } },
      ),
    );
  }
  return problems;
}

/** `limit` is for files that are kept in memory; others (`null`) are hashed in pieces. */
export function readTrusted(
  file: string,
  isLink: boolean,
  trust: Trust,
  limit: number | null,
): { readonly read: TrustedFile | null; readonly problems: readonly Failure[] } {
  const place = { place: { file } };
  let descriptor: number | null = null;
  try {
    const real = isLink ? realpathSync(file) : file;
    if (isLink && !isWithin(trust.within, real)) return { read: null, problems: [failure('UNSAFE_LINK', { file, target: real }, place)] };
    // Not following, so that what was looked at is what is read; not blocking, in case it became a pipe meanwhile.
    descriptor = openSync(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = fstatSync(descriptor);
    if (!stats.isFile())
      return {
        read: null,
        problems: [failure('FILE_NOT_PLAIN', { file, kind: stats.isDirectory() ? 'a folder' : 'a device or a pipe' }, place)],
      };
    const problems = ownershipProblems(file, stats, trust);
    if (limit === null) return { read: { sha256: hashInPieces(descriptor), bytes: null }, problems };
    if (stats.size > limit)
      return { read: null, problems: [...problems, failure('FILE_TOO_LARGE', { file, bytes: stats.size, limit }, place)] };
    const bytes = readWhole(descriptor, stats.size);
    return { read: { sha256: hash('sha256', bytes, 'hex'), bytes }, problems };
  } catch (error) {
    return { read: null, problems: [failure('FILE_UNREADABLE', { file, error: messageOf(error) }, place)] };
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** The text without a byte order mark, or what is wrong with it. */
export function textOf(bytes: Buffer, file: string): string | Failure {
  // Fatal decoding is the test for UTF-8; it drops the mark by itself.
  try {
    return decoder.decode(bytes);
  } catch {
    return failure('FILE_NOT_TEXT', { file }, { place: { file } });
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function readWhole(descriptor: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const count = readSync(descriptor, bytes, filled, size - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

function hashInPieces(descriptor: number): string {
  const digest = createHash('sha256');
  const piece = Buffer.allocUnsafe(64 * 1024);
  for (let count = readSync(descriptor, piece); count > 0; count = readSync(descriptor, piece)) digest.update(piece.subarray(0, count));
  return digest.digest('hex');
}

export function isWithin(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}
