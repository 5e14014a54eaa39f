// Writes and reads `<id>.manifest.json`, entry by entry, however many there are. A manifest that was read is safe to follow: its paths stay inside the root, no two are one, nothing lies behind a link.
import { createHash, hash as hashOnce } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail, messageOf } from '../model/failure.ts';
import { loadManifestShapes, type Manifest, type ManifestEntry, type ManifestHead } from '../model/manifest.ts';
import { createEncrypted } from './age/encrypted-file.ts';
import type { KeyRing } from './age/key-ring.ts';
import { syncFolder } from './durable.ts';
import { entryRules, headProblem } from './manifest-rules.ts';
import { readSealed, sealProblem, unsealManifest } from './sealed-manifest.ts';

/** What is known before the first entry, and what only after the last. */
export type ManifestStart = Omit<ManifestHead, keyof ManifestEnd | 'sha256'>;
export type ManifestEnd = Pick<ManifestHead, 'archive' | 'archives' | 'totals' | 'warnings' | 'attributes' | 'simultaneous' | 'encryption'>;

/** A manifest whose entries are read anew from its text each time that they are asked for. */
export interface OpenManifest extends ManifestHead {
  /** In the order of `byPath`. */
  readonly entries: Iterable<ManifestEntry>;
}

export interface ManifestWriter {
  /** In the order of `byPath`. */
  add(entry: ManifestEntry): Promise<void>;
  /** Synced, with its folder, when it resolves; only then it has its name. */
  finish(end: ManifestEnd): Promise<ManifestHead>;
  /** Lets go of the file, whatever became of it. */
  close(): Promise<void>;
}

const chunkSize = 1 << 18;

/**
 * One entry a line, so that people and line tools can read it; the last line holds the SHA-256 of all before it. Passes through `<file>.partial`. With
 * recipients, what is on disk is encrypted to them.
 */
export async function createManifestWriter(
  file: string,
  start: ManifestStart,
  recipients: readonly string[] = [],
): Promise<ManifestWriter> {
  const partial = `${file}.partial`;
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  const encrypted = recipients.length === 0 ? null : await createEncrypted(handle, recipients);
  let position = 0;
  const append = async (bytes: Buffer): Promise<void> => {
    if (encrypted === null) await handle.appendFile(bytes);
    else await encrypted.write(bytes, 0, bytes.length, position);
    position += bytes.length;
  };
  const hash = createHash('sha256');
  let pending = `${JSON.stringify(start, null, 2).slice(0, -2)},\n  "entries": [`;
  let separator = '\n';
  const flush = async (): Promise<void> => {
    const bytes = Buffer.from(pending);
    pending = '';
    hash.update(bytes);
    await append(bytes);
  };
  return {
    add: async (entry) => {
      pending += `${separator}    ${JSON.stringify(entry)}`;
      separator = ',\n';
      if (pending.length >= chunkSize) await flush();
    },
    finish: async (end) => {
      pending += `\n  ],\n${JSON.stringify(end, null, 2).slice(2, -2)},\n`;
      await flush();
      const sha256 = hash.digest('hex');
      await append(Buffer.from(`  "sha256": "${sha256}"\n}\n`));
      await encrypted?.end();
      await handle.sync();
      await rename(partial, file);
      await syncFolder(dirname(file));
      return { ...start, ...end, sha256 };
    },
    close: () => handle.close(),
  };
}

/** With all entries at once; for backups of any size, `openManifest`. */
export async function readManifest(which: Which): Promise<Manifest> {
  const manifest = await openManifest(which);
  return { ...manifest, entries: [...manifest.entries] };
}

interface Which {
  readonly id: string;
  readonly manifest: string;
  /** Needed for one that is encrypted. */
  readonly keys?: KeyRing | undefined;
}

/** Throws BACKUP_MISSING, BACKUP_ENCRYPTED, BACKUP_FORMAT_NEWER, and BACKUP_CORRUPT for one that was damaged or made to do harm. */
export async function openManifest(which: Which): Promise<OpenManifest> {
  return manifestIn(await readManifestText(which), { id: which.id, path: which.manifest });
}

/** The text as it was written, decrypted where it has to be; not yet checked. */
export async function readManifestText({ id, manifest: path, keys }: Which): Promise<Buffer> {
  const corrupt = (problem: string, cause?: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem }, {}, cause);
  const clear = await readFile(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw fail('BACKUP_MISSING', { id, path });
    throw corrupt(messageOf(error), error);
  });
  const sealed = await sealedIn(clear, id, corrupt);
  return sealed === null ? clear : unsealManifest(sealed, path, { id, keys });
}

/** The manifest of the backup `id` in a text. `path` is named where it is refused. Throws BACKUP_FORMAT_NEWER and BACKUP_CORRUPT. */
export async function manifestIn(text: Buffer, { id, path }: { readonly id: string; readonly path: string }): Promise<OpenManifest> {
  const corrupt = (problem: string, cause?: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem }, {}, cause);
  const begin = text.indexOf('\n  "entries": [');
  const from = text.indexOf('[', begin) + 1;
  const to = text.indexOf('\n  ]', from);
  const value = parseJson(
    begin < 0 || to < 0 ? text.toString() : `${text.toString('utf8', 0, from)}${text.toString('utf8', to + 1)}`,
    corrupt,
  );
  const format = 'formatVersion' in value ? value.formatVersion : undefined;
  if (typeof format === 'number' && format > 2) throw fail('BACKUP_FORMAT_NEWER', { id, found: String(format) });

  const shapes = await loadManifestShapes();
  const head = shapes.head(value);
  if ('problem' in head) throw corrupt(`the manifest is damaged: ${head.problem}`);
  const signed = text.subarray(0, Math.max(0, text.lastIndexOf('  "sha256"')));
  if (hashOnce('sha256', signed) !== head.value.sha256) throw corrupt('the manifest is not as it was written');
  const unsafe = (problem: string): Error => corrupt(`the manifest is not safe to follow: ${problem}`);
  const wrong = headProblem(head.value, id);
  if (wrong !== null) throw unsafe(wrong);

  const lines = text.subarray(from, Math.max(from, to));
  const entries = {
    *[Symbol.iterator](): Generator<ManifestEntry> {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each of them is checked below
      for (const batch of batches(lines, corrupt)) yield* batch as ManifestEntry[];
    },
  };
  const rules = entryRules(head.value);
  let index = 0;
  for (const one of entries) {
    const entry = shapes.entry(one, index);
    if ('problem' in entry) throw corrupt(`the manifest is damaged: ${entry.problem}`);
    const problem = rules.check(entry.value);
    if (problem !== null) throw unsafe(problem);
    index += 1;
  }
  const problem = rules.end(entries);
  if (problem !== null) throw unsafe(problem);
  return { ...head.value, entries };
}

/** As many lines at a time as are parsed well together. */
function* batches(lines: Buffer, corrupt: (problem: string, cause: unknown) => Error): Generator<readonly unknown[]> {
  for (let at = 0; at < lines.length;) {
    const end = at + chunkSize >= lines.length ? lines.length : lines.indexOf('\n', at + chunkSize);
    const stop = end < 0 ? lines.length : end;
    const part = lines.toString('utf8', at, stop).trim().replace(/,$/, '');
    at = stop + 1;
    const batch = part === '' ? [] : parseJson(`[${part}]`, corrupt);
    if (Array.isArray(batch)) yield batch;
  }
}

/** Whether an encrypted backup is as it was written, which takes no key. Throws BACKUP_CORRUPT; gives false where it is not encrypted. */
export async function verifySealed({ id, manifest: path }: Which): Promise<boolean> {
  const corrupt = (problem: string, cause?: unknown): Error => fail('BACKUP_CORRUPT', { id, path, problem }, {}, cause);
  const text = await readFile(path).catch((error: unknown) => {
    throw corrupt(messageOf(error), error);
  });
  const sealed = await sealedIn(text, id, corrupt);
  const problem = sealed === null ? null : await sealProblem(sealed, dirname(path));
  if (problem !== null) throw corrupt(problem);
  return sealed !== null;
}

async function sealedIn(text: Buffer, id: string, corrupt: (problem: string, cause: unknown) => Error): ReturnType<typeof readSealed> {
  try {
    return await readSealed(text, id);
  } catch (error) {
    throw corrupt(messageOf(error), error);
  }
}

function parseJson(text: string, corrupt: (problem: string, cause: unknown) => Error): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    throw corrupt('the manifest is no JSON', error);
  }
  throw corrupt('the manifest is no JSON', undefined);
}
