// What goes wrong while a step runs, and around the lock that guards it.
import type { FailureRegistry } from '../failure.ts';

const half = (step: string, direction: string): string => `The ${direction} of step ${step}`;
const seconds = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`);
const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;

export interface Half {
  readonly step: string;
  readonly direction: string;
}

/** How a step says by itself that it failed. */
export type OwnEnd =
  | { readonly kind: 'threw'; readonly error: string; readonly at?: string }
  | { readonly kind: 'returned-false' }
  | { readonly kind: 'exit-code'; readonly code: number }
  | { readonly kind: 'statement'; readonly file: string; readonly line: number | null; readonly error: string };

/** Why rows cannot be put into an order that batches can rely on. */
export type BatchKeyProblem =
  | { readonly kind: 'none'; readonly of: string }
  | { readonly kind: 'missing'; readonly why: string }
  | { readonly kind: 'null' | 'not-unique' | 'changed'; readonly columns: readonly string[] };

export const stepFailures = {
  LOCK_UNAVAILABLE: ({ file, problems }: { file: string; problems: readonly string[] }) => ({
    message: `The lock ${file} cannot be taken: ${problems.join('; ')}.`,
    hint: 'Install flock (package util-linux), perl or python3, and keep the state folder on a file system that has locks.',
  }),
  STEP_FAILED: ({ step, direction, how }: Half & { how: OwnEnd }) => ({
    message: `${half(step, direction)} ${ownEnd(how)}`,
    hint: ownEndHint(how, direction),
  }),
  STEP_THREW_NO_ERROR: ({ step, direction, value }: Half & { value: string }) => ({
    message: `${half(step, direction)} threw something that is not an Error: ${value}`,
    hint: 'Throw an Error, so that the message and the line are known.',
  }),
  STEP_UNHANDLED: ({ step, direction, error, at }: Half & { error: string; at?: string }) => ({
    message: `${half(step, direction)} left an error unhandled: ${error}${at === undefined ? '' : ` (${at})`}`,
    hint: 'Await every promise that the step starts, and handle the errors of its event emitters.',
  }),
  STEP_EXITED: ({ step, direction, code }: Half & { code: number }) => ({
    message: `${half(step, direction)} ended its process by itself (exit code ${code}) before it had finished.`,
    hint: 'Return from the step instead of calling process.exit() or sys.exit(); throw to fail.',
  }),
  STEP_KILLED: ({ step, direction, signal }: Half & { signal: string }) => ({
    message: `${half(step, direction)} was killed by ${signal}.`,
    hint:
      signal === 'SIGKILL'
        ? 'Something else on this machine killed it, mostly the kernel for want of memory: see "dmesg", then run the upgrade again.'
        : 'Find out who sent the signal, then run the upgrade again.',
  }),
  STEP_NEVER_SETTLED: ({ step, direction }: Half) => ({
    message: `${half(step, direction)} waits for a promise that nothing can settle any more.`,
    hint: 'Look for a promise whose resolve is never called, or a stream or an emitter that is awaited after it has ended.',
  }),
  STEP_TIMEOUT: ({ step, direction, timeoutMs }: Half & { timeoutMs: number }) => ({
    message: `${half(step, direction)} did not end within ${seconds(timeoutMs)}; its processes were ended.`,
    hint: 'If it only needs longer, give it "timeout" in its metadata (for example timeout: 30m), or raise timeouts.step in upgrade.yaml.',
  }),
  STEP_CANCELLED: ({ step, direction }: Half) => ({
    message: `${half(step, direction)} was cancelled while it ran.`,
    hint: 'Nothing is wrong with the step: run the upgrade again when you want it to go on.',
  }),
  STEP_OUT_OF_MEMORY: ({ step, direction, limitBytes }: Half & { limitBytes: number | null }) => ({
    message: `${half(step, direction)} used more memory than ${limitBytes === null ? 'its process may have' : mebibytes(limitBytes)}; its processes were ended.`,
    hint: 'Work in batches (checkpoint, iterate) instead of loading everything, or raise "memory" in its metadata.',
  }),
  STEP_NO_FUNCTION: ({ step, direction, file, found }: Half & { file: string; found: string }) => ({
    message: `${half(step, direction)} cannot run: ${file} has ${found === 'undefined' ? `no ${direction}` : `a ${direction} that is ${found}`}.`,
    hint: `Give ${file} a function "${direction}": in defineStep({ … }), as a named export, or migrate_${direction}(project_root) in Python.`,
  }),
  STEP_SYNTAX: ({ file, error }: { file: string; error: string }) => ({
    message: `${file} is not valid: ${error}`,
    hint: 'Correct the syntax. In TypeScript steps, types are only stripped: enum, namespace and parameter properties do not work.',
  }),
  STEP_IMPORT: ({ file, error }: { file: string; error: string }) => ({
    message: `${file} imports something that is not there: ${error}`,
    hint: 'Import helpers by relative path with their extension (./_helper.ts), from the same transition folder; packages must be installed in the installation.',
  }),
  STEP_LOAD: ({ file, error }: { file: string; error: string }) => ({
    message: `${file} could not be loaded: ${error}`,
    hint: 'Loading a step must only define it: move what fails, and every top-level await, into forward or backward.',
  }),
  STEP_SQL_PARTIAL: ({
    step,
    direction,
    file,
    line,
    error,
    index,
  }: Half & { file: string; line: number | null; error: string; index?: string }) => ({
    message: `${half(step, direction)} failed outside a transaction in ${file}${line === null ? '' : `, line ${line}`}: ${error}${index === undefined ? '' : `. It left the invalid index ${index}`}`,
    hint:
      index === undefined
        ? 'The statements before it stay until they are rolled back or restored. Correct it, and leave out "transaction: false" where you can.'
        : `Remove what is left of the index before the next try: DROP INDEX CONCURRENTLY ${index};`,
  }),
  STEP_NEEDS_NO_TRANSACTION: ({ step, direction, file, line, error }: Half & { file: string; line: number | null; error: string }) => ({
    message: `${half(step, direction)} has a statement in ${file}${line === null ? '' : `, line ${line}`} that does not work in a transaction: ${error}`,
    hint: 'Give it a step of its own with the line "-- rungs: { transaction: false }" at the top of the file.',
  }),
  STEP_PSQL: ({
    step,
    direction,
    file,
    line,
    found,
    instead,
  }: Half & { file: string; line: number | null; found: string; instead: string }) => ({
    message: `${half(step, direction)} uses ${found} in ${file}${line === null ? '' : `, line ${line}`}, which psql understands and a server does not.`,
    hint: instead,
  }),
  STEP_CONNECTION_LOST: ({ step, direction, database, error }: Half & { database: string; error: string }) => ({
    message: `${half(step, direction)} lost the connection to database ${database}, and did not take effect: ${error}.`,
    hint: 'See in the log of the server why it ended the connection, then run the upgrade again.',
  }),
  STEP_SESSION_STAYS: ({ database, pid }: { database: string; pid: number }) => ({
    message: `A session of an interrupted step still works in database ${database} (server process ${pid}) and cannot be ended.`,
    hint: `End it: SELECT pg_terminate_backend(${pid}); what became of the step is only known afterwards.`,
  }),
  STEP_MARKER_TABLE: ({ step, database, error }: { step: string; database: string; error: string }) => ({
    message: `Step ${step} cannot make the table _rungs_marker in database ${database}, which tells after a crash what was committed: ${error}`,
    hint: 'Let the user of the database create tables in the first schema of its search path: GRANT CREATE ON SCHEMA public TO …',
  }),
  STEP_OWN_TRANSACTION: ({ step, file, line, word }: { step: string; file: string; line: number | null; word: string }) => ({
    message: `Step ${step} has its own ${word} in ${file}${line === null ? '' : `, line ${line}`}, but it already runs in a transaction.`,
    hint: 'Remove it, or add the line "-- rungs: { transaction: false }" at the top of the file and make the step safe to be interrupted.',
  }),
  STEP_FOREIGN_KEYS: ({ step, direction, database, tables }: Half & { database: string; tables: readonly string[] }) => ({
    message: `${half(step, direction)} would leave rows of ${tables.join(', ')} in database ${database} that refer to nothing.`,
    hint: 'Keep or move the rows that they refer to. What the step had changed in the database was taken back.',
  }),
  STEP_DATABASE_UNKNOWN: ({ step, database, known }: { step: string; database: string | null; known: readonly string[] }) => ({
    message:
      database === null
        ? `Step ${step} names no database, and the configuration has ${known.length === 0 ? 'none' : `several: ${known.join(', ')}`}.`
        : `Step ${step} uses database "${database}", which upgrade.yaml does not have (it has ${known.length === 0 ? 'none' : known.join(', ')}).`,
    hint: 'Name one of the databases of upgrade.yaml, or add it there.',
  }),
  STEP_DATABASE_KIND: ({ step, database, wanted, kind }: { step: string; database: string; wanted: string; kind: string }) => ({
    message: `Step ${step} uses database "${database}" as ${wanted}, but it is ${kind}.`,
    hint: 'Use ctx.sqlite for a SQLite database, and ctx.postgres for a PostgreSQL one.',
  }),
  STEP_DATABASE_OPEN: ({ step, database, file, error }: { step: string; database: string; file: string; error: string }) => ({
    message: `Step ${step} cannot open database "${database}" at ${file}: ${error}`,
    hint: 'Check that the file is there, is a SQLite database, and may be written by this user.',
  }),
  STEP_DATABASE_REPLACED: ({ step, database, file }: { step: string; database: string; file: string }) => ({
    message: `When step ${step} wanted to write, database "${database}" was no longer the file ${file} that had been opened: somebody has replaced or removed it.`,
    hint: 'A step that replaces the file must not use ctx.sqlite on it as well, and must leave no process behind: make two steps of it.',
  }),
  STEP_NOT_SYNCED: ({ step, error }: { step: string; error: string }) => ({
    message: `What step ${step} wrote could not be put on disk: ${error}`,
    hint: 'The disk may be failing: look at the kernel’s messages before you try again.',
  }),
  STEP_DATABASE_BUSY: ({ step, database, waitedMs }: { step: string; database: string; waitedMs: number }) => ({
    message: `Step ${step} waited ${seconds(waitedMs)} for database "${database}", which another process keeps locked.`,
    hint: 'Stop whatever writes to it during the upgrade (stopDuringUpgrade: true for its service), or raise timeouts.lock.',
  }),
  STEP_BATCHES_SIZE: ({ step, direction, size }: Half & { size: string }) => ({
    message: `${half(step, direction)} calls ctx.batches with the size ${size}, but it must be a whole number from 1 to 100,000.`,
    hint: 'Between 500 and 5,000 rows are a good size: large enough to be quick, small enough to hold the lock only for a moment.',
  }),
  STEP_BATCHES_QUERY: ({ step, direction, problem }: Half & { problem: string }) => ({
    message: `${half(step, direction)} calls ctx.batches with something that cannot be gone through: ${problem}.`,
    hint: 'Name a table ({ table, where, columns }), or give one SELECT without LIMIT and OFFSET.',
  }),
  STEP_BATCHES_KEY: ({ step, direction, problem }: Half & { problem: BatchKeyProblem }) => ({
    message: `${half(step, direction)} cannot go through rows in batches: ${batchKeyProblem(problem)}.`,
    hint: batchKeyHint(problem),
  }),
  STEP_BATCHES_DATABASE: ({ step, direction, database, others }: Half & { database: string; others: readonly string[] }) => ({
    message: `${half(step, direction)} goes through database "${database}" in batches, and changed ${others.map((name) => `"${name}"`).join(', ')} in one of them.`,
    hint: 'Two databases cannot be committed as one: other databases may only be read inside of ctx.batches. The batch was taken back; change them in a step of their own.',
  }),
  STEP_BATCHES_USE: ({ step, direction, problem }: Half & { problem: string }) => ({
    message: `${half(step, direction)} cannot use ctx.batches like this: ${problem}.`,
    hint: 'Call it once after the other, each with what it goes through and a function, and in the same order whenever the step is run.',
  }),
  STEP_PATH_OUTSIDE: ({ step, path, target, root }: { step: string; path: string; target: string; root: string }) => ({
    message: `Step ${step} may not touch "${path}": it leads to ${target}, outside the installation ${root}.`,
    hint: 'Steps change files inside the installation root only. Where a link leads out, change the link or the root.',
  }),
  STEP_PATH_PROTECTED: ({ step, path }: { step: string; path: string }) => ({
    message: `Step ${step} may not touch "${path}": it belongs to the journal and the backups of the upgrade itself.`,
    hint: 'Leave the state folder and the backup folder alone.',
  }),
  STEP_FILE: ({ step, path, error }: { step: string; path: string; error: string }) => ({
    message: `Step ${step} cannot change "${path}": ${error}`,
    hint: 'Check that the path is there, is of the kind that the step expects, and may be written by this user.',
  }),
  STEP_HOST: ({ error }: { error: string }) => ({
    message: `The process that runs steps could not be started: ${error}`,
    hint: 'Check that this Node.js (24 or newer) can start child processes here and that there is memory left, then try again.',
  }),
  STEP_INTERPRETER: ({ step, file, interpreter, error }: { step: string; file: string; interpreter: string; error: string }) => ({
    message: `Step ${step} needs ${interpreter} to run ${file}, which cannot be started: ${error}`,
    hint: `Install ${interpreter}, or correct the first line (#!) of the file.`,
  }),
  UNDO_FAILED: ({ step, error }: { step: string; error: string }) => ({
    message: `What step ${step} did could not be taken back by itself: ${error}`,
    hint: 'Nothing has to be done where the run was rolled back: the backup took its place. If it was not, see what the message names, then "upgrade rollback".',
  }),
  UNDO_RECORD_CORRUPT: ({ file, line }: { file: string; line: number }) => ({
    message: `The undo record ${file} cannot be read at line ${line}.`,
    hint: 'Keep the file. Restore the installation from the backup: "upgrade backup list", then "upgrade backup restore ID".',
  }),
} satisfies FailureRegistry;

function batchKeyProblem(problem: BatchKeyProblem): string {
  switch (problem.kind) {
    case 'none':
      return `nothing tells the rows of ${problem.of} apart`;
    case 'missing':
      return problem.why;
    case 'null':
      return `the key (${problem.columns.join(', ')}) is NULL in some of them`;
    case 'not-unique':
      return `some of them have the same key (${problem.columns.join(', ')})`;
    case 'changed':
      return `it would change their key (${problem.columns.join(', ')}), by which they are found`;
  }
}

function batchKeyHint({ kind }: BatchKeyProblem): string {
  if (kind === 'changed') return 'Change keys in a step of its own, without batches; or go through the rows by another key that stays.';
  return 'Give "key": one column or several that are never NULL and different in each row, and that the query gives; best those of the primary key.';
}

function ownEnd(how: OwnEnd): string {
  switch (how.kind) {
    case 'threw':
      return `threw: ${how.error}${how.at === undefined ? '' : ` (${how.at})`}`;
    case 'returned-false':
      return 'returned False.';
    case 'exit-code':
      return `ended with exit code ${how.code}.`;
    case 'statement':
      return `failed in ${how.file}${how.line === null ? '' : `, line ${how.line}`}: ${how.error}`;
  }
}

function ownEndHint(how: OwnEnd, direction: Half['direction']): string {
  if (direction === 'backward')
    return 'The copy of the step that was applied is what runs backward: correcting the file does not change it. Mend what keeps it from working, or restore a backup ("upgrade backup list").';
  if (how.kind === 'statement')
    return 'Correct the statement and run the upgrade again. What the step had changed in the database was taken back.';
  if (how.kind === 'exit-code' && how.code === 127)
    return 'Exit code 127 mostly means that a command was not found: see the last lines of its output.';
  return 'Read the last lines of its output, correct the step, and run the upgrade again.';
}
