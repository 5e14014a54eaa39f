// The shape of `<id>.manifest.json`: everything that a backup holds, entry by entry. Paths are checked by `src/backup/manifest-file.ts`.
import * as z from 'zod/mini';

const count = z.number().check(z.int(), z.nonnegative());
const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const nanoseconds = z.string().check(z.regex(/^-?\d{1,20}$/));

const common = {
  /** Relative to the root, `/` between parts; the empty path is the root itself. Bytes that are not UTF-8 are lone surrogates U+DC80 to U+DCFF. */
  path: z.string(),
  /** Permission bits with setuid, setgid and sticky. */
  mode: z.number().check(z.int(), z.nonnegative(), z.maximum(0o7777)),
  uid: count,
  gid: count,
  /** Nanoseconds since 1970. */
  mtime: nanoseconds,
};

/** What identified the live file when it was read: one that is still the same need not be read again. `null` where it had been written to just before. */
const seen = z.strictObject({ dev: z.string(), ino: z.string(), ctime: nanoseconds });

const content = {
  size: count,
  sha256: digest,
  /** Where its header starts in the unpacked tar. */
  at: count,
};

const tableDigest = z.strictObject({ rows: count, digest });

export const logicalDigestSchema = z.strictObject({ schema: digest, tables: z.record(z.string(), tableDigest), digest });

export const manifestEntrySchema = z.discriminatedUnion('type', [
  z.strictObject({ ...common, type: z.literal('dir') }),
  z.strictObject({ ...common, ...content, type: z.literal('file'), sparse: z.boolean(), seen: z.nullable(seen) }),
  z.strictObject({ ...common, type: z.literal('hardlink'), target: z.string() }),
  z.strictObject({ ...common, type: z.literal('link'), target: z.string() }),
  /** A consistent copy of a SQLite database; `location` where it lies outside the root. */
  z.strictObject({
    ...common,
    ...content,
    type: z.literal('database'),
    name: z.string(),
    location: z.nullable(z.string()),
    logical: logicalDigestSchema,
  }),
  /** A dump of a PostgreSQL database (`pg_dump -Fc`); its path is only that in the archive. */
  z.strictObject({ ...common, ...content, type: z.literal('postgres'), name: z.string(), logical: logicalDigestSchema }),
  /** Sockets, FIFOs and devices are listed and not packed. */
  z.strictObject({ ...common, type: z.literal('special'), kind: z.enum(['socket', 'fifo', 'character device', 'block device']) }),
]);

export const manifestSourceSchema = z.strictObject({
  path: z.string(),
  /** `tree` is walked; a `database` (SQLite) may lie outside the root; `postgres` is dumped. */
  kind: z.enum(['tree', 'database', 'postgres']),
  name: z.nullable(z.string()),
  location: z.nullable(z.string()),
});

export const backupManifestSchema = z.strictObject({
  format: z.literal('rungs-backup'),
  formatVersion: z.literal(1),
  id: z.string().check(z.regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/)),
  product: z.string(),
  version: z.nullable(z.string()),
  runId: z.nullable(z.string()),
  createdAt: z.string(),
  root: z.string(),
  sources: z.array(manifestSourceSchema),
  exclude: z.array(z.string()),
  archive: z.strictObject({
    file: z.string(),
    sha256: digest,
    bytes: count,
    tarBytes: count,
    /** Independent zstd frames, one after the other: bytes in the archive and in the tar. */
    frames: z.array(z.tuple([count, count])),
  }),
  /** Files, hard links and databases; bytes of their contents. */
  totals: z.strictObject({ files: count, bytes: count, entries: count }),
  entries: z.array(manifestEntrySchema),
  /** Over every byte of this file before this key. */
  sha256: digest,
});
