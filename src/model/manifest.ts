// What a backup holds, entry by entry: the types of `<id>.manifest.json`, and the reading of its values.
import type * as z from 'zod/mini';
import type {
  backupManifestSchema,
  logicalDigestSchema,
  manifestEntrySchema,
  manifestSourceSchema,
} from '../../schemas/backup-manifest.ts';

/** Of format 2; what was written in format 1 is read as if it were. */
export type Manifest = z.infer<typeof backupManifestSchema>;
/** All but the entries, which may be too many to be held. */
export type ManifestHead = Omit<Manifest, 'entries'>;
export type ManifestEntry = z.infer<typeof manifestEntrySchema>;
export type ManifestSource = z.infer<typeof manifestSourceSchema>;
export type ArchiveInfo = Manifest['archive'];
/** What a database says, whatever its pages look like: equal digests are equal contents. */
export type LogicalDigest = z.infer<typeof logicalDigestSchema>;
export type EntryOf<T extends ManifestEntry['type']> = Extract<ManifestEntry, { type: T }>;
/** Those whose bytes are in an archive. */
export type ContentEntry = EntryOf<'file'> | EntryOf<'database'> | EntryOf<'postgres'> | EntryOf<'command'>;

export function hasContent(entry: ManifestEntry): entry is ContentEntry {
  return entry.type === 'file' || entry.type === 'database' || entry.type === 'postgres' || entry.type === 'command';
}

type Read<T> = { readonly value: T } | { readonly problem: string };

/** zod is loaded only here, so that commands that read no backup do not pay for it. */
export async function loadManifestShapes(): Promise<{
  readonly head: (value: object) => Read<ManifestHead>;
  readonly entry: (value: unknown, index: number) => Read<ManifestEntry>;
}> {
  const schemas = await import('../../schemas/backup-manifest.ts');
  return {
    head: (value) => {
      if (!('formatVersion' in value && value.formatVersion === 1)) return read(schemas.backupManifestSchema, { ...value, entries: [] });
      const old = read(schemas.backupManifestV1Schema, { ...value, entries: [] });
      if ('problem' in old) return old;
      const added = { simultaneous: true, basis: null, warnings: [], encryption: null, archives: [] };
      return { value: { ...old.value, ...added, formatVersion: 2 } };
    },
    entry: (value, index) => (isPlainFile(value) ? { value } : read(schemas.manifestEntrySchema, value, `entries.${index}.`)),
  };
}

function read<T>(schema: z.ZodMiniType<T>, value: unknown, at = ''): Read<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  return { problem: issue === undefined ? 'it has another shape' : `${at}${issue.path.join('.')}: ${issue.message}` };
}

/**
 * What nearly every entry of a large backup is, exactly as the schema has it. zod takes longer for such an entry than a comparison for the file itself.
 * Says no to anything that it does not know, which zod then judges.
 */
function isPlainFile(value: unknown): value is EntryOf<'file'> {
  if (!isObject(value) || value['type'] !== 'file' || !isSeen(value['seen'])) return false;
  for (const key in value) if (!plainKeys.has(key)) return false;
  const { path, mode, uid, gid, mtime, size, sha256, at, in: other, sparse } = value;
  return (
    typeof path === 'string' &&
    isCount(mode) &&
    mode <= 0o7777 &&
    isCount(uid) &&
    isCount(gid) &&
    isTime(mtime) &&
    isCount(size) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    isCount(at) &&
    (other === undefined || (typeof other === 'string' && /^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/.test(other))) &&
    (sparse === undefined || typeof sparse === 'boolean')
  );
}

const plainKeys = new Set(['path', 'mode', 'uid', 'gid', 'mtime', 'type', 'size', 'sha256', 'in', 'at', 'sparse', 'seen']);

function isSeen(value: unknown): boolean {
  if (value === null) return true;
  if (!isObject(value) || typeof value['dev'] !== 'string' || typeof value['ino'] !== 'string' || !isTime(value['ctime'])) return false;
  return Object.keys(value).length === 3;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value);
}
