// Reads what opens an encrypted backup out of files that people name: identity files of age, and SSH private keys (Ed25519).
import { readFile } from 'node:fs/promises';
import { fail, messageOf } from '../../model/failure.ts';
import type { KeyToTry } from './header.ts';

const largest = 1 << 20;

export interface NamedKey {
  readonly key: KeyToTry;
  /** What is encrypted to so that this key opens it. */
  readonly recipient: string;
}

/** Throws IDENTITY_UNREADABLE. What the files hold is in no message. */
export async function readIdentities(files: readonly string[]): Promise<readonly NamedKey[]> {
  const keys = await Promise.all(files.map(readOne));
  return keys.flat();
}

async function readOne(file: string): Promise<readonly NamedKey[]> {
  const unreadable = (problem: string, cause?: unknown): Error => fail('IDENTITY_UNREADABLE', { file, problem }, {}, cause);
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    throw unreadable(messageOf(error), error);
  });
  if (text.length > largest) throw unreadable('it is too large for a key');
  if (text.startsWith('age-encryption.org/v1') || text.includes('-----BEGIN AGE ENCRYPTED FILE-----'))
    throw unreadable('it is itself encrypted with a passphrase');
  if (text.includes('-----BEGIN OPENSSH PRIVATE KEY-----')) {
    const seed = seedOf(text);
    if (typeof seed === 'string') throw unreadable(seed);
    const { sshIdentity, sshRecipientText } = await import('./ssh-ed25519.ts');
    return [{ key: sshIdentity(seed), recipient: sshRecipientText(seed) }];
  }
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw unreadable('of SSH keys only Ed25519 ones open backups');
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const strange = lines.findIndex((line) => !/^AGE-SECRET-KEY-(PQ-)?1[02-9AC-HJ-NP-Z]+$/.test(line.trim()));
  if (lines.length === 0) throw unreadable('it holds no key');
  if (strange >= 0) throw unreadable('it holds a line that is neither an age identity (AGE-SECRET-KEY-1…) nor a comment');
  const { identityToRecipient } = await import('age-encryption');
  return Promise.all(
    lines.map(async (line) => {
      const recipient = await identityToRecipient(line.trim()).catch((error: unknown) => {
        throw unreadable('one of its keys is damaged', error);
      });
      return { key: line.trim(), recipient };
    }),
  );
}

/** The seed of an Ed25519 key in OpenSSH's own format, or what is wrong with it. */
function seedOf(text: string): Uint8Array | string {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END OPENSSH PRIVATE KEY-----/.exec(text)?.[1] ?? '';
  const bytes = Buffer.from(body, 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return 'it is no whole SSH key';
  const next = fields(bytes, magic.length);
  try {
    const [cipher] = [next().toString('latin1'), next(), next()];
    if (cipher !== 'none') return 'this SSH key is protected by a passphrase';
    const count = next(4).readUInt32BE(0);
    next();
    const secret = fields(next(), 0);
    const [first, second] = [secret(4), secret(4)];
    const kind = secret().toString('latin1');
    if (kind !== 'ssh-ed25519') return `of SSH keys only Ed25519 ones open backups, and this is ${kind}`;
    secret();
    const key = secret();
    if (count !== 1 || !first.equals(second) || key.length !== 64) return 'it is no whole SSH key';
    return new Uint8Array(key.subarray(0, 32));
  } catch (error) {
    return error instanceof RangeError ? 'it is no whole SSH key' : messageOf(error);
  }
}

/** The next field, whose length is before it where none is given. */
function fields(bytes: Buffer, start: number): (length?: number) => Buffer {
  let at = start;
  return (length) => {
    const size = length ?? bytes.readUInt32BE(at);
    if (length === undefined) at += 4;
    if (at + size > bytes.length) throw new RangeError('the key ends early');
    at += size;
    return bytes.subarray(at - size, at);
  };
}
