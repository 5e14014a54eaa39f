// The keys that open encrypted backups: those of the files that somebody names, and one of our own for each backup that a run may still need.
// Ours lies in `state/keys/<id>.txt` as an age identity file, from before the first byte of the backup is written until nobody can need it: see decision 0027.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, messageOf } from '../../model/failure.ts';
import { hasCode } from '../aside.ts';
import { syncFolder, writeDurably } from '../durable.ts';
import { NoKeyFits, readHeader, type KeyToTry } from './header.ts';
import { readIdentities, type NamedKey } from './identity-files.ts';

export interface KeyRing {
  /** Everything that might open the backup. Throws IDENTITY_UNREADABLE. */
  keysOf(id: string): Promise<readonly KeyToTry[]>;
  /** Whether anybody has named a key. */
  readonly hasNamedKeys: boolean;
  /** Makes and keeps our own key for a backup; gives its recipient. */
  makeKey(id: string): Promise<string>;
  /** Deletes all of ours but those of these backups. */
  forget(except: ReadonlySet<string>): Promise<void>;
  /** Remembers which of the named keys opens this file: their recipients are no mere names any more. */
  noteProof(archive: string): Promise<void>;
  /** Of these recipients, those that nobody has proven to hold the key of. */
  unproven(recipients: readonly string[]): readonly string[];
}

export function createKeyRing(state: string, identityFiles: readonly string[]): KeyRing {
  const dir = join(state, 'keys');
  const proofs = join(state, 'proven-recipients.json');
  let named: Promise<readonly NamedKey[]> | null = null;
  const namedKeys = (): Promise<readonly NamedKey[]> => (named ??= readIdentities(identityFiles));
  const fileOf = (id: string): string => join(dir, `${id}.txt`);

  return {
    hasNamedKeys: identityFiles.length > 0,
    keysOf: async (id) => [...ownKey(fileOf(id)), ...(await namedKeys()).map(({ key }) => key)],
    makeKey: async (id) => {
      const { generateIdentity, identityToRecipient } = await import('age-encryption');
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      // An attempt that was killed may have written an archive to the key that is there.
      const identity = ownKey(fileOf(id))[0] ?? (await generateIdentity());
      const recipient = await identityToRecipient(identity);
      await writeDurably(
        fileOf(id),
        `# opens the backup ${id}; deleted when no run needs it any more\n# public key: ${recipient}\n${identity}\n`,
      );
      return recipient;
    },
    forget: async (except) => {
      const names = namesIn(dir).filter((name) => !except.has(name.replace(/\.txt(\.partial)?$/, '')));
      for (const name of names) rmSync(join(dir, name), { force: true });
      if (names.length > 0) await syncFolder(dir);
    },
    noteProof: async (archive) => {
      const known = provenIn(proofs);
      const found: string[] = [];
      const file = await open(archive, 'r');
      try {
        for (const { key, recipient } of await namedKeys()) if (await opens(file, key)) found.push(recipient);
      } finally {
        await file.close();
      }
      if (found.every((recipient) => known.includes(recipient))) return;
      mkdirSync(state, { recursive: true, mode: 0o700 });
      await writeDurably(proofs, `${JSON.stringify([...new Set([...known, ...found])].toSorted(), null, 2)}\n`);
    },
    unproven: (recipients) => {
      const known = new Set(provenIn(proofs));
      return recipients.filter((recipient) => !known.has(plainRecipient(recipient)));
    },
  };
}

/** Without the comment of an SSH key. */
function plainRecipient(text: string): string {
  return text.trim().split(/\s+/).slice(0, 2).join(' ');
}

function ownKey(file: string): readonly string[] {
  try {
    return /^AGE-SECRET-KEY-1\S+$/m.exec(readFileSync(file, 'latin1')) ?? [];
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw fail('IDENTITY_UNREADABLE', { file, problem: messageOf(error) }, {}, error);
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** A list that cannot be read proves nothing: the warning is given once more. */
function provenIn(file: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

async function opens(file: Parameters<typeof readHeader>[0], key: KeyToTry): Promise<boolean> {
  try {
    await readHeader(file, [key]);
    return true;
  } catch (error) {
    if (error instanceof NoKeyFits) return false;
    throw error;
  }
}
