// What a backup holds, entry by entry: the types of `<id>.manifest.json`, and the reading of its text.
import type * as z from 'zod/mini';
import type {
  backupManifestSchema,
  logicalDigestSchema,
  manifestEntrySchema,
  manifestSourceSchema,
} from '../../schemas/backup-manifest.ts';

export type Manifest = z.infer<typeof backupManifestSchema>;
export type ManifestEntry = z.infer<typeof manifestEntrySchema>;
export type ManifestSource = z.infer<typeof manifestSourceSchema>;
/** What a database says, whatever its pages look like: equal digests are equal contents. */
export type LogicalDigest = z.infer<typeof logicalDigestSchema>;
export type EntryOf<T extends ManifestEntry['type']> = Extract<ManifestEntry, { type: T }>;
/** Those whose bytes are in the archive. */
export type ContentEntry = EntryOf<'file'> | EntryOf<'database'> | EntryOf<'postgres'>;

export function hasContent(entry: ManifestEntry): entry is ContentEntry {
  return entry.type === 'file' || entry.type === 'database' || entry.type === 'postgres';
}

/** The manifest in a JSON value, or what is wrong with it. zod is loaded only here, so that commands that read no backup do not pay for it. */
export async function readManifestShape(value: unknown): Promise<{ readonly manifest: Manifest } | { readonly problem: string }> {
  const { backupManifestSchema: schema } = await import('../../schemas/backup-manifest.ts');
  const parsed = schema.safeParse(value);
  if (parsed.success) return { manifest: parsed.data };
  const issue = parsed.error.issues[0];
  return { problem: issue === undefined ? 'it has another shape' : `${issue.path.join('.')}: ${issue.message}` };
}
