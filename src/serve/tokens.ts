// The tokens of the status API: a file each in `state/tokens`, with the SHA-256 of 256 random bits and never the token itself. A plain hash is
// enough for what nobody can guess, and it is checked at every request. Made and taken back beside a server that runs: it sees both at once.
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod/mini';
import { fail, messageOf } from '../model/failure.ts';

export const scopes = ['read', 'logs', 'metrics'] as const;
export type Scope = (typeof scopes)[number];

const tokenFile = z.object({
  name: z.string(),
  sha256: z.string(),
  scopes: z.array(z.enum(scopes)),
  createdAt: z.string(),
  expiresAt: z.nullable(z.string()),
});
export type TokenRecord = Readonly<z.infer<typeof tokenFile>>;

const prefix = 'rungs_';

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** ISO 8601 */
  readonly expiresAt: string | null;
}

/** Gives the token, which nobody can get to see again. Throws TOKEN_NAME, TOKEN_EXISTS. */
export function createToken(
  state: string,
  { name, scopes: allowed, expiresAt }: NewToken,
): { readonly token: string; readonly record: TokenRecord } {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) throw fail('TOKEN_NAME', { name });
  const token = `${prefix}${randomBytes(32).toString('base64url')}`;
  const record: TokenRecord = { name, sha256: hashOf(token), scopes: [...allowed], createdAt: new Date().toISOString(), expiresAt };
  const folder = folderOf(state);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `${name}.json`);
  const beside = `${file}.${randomBytes(4).toString('hex')}.partial`;
  try {
    writeFileSync(beside, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: 'wx', flush: true });
    // Unlike a rename it does not take the place of one that is there.
    linkSync(beside, file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fail('TOKEN_EXISTS', { name });
    throw error;
  } finally {
    rmSync(beside, { force: true });
  }
  syncFolder(folder);
  return { token, record };
}

/** By name. Throws TOKEN_FOLDER. */
export function listTokens(state: string): readonly TokenRecord[] {
  const folder = folderOf(state);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.uid !== process.getuid?.() && found.uid !== 0) throw fail('TOKEN_FOLDER', { folder, why: 'it belongs to somebody else' });
  if ((found.mode & 0o022) !== 0) throw fail('TOKEN_FOLDER', { folder, why: 'others may write into it' });
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .flatMap((file) => readToken(path.join(folder, file)));
}

/** Throws TOKEN_UNKNOWN. */
export function revokeToken(state: string, name: string): void {
  const known = listTokens(state).map((token) => token.name);
  if (!known.includes(name)) throw fail('TOKEN_UNKNOWN', { name, known });
  rmSync(path.join(folderOf(state), `${name}.json`), { force: true });
  syncFolder(folderOf(state));
}

export type TokenVerdict = { readonly record: TokenRecord } | { readonly why: 'missing' | 'unknown' | 'expired' };

/** Checks the header `Authorization`. The files are read again when the folder has changed. */
export function createTokenCheck(state: string): (header: string | undefined) => TokenVerdict {
  const folder = folderOf(state);
  let mark = '';
  let known = new Map<string, TokenRecord>();
  return (header) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? [];
    if (token === undefined) return { why: 'missing' };
    const found = statSync(folder, { bigint: true, throwIfNoEntry: false });
    // One that was made in the same tick of the file system's clock as it was looked at is looked at again.
    const isSettled = found !== undefined && BigInt(Date.now()) * 1_000_000n - found.mtimeNs > 50_000_000n;
    const now = found === undefined ? 'none' : `${found.ino}:${found.mtimeNs}:${found.mode}`;
    if (now !== mark || !isSettled) {
      known = new Map(listTokens(state).map((record) => [record.sha256, record]));
      mark = isSettled ? now : '';
    }
    // Found by its hash: how long that takes tells nothing of the token.
    const record = known.get(hashOf(token));
    if (record === undefined) return { why: 'unknown' };
    return record.expiresAt !== null && Date.parse(record.expiresAt) <= Date.now() ? { why: 'expired' } : { record };
  };
}

function readToken(file: string): readonly TokenRecord[] {
  try {
    const parsed = z.safeParse(tokenFile, JSON.parse(readFileSync(file, 'utf8')));
    if (parsed.success) return [parsed.data];
    throw fail('TOKEN_FOLDER', { folder: path.dirname(file), why: `${path.basename(file)} is no token` });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []; // Taken back at this moment.
    if (error instanceof SyntaxError)
      throw fail('TOKEN_FOLDER', { folder: path.dirname(file), why: `${path.basename(file)}: ${messageOf(error)}` });
    throw error;
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function folderOf(state: string): string {
  return path.join(state, 'tokens');
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
