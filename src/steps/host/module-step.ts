// Runs one half of a module step. Given its context, promises one failure of its own kind for every way in which user code can go wrong.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { fail, failure, messageOf, UpgradeError } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import { syncFileSystems } from '../../processes/sync-file-systems.ts';
import { databaseOf } from './connections.ts';
import type { Connections } from './connections.ts';
import type { PostgresHandle } from '../../step-api.ts';
import { createContext } from './context.ts';
import { isInterruption } from './interruptions.ts';
import type { Interruptions } from './interruptions.ts';
import { loadModule, placeInStack } from './module-loader.ts';
import type { HostOrder, HostReply, HostRun } from './protocol.ts';
import { openSession } from './session.ts';
import type { Session } from './session.ts';
import type { SynchronousDatabase } from './synchronous-database.ts';

export interface HalfRequest {
  readonly order: HostOrder;
  readonly run: HostRun;
  readonly connections: Connections;
  readonly interruptions: Interruptions;
  /** Aborted with the protocol's `CancelReason`. */
  readonly signal: AbortSignal;
  readonly send: (reply: HostReply) => void;
}

/** `null` when it is done, and then its databases are committed. */
export async function runModuleHalf(request: HalfRequest): Promise<Failure | null> {
  const { order, run, connections, signal } = request;
  const loaded = loadModule(order.file);
  if ('code' in loaded) return { ...loaded, step: order.id };
  const half = loaded.members[order.direction];
  // Without a backward nothing is left to do here: what was recorded is undone by the orchestrator.
  if (typeof half !== 'function') return noFunction(order, half);
  const session = openSession(order, run, connections, signal);
  try {
    if (mayLookForSaved(order, run)) await session.readSaved();
    const given = loaded.takesDatabase ? databaseFor(order, run, session) : createContext(order, run, session, signal, request.send);
    await request.interruptions.race(async () => {
      await half.call(loaded.members, given);
      await nextTick(); // Rejections that nobody handles are told a tick later.
    });
    if (signal.aborted) throw signal.reason;
    // Before the marker says that it is done: what programs wrote is not on disk yet.
    const unsynced = startsPrograms(order) ? await syncFileSystems([run.root, ...databaseFolders(run)]) : null;
    if (unsynced !== null) throw fail('STEP_NOT_SYNCED', { step: order.id, error: unsynced }, { step: order.id });
    await session.complete();
    return null;
  } catch (error) {
    await session.abandon();
    return failureOf(order, run, error, signal);
  }
}

/**
 * Whether a step may come at files otherwise than by its databases' handles. Most steps do not, and for those a connection stays open: opening and
 * closing it takes longer than the step. `sqlite('app').exec(…)` is a handle's, any other `exec` may be a command.
 */
export function reachesFiles({ file }: HostOrder): boolean {
  return anyWay.test(readFileSync(file, 'utf8'));
}

/** Whether it may have written what `ctx.files` and the databases have not put on disk. */
function startsPrograms({ file }: HostOrder): boolean {
  return otherWays.test(readFileSync(file, 'utf8'));
}

/** What `up(db)` and `down(db)` get. */
function databaseFor(order: HostOrder, run: HostRun, session: Session): SynchronousDatabase | PostgresHandle {
  const name = databaseOf(run, order.database, order.id);
  return run.databases[name]?.kind === 'postgres' ? session.postgres(name) : session.synchronous(name, readFileSync(order.file, 'utf8'));
}

/** Only where there is a server: SQLite databases are looked at when they are asked for. */
function mayLookForSaved({ file, isDatabaseOnly }: HostOrder, { databases }: HostRun): boolean {
  const hasServer = Object.values(databases).some(({ kind }) => kind === 'postgres');
  return (
    hasServer && !isDatabaseOnly && /\bcheckpoint\b|\bfrom\s*["'](?!rungs["'])|\brequire\b|\bimport\s*\(/.test(readFileSync(file, 'utf8'))
  );
}

const otherWays =
  /(?<!\b(?:sqlite|postgres)\([^()\n]*\)\s*\.)\bexec\b|\b(?:require|process|globalThis|eval)\b|\bimport\s*\(|\bfrom\s*["'](?!rungs["'])|\bimport\s*["']/;
const anyWay = new RegExp(String.raw`${otherWays.source}|\bfiles\b`);

function databaseFolders(run: HostRun): readonly string[] {
  return Object.values(run.databases).flatMap((database) => (database.kind === 'sqlite' ? [dirname(database.file)] : []));
}

/** Runs `check()`; the answer is not yet looked at. */
export async function runCheck(request: HalfRequest): Promise<{ readonly state: unknown; readonly failure?: Failure }> {
  const { order, run, connections, signal } = request;
  const loaded = loadModule(order.file);
  if ('code' in loaded) return { state: null, failure: { ...loaded, step: order.id } };
  const { check } = loaded.members;
  if (typeof check !== 'function') return { state: null };
  const session = openSession(order, run, connections, signal);
  try {
    if (mayLookForSaved(order, run)) await session.readSaved();
    const context = createContext(order, run, session, signal, request.send, { isLooking: true });
    return { state: await request.interruptions.race(async () => check.call(loaded.members, context)) };
  } catch (error) {
    return { state: null, failure: failureOf(order, run, error, signal) };
  } finally {
    await session.abandon(); // It only looks: whatever it wrote is not kept.
  }
}

function noFunction(order: HostOrder, found: unknown): Failure {
  const kind =
    found === null
      ? 'null'
      : Array.isArray(found)
        ? 'a list'
        : typeof found === 'object'
          ? 'an object'
          : typeof found === 'undefined'
            ? 'undefined'
            : `a ${typeof found}`;
  return failure(
    'STEP_NO_FUNCTION',
    { step: order.id, direction: order.direction, file: basename(order.file), found: kind },
    { step: order.id },
  );
}

function failureOf(order: HostOrder, run: HostRun, error: unknown, signal: AbortSignal): Failure {
  const half = { step: order.id, direction: order.direction };
  const extra = { step: order.id };
  // Not a timeout of its own: the orchestrator knows how long it gave.
  if (signal.aborted) return cancelled(order, signal.reason);
  if (isInterruption(error)) {
    if (error.kind === 'never-settled') return failure('STEP_NEVER_SETTLED', half, extra);
    return failure('STEP_UNHANDLED', { ...half, ...describe(order, error.cause) }, { ...extra, ...placeOf(order, error.cause) });
  }
  if (error instanceof UpgradeError) {
    const [first] = error.failures;
    if (first !== undefined) return { ...first, step: order.id };
  }
  if (!(error instanceof Error)) return failure('STEP_THREW_NO_ERROR', { ...half, value: messageOf(error) }, extra);
  return failure('STEP_FAILED', { ...half, how: { kind: 'threw', ...describe(order, error) } }, { ...extra, ...placeOf(order, error) });
}

function cancelled(order: HostOrder, reason: unknown): Failure {
  const half = { step: order.id, direction: order.direction };
  return reason === 'timeout'
    ? failure('STEP_TIMEOUT', { ...half, timeoutMs: 0 }, { step: order.id })
    : failure('STEP_CANCELLED', half, { step: order.id });
}

function describe(order: HostOrder, error: unknown): { readonly error: string; readonly at?: string } {
  const { line } = placeInStack(error, order.file);
  return { error: messageOf(error), ...(line === undefined ? {} : { at: `${basename(order.file)}:${line}` }) };
}

function placeOf(order: HostOrder, error: unknown): { readonly place?: NonNullable<Failure['place']> } {
  const at = placeInStack(error, order.file);
  return at.line === undefined ? {} : { place: { file: order.file, ...at } };
}
