// What `import … from 'rungs'` gives to a step: `defineStep` and the types of everything a step is handed.
import type { parseDocument } from 'yaml';

/** What a step file exports as its default. Durations are `500ms`, `30s`, `10m`, `2h`; sizes are `200MB`, `2GB`. */
export interface StepDefinition {
  readonly description?: string;
  /** Services to restart after it; `*` is all. */
  readonly requiresRestart?: readonly string[];
  readonly breaking?: boolean;
  readonly estimatedDuration?: string;
  readonly timeout?: string;
  /** Most memory that the step's processes may use together. */
  readonly memory?: string;
  /** Safe to run again when its outcome is unknown. */
  readonly idempotent?: boolean;
  /** Paths that it changes and that the backup must hold, relative to the root. */
  readonly backup?: readonly string[];
  /** Tells whether the step is applied now. Must not change anything. */
  readonly check?: (ctx: StepContext) => StepState | Promise<StepState>;
  readonly forward: (ctx: StepContext) => unknown;
  /** May be missing where only `files` and databases are used. */
  readonly backward?: (ctx: StepContext) => unknown;
}

export type StepState = 'applied' | 'not-applied' | 'partial';

export interface StepContext {
  /** Installation root, absolute. */
  readonly root: string;
  /** Versions of the step's transition, in the direction in which it runs. */
  readonly from: string;
  readonly to: string;
  /** `v0.1.0_to_v0.2.0/001_add_email` */
  readonly step: string;
  readonly runId: string;
  readonly direction: 'forward' | 'backward';
  /** Aborted on timeout and on cancelling; the step has a few seconds to end. */
  readonly signal: AbortSignal;
  readonly log: StepLog;
  /** Shows how far it is. Cheap to call in a loop. */
  readonly progress: (done: number, total?: number, note?: string) => void;
  readonly exec: StepExec;
  /** A SQLite database of upgrade.yaml by its name. One transaction per database and step. */
  readonly sqlite: (name: string) => SqliteHandle;
  /** A PostgreSQL database of upgrade.yaml by its name. One transaction per database and step. */
  readonly postgres: (name: string) => PostgresHandle;
  readonly files: StepFiles;
  readonly checkpoint: Checkpoint;
  /** Changes many rows, some at a time: see `Batches`. */
  readonly batches: Batches;
}

export interface StepLog {
  (...parts: readonly unknown[]): void;
  readonly info: (...parts: readonly unknown[]) => void;
  readonly warn: (...parts: readonly unknown[]) => void;
  readonly error: (...parts: readonly unknown[]) => void;
  readonly debug: (...parts: readonly unknown[]) => void;
}

export interface ExecOptions {
  /** Relative to the root. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** `false`: an exit code other than 0 is returned instead of thrown. */
  readonly reject?: boolean;
}

export interface ExecResult {
  readonly exitCode: number;
  /** The last MiB of each; all of it is in the run's log. */
  readonly stdout: string;
  readonly stderr: string;
}

export type StepExec = (command: string, args?: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

export type SqlValue = null | number | bigint | string | Uint8Array;
export type SqlRow = Record<string, SqlValue>;
/** One after the other, as one array, or by name as one object. */
export type SqlParameters = readonly (SqlValue | readonly SqlValue[] | Readonly<Record<string, SqlValue>>)[];

export interface SqliteHandle {
  /** One statement or several, without parameters. */
  readonly exec: (sql: string) => Promise<void>;
  readonly run: (sql: string, ...parameters: SqlParameters) => Promise<{ readonly changes: number; readonly lastInsertRowid: number }>;
  readonly get: <Row = SqlRow>(sql: string, ...parameters: SqlParameters) => Promise<Row | undefined>;
  readonly all: <Row = SqlRow>(sql: string, ...parameters: SqlParameters) => Promise<readonly Row[]>;
  readonly iterate: <Row = SqlRow>(sql: string, ...parameters: SqlParameters) => AsyncIterable<Row>;
}

export type PostgresRow = Record<string, unknown>;

export interface PostgresHandle {
  /** One statement or several, without parameters. */
  readonly exec: (sql: string) => Promise<void>;
  /** One statement; parameters are `$1`, `$2`… */
  readonly query: <Row = PostgresRow>(sql: string, parameters?: readonly unknown[]) => Promise<readonly Row[]>;
  readonly get: <Row = PostgresRow>(sql: string, parameters?: readonly unknown[]) => Promise<Row | undefined>;
  readonly run: (sql: string, parameters?: readonly unknown[]) => Promise<{ readonly rowCount: number }>;
  /** Row by row, by a cursor: memory stays flat. Not over a `checkpoint.save`, which ends the transaction. */
  readonly iterate: <Row = PostgresRow>(sql: string, parameters?: readonly unknown[]) => AsyncIterable<Row>;
}

export interface Checkpoint {
  /** What an earlier, interrupted attempt saved last; `undefined` in the first. */
  readonly value: unknown;
  /** Commits what was done so far together with the value (JSON), so that each batch takes effect exactly once. */
  readonly save: (value: unknown) => Promise<void>;
}

/**
 * Hands the rows of a query to `change`, at most `size` (1 to 100,000) at a time, in the order of their key. Each batch is committed together with how far it is:
 * a step that is interrupted goes on at the first batch that was not, so every row is handed over in exactly one committed batch, whether or not the
 * changes make it match the query no longer. Rows that others insert meanwhile with a higher key are gone through too, those with a lower key are not.
 * What `change` throws fails the step and takes back that batch alone. Throws STEP_BATCHES_… for what could not be exact.
 */
export type Batches = <Row = SqlRow, Handle extends SqliteHandle | PostgresHandle = SqliteHandle>(
  query: BatchQuery,
  size: number,
  change: (rows: readonly Row[], batch: Batch<Handle>) => unknown,
) => Promise<BatchesResult>;

/** As text: a SELECT on the only database there is. */
export type BatchQuery = string | BatchTable | BatchSelect;

interface BatchOptions {
  /** May be left out where there is only one. */
  readonly database?: string;
  /** For the `?` (PostgreSQL: `$1`) of the condition or the SELECT. */
  readonly parameters?: readonly SqlValue[];
  /** Never NULL, different in each row, and not to be changed. By default the primary key, else the rowid. */
  readonly key?: string | readonly string[];
  /** Under which it is remembered how far it is; by default its place among the step's calls, so that their order must not change. */
  readonly name?: string;
}

export interface BatchTable extends BatchOptions {
  /** Or a view, with `key`. As it is stored; in PostgreSQL perhaps with its schema: `public.users`. */
  readonly table: string;
  /** What follows WHERE. */
  readonly where?: string;
  /** All by default; the key's are always among them. */
  readonly columns?: readonly string[];
}

export interface BatchSelect extends BatchOptions {
  /** Without LIMIT and OFFSET. */
  readonly sql: string;
}

export interface Batch<Handle = SqliteHandle> {
  /** The query's database: what is changed through it is committed with the batch. */
  readonly db: Handle;
  /** From 1, over all attempts. */
  readonly batch: number;
  /** Rows of the batches before, over all attempts. */
  readonly done: number;
  /** Rows that there were when it began. */
  readonly total: number;
}

export interface BatchesResult {
  /** Over all attempts. */
  readonly rows: number;
  readonly batches: number;
  /** Rows that earlier, interrupted attempts had done; `null` in the first. */
  readonly resumedAt: number | null;
}

export interface StepFiles {
  readonly read: (path: string) => Promise<string>;
  readonly readBytes: (path: string) => Promise<Uint8Array>;
  readonly exists: (path: string) => Promise<boolean>;
  /** Names in a folder, sorted. */
  readonly list: (folder: string) => Promise<readonly string[]>;
  /** Atomic; keeps mode and owner of a file that is there. Makes missing folders. */
  readonly write: (path: string, content: string | Uint8Array, options?: { readonly mode?: number }) => Promise<void>;
  readonly append: (path: string, content: string | Uint8Array) => Promise<void>;
  /** Comments and order are kept. */
  readonly updateYaml: (path: string, change: (doc: YamlDocument) => unknown) => Promise<void>;
  /** `change` may alter what it is given or return another value. Indentation is kept. */
  readonly updateJson: <Value = Record<string, unknown>>(path: string, change: (value: Value) => unknown) => Promise<void>;
  /** `null` removes a key. Comments and order are kept. */
  readonly updateEnv: (path: string, change: EnvChange | ((values: Readonly<Record<string, string>>) => EnvChange)) => Promise<void>;
  readonly move: (from: string, to: string) => Promise<void>;
  readonly copy: (from: string, to: string) => Promise<void>;
  /** A file, a link, or a folder with all that is in it. Nothing happens where nothing is. */
  readonly remove: (path: string) => Promise<void>;
  readonly mkdir: (path: string, options?: { readonly mode?: number }) => Promise<void>;
  readonly chmod: (path: string, mode: number) => Promise<void>;
  readonly symlink: (target: string, path: string) => Promise<void>;
}

/** Of the `yaml` package: `get`, `getIn`, `set`, `setIn`, `deleteIn`, `addIn`, `toJS`… */
export type YamlDocument = ReturnType<typeof parseDocument>;

export type EnvChange = Readonly<Record<string, string | null>>;

/** Gives a step its types; at run time it returns what it is given. */
export function defineStep<const Definition extends StepDefinition>(definition: Definition): Definition {
  return definition;
}
