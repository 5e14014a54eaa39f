// What `ctx.batches` needs of a database, whichever kind it is: rows page by page in the order of a key, and commits that carry how far it is.
import type { BatchKeyProblem } from '../../model/failures/steps.ts';
import type { SqlRow, SqlValue } from '../../step-api.ts';

export interface BatchSource<Handle> {
  readonly db: Handle;
  /** What the rows are told apart by. */
  readonly key: readonly string[];
  /** Tells one query from another. */
  readonly fingerprint: string;
  /** What the last commit of this half kept; `undefined` where there was none. */
  readonly saved: () => Promise<unknown>;
  readonly begin: () => Promise<void>;
  /** How many rows there are. Refuses a key that is NULL somewhere, or the same twice. */
  readonly count: () => Promise<number>;
  /** Rows behind a key, in its order. */
  readonly page: (after: readonly SqlValue[] | null, size: number) => Promise<Page>;
  /** Outside a transaction: from now on, a statement of this connection that changes a key fails, where that can be had. */
  readonly watchKey: () => Promise<void>;
  readonly unwatchKey: () => Promise<void>;
  /** Whether an error of a statement says that it would have changed a key. */
  readonly isKeyChange: (error: unknown) => boolean;
  /** Commits this database alone, with a value. */
  readonly commit: (value: unknown) => Promise<void>;
  /** Back to the last commit. */
  readonly rollback: () => Promise<void>;
}

export interface Page {
  readonly rows: readonly SqlRow[];
  /** Of the last row; `null` where there is none. */
  readonly last: readonly SqlValue[] | null;
}

export interface SourceRefusals {
  readonly query: (problem: string) => never;
  readonly key: (problem: BatchKeyProblem) => never;
}
