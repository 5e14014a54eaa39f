// Public keys that a backup can be encrypted to, read far enough to know that each is one: age's own, and those of SSH (Ed25519).
import { bech32 } from '@scure/base';

export type Recipient =
  | { readonly kind: 'age'; readonly text: string }
  | { readonly kind: 'ssh-ed25519'; readonly text: string; readonly publicKey: Uint8Array };

/** Bytes of a key by the prefix of its text. */
const lengths: Readonly<Record<string, number>> = { age: 32, age1pq: 1216, age1tag: 33, age1tagpq: 1249 };

/** The recipient, or what is wrong with it. */
export function parseRecipient(text: string): Recipient | { readonly problem: string } {
  const [type = '', blob = ''] = text.trim().split(/\s+/);
  if (type === 'ssh-ed25519') {
    const publicKey = sshEd25519Key(Buffer.from(blob, 'base64'));
    return publicKey === null ? { problem: 'a whole ssh-ed25519 public key' } : { kind: 'ssh-ed25519', text: text.trim(), publicKey };
  }
  if (type.startsWith('ssh-') || type.startsWith('ecdsa-') || type.startsWith('sk-'))
    return { problem: `an age recipient (age1…) or an ssh-ed25519 key; to keys of the kind ${type} nothing is encrypted` };
  if (text.toUpperCase().startsWith('AGE-SECRET-KEY-'))
    return { problem: 'a public key (age1…): this one is secret, and belongs nowhere on this host' };
  const decoded = bech32.decodeUnsafe(text.trim(), false);
  const length = decoded === undefined ? undefined : lengths[decoded.prefix];
  const bytes = decoded === undefined ? undefined : bech32.fromWordsUnsafe(decoded.words);
  if (!text.startsWith('age1') || length === undefined || bytes?.length !== length) return { problem: 'a whole age recipient (age1…)' };
  return { kind: 'age', text: text.trim() };
}

/** Out of the bytes of a public key as SSH writes it: two fields, each with its length before it. */
function sshEd25519Key(blob: Buffer): Uint8Array | null {
  const name = 'ssh-ed25519';
  const isWhole =
    blob.length === 4 + name.length + 4 + 32 &&
    blob.readUInt32BE(0) === name.length &&
    blob.toString('latin1', 4, 4 + name.length) === name &&
    blob.readUInt32BE(4 + name.length) === 32;
  return isWhole ? new Uint8Array(blob.subarray(-32)) : null;
}
