// The shape of `<id>.manifest.json`, formats 1 and 2: everything that a backup holds, entry by entry. Paths are checked by `src/backup/manifest-file.ts`.
import * as z from 'zod/mini';

const count = z.number().check(z.int(), z.nonnegative());
const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const nanoseconds = z.string().check(z.regex(/^-?\d{1,20}$/));

const backupId = z.string().check(z.regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/));

const common = {
  /** Relative to the root, `/` between parts; the empty path is the root itself. Bytes that are not UTF-8 are lone surrogates U+DC80 to U+DCFF. */
  path: z.string(),
  /** Permission bits with setuid, setgid and sticky. */
  mode: z.number().check(z.int(), z.nonnegative(), z.maximum(0o7777)),
  uid: count,
  gid: count,
  /** Nanoseconds since 1970. */
  mtime: nanoseconds,
  /** Extended attributes, ACLs among them (`system.posix_acl_access`), in base64. Those of a hard link are with its target. */
  xattrs: z.optional(z.record(z.string(), z.string().check(z.regex(/^[0-9A-Za-z+/]*={0,2}$/)))),
};

/** What identified the live file when it was read: one that is still the same need not be read again. `null` where it had been written to just before. */
const seen = z.strictObject({ dev: z.string(), ino: z.string(), ctime: nanoseconds });

const content = {
  size: count,
  sha256: digest,
  /** The backup in whose archive it lies; left out for this one's own. */
  in: z.optional(backupId),
  /** Where its header starts in the unpacked tar. */
  at: count,
};

const tableDigest = z.strictObject({ rows: count, digest });

export const logicalDigestSchema = z.strictObject({ schema: digest, tables: z.record(z.string(), tableDigest), digest });

export const manifestEntrySchema = z.discriminatedUnion('type', [
  z.strictObject({ ...common, type: z.literal('dir') }),
  z.strictObject({
    ...common,
    ...content,
    type: z.literal('file'),
    /** It had holes. */
    sparse: z.optional(z.boolean()),
    /** Where its data are: offset and length of each piece. Only these lie in the archive, the rest are zeros. Left out where all of it does. */
    pieces: z.optional(z.array(z.tuple([count, count]))),
    seen: z.nullable(seen),
  }),
  /** `in` as of its target. */
  z.strictObject({ ...common, type: z.literal('hardlink'), target: z.string(), in: z.optional(backupId) }),
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
  /** What a command of the config printed; its path is only that in the archive. `state`: the digest by which it is compared, where it has one. */
  z.strictObject({ ...common, ...content, type: z.literal('command'), name: z.string(), state: z.nullable(digest) }),
  /** Sockets, FIFOs and devices are listed and not packed. */
  z.strictObject({ ...common, type: z.literal('special'), kind: z.enum(['socket', 'fifo', 'character device', 'block device']) }),
]);

export const manifestSourceSchema = z.strictObject({
  path: z.string(),
  /**
   * `tree` is walked; a `database` (SQLite) may lie outside the root; `postgres` is dumped; a `volume` (Docker) is a tree of its own under its path;
   * a `command` is one entry, what it printed.
   */
  kind: z.enum(['tree', 'database', 'postgres', 'volume', 'command']),
  name: z.nullable(z.string()),
  location: z.nullable(z.string()),
});

const archive = z.strictObject({
  file: z.string(),
  sha256: digest,
  bytes: count,
  tarBytes: count,
  /** Independent zstd frames, one after the other: bytes in the archive and in the tar. */
  frames: z.array(z.tuple([count, count])),
});

const shared = {
  format: z.literal('rungs-backup'),
  id: backupId,
  product: z.string(),
  version: z.nullable(z.string()),
  runId: z.nullable(z.string()),
  createdAt: z.string(),
  root: z.string(),
  sources: z.array(manifestSourceSchema),
  exclude: z.array(z.string()),
  archive,
  /** Files, hard links and databases; bytes of their contents. */
  totals: z.strictObject({ files: count, bytes: count, entries: count }),
  entries: z.array(manifestEntrySchema),
  /** Over every byte of this file before this key. */
  sha256: digest,
};

/** Written before 0.2: whole backups only. */
export const backupManifestV1Schema = z.strictObject({ ...shared, formatVersion: z.literal(1) });

export const backupManifestSchema = z.strictObject({
  ...shared,
  formatVersion: z.literal(2),
  /** Whether nothing that is in it could change while it was made. */
  simultaneous: z.boolean(),
  /** The backup that it continues, and how many there are between it and the last whole one, itself included. `null` for a whole one. */
  basis: z.nullable(z.strictObject({ id: backupId, depth: z.number().check(z.int(), z.positive()) })),
  /** What was noticed while it was made, for people. */
  warnings: z.array(z.string()),
  /** Whether extended attributes are in it: what an entry does not list it did not have. Left out where nobody knows. */
  attributes: z.optional(z.boolean()),
  /** Where the archive file is encrypted: to whom, and what the file is then. `archive` describes what is inside. */
  encryption: z.nullable(z.strictObject({ format: z.literal('age'), recipients: z.array(z.string()), sha256: digest, bytes: count })),
  /** Of other backups, the archives that entries of this one lie in: with them and this file alone it can be restored. */
  archives: z.array(z.strictObject({ id: backupId, ...archive.shape })),
});

const sealedFile = z.strictObject({ file: z.string(), bytes: count, sha256: digest });

/** What is in the clear of an encrypted backup. Names, sizes and hashes of what it holds are in the encrypted manifest only. */
export const sealedManifestSchema = z.strictObject({
  format: z.literal('rungs-encrypted-backup'),
  formatVersion: z.literal(1),
  id: z.string().check(z.regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$/)),
  createdAt: z.string(),
  /** age recipients, as the config has them. */
  recipients: z.array(z.string()),
  archive: sealedFile,
  manifest: sealedFile,
});
export type SealedManifest = z.infer<typeof sealedManifestSchema>;
