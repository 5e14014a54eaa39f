// Ladders: what another tool recorded of one, what lies on disk, and the baseline that the journal keeps.
import type { Finding } from './plan.ts';

/** A step that another tool recorded as applied. */
export interface RecordedStep {
  readonly number: number;
  /** The script's id, or the name or file name that was recorded. */
  readonly name: string;
  /** As it was recorded; `null` where the tool keeps no time. */
  readonly appliedAt: string | null;
  /** SHA-256 of the file, hex; `null` where the tool keeps none. */
  readonly sha256: string | null;
}

/** A step as it lies on disk. */
export interface LadderFile {
  readonly number: number;
  readonly name: string;
  /** Absolute. */
  readonly file: string;
  /** What the index says of it. */
  readonly description?: string | null;
}

/** In the order in which they are climbed. */
export interface LadderOnDisk {
  readonly files: readonly LadderFile[];
  readonly problems: readonly Finding[];
}

/**
 * The shapes of record that are known, by what marks them: `numbered` (`schema_migrations` with `migration_number` and `filename`), `named` (with
 * `version` and `name`), `versions` (with `version` alone), `history` (`migrations` with `migration_history`), and node-pg-migrate's and knex's.
 */
export type RecordShape = 'numbered' | 'named' | 'versions' | 'history' | 'pgmigrations' | 'knex';

export type BookkeepingSource =
  | { readonly kind: 'index'; readonly file: string }
  | {
      readonly kind: 'sqlite';
      readonly file: string;
      readonly database: string;
      readonly shape: RecordShape;
      readonly tables: readonly string[];
    }
  | {
      readonly kind: 'postgres';
      /** `host:port/database` */
      readonly server: string;
      readonly database: string;
      readonly shape: RecordShape;
      readonly tables: readonly string[];
    };

/** What another tool says of a ladder. A step that failed or was rolled back is not applied. */
export interface Bookkeeping {
  /** `null`: the tool's table is not there. */
  readonly source: BookkeepingSource | null;
  /** In the order in which they were climbed. */
  readonly applied: readonly RecordedStep[];
  readonly problems: readonly Finding[];
}

/** Where Rungs took a ladder over. */
export interface LadderBaseline {
  readonly ladder: string;
  /** The number of the last step that was applied; 0: none was. */
  readonly height: number;
  /** `null`: no tool recorded it, somebody said so (`upgrade baseline`). */
  readonly source: BookkeepingSource | null;
  readonly adoptedAt: string;
  /** SHA-256 over what was recorded then: whether the old record still says the same. */
  readonly fingerprint: string;
}

/** An applied step whose file was edited afterwards, and taken as it is by somebody's word. */
export interface AcceptedChecksum {
  readonly ladder: string;
  readonly number: number;
  readonly was: string;
  readonly now: string;
  readonly acceptedAt: string;
}

/** A step of a ladder that is applied now. */
export interface LadderStep {
  readonly ladder: string;
  readonly number: number;
  readonly name: string;
  readonly sha256: string | null;
  /** `null`: it was there before Rungs. */
  readonly runId: string | null;
  readonly appliedAt: string;
}
