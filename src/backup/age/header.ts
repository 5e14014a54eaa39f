// The header of an age file: who can open it. Made and read by the age-encryption package, which is loaded only here.
import type { FileHandle } from 'node:fs/promises';
import type { Identity } from 'age-encryption';
import { parseRecipient } from '../../model/age-recipient.ts';

/** What opens an age file: the text of an age identity, or one of another kind. */
export type KeyToTry = string | Identity;

export interface Header {
  readonly bytes: number;
  readonly fileKey: Uint8Array;
}

/** Of what was given, nothing opens the file. */
export class NoKeyFits extends Error {}

export async function makeHeader(recipients: readonly string[]): Promise<{ readonly header: Buffer; readonly fileKey: Uint8Array }> {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const text of recipients) {
    const recipient = parseRecipient(text);
    if ('problem' in recipient) throw new TypeError(`"${text}" is not ${recipient.problem}`);
    if (recipient.kind === 'age') encrypter.addRecipient(recipient.text);
    else encrypter.addRecipient((await import('./ssh-ed25519.ts')).sshRecipient(recipient.publicKey));
  }
  // The package keeps the key to itself; a recipient is shown it, and this one wraps nothing.
  let fileKey: Uint8Array = new Uint8Array();
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const empty = await encrypter.encrypt(new Uint8Array());
  return { header: Buffer.from(empty.subarray(0, empty.length - emptyPayload)), fileKey };
}

/** Salt and the tag of one empty chunk. */
const emptyPayload = 32;
/** Room for some forty recipients of the largest kind. */
const largest = 64 << 10;

/** Throws NoKeyFits, and a TypeError for what is no age file. */
export async function readHeader(file: Pick<FileHandle, 'read'>, keys: readonly KeyToTry[]): Promise<Header> {
  const start = Buffer.alloc(largest);
  const { bytesRead } = await file.read(start, 0, largest, 0);
  const mac = start.subarray(0, bytesRead).indexOf('\n--- ');
  const end = start.subarray(0, bytesRead).indexOf('\n', mac + 1) + 1;
  if (mac < 0 || end === 0 || !start.toString('latin1', 0, 22).startsWith('age-encryption.org/v1\n'))
    throw new TypeError('it is no file that age made');
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const key of keys) decrypter.addIdentity(key);
  try {
    return { bytes: end, fileKey: await decrypter.decryptHeader(Uint8Array.from(start.subarray(0, end))) };
  } catch (error) {
    if (error instanceof Error && /no identity matched/.test(error.message)) throw new NoKeyFits(error.message, { cause: error });
    throw new TypeError(`its age header is damaged: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
