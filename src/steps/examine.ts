// Finds out, without the step, what became of a half whose outcome is not known: the marker rows decide, where there are any.
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Client } from 'pg';
import { connectPostgres } from '../databases/postgres/connect.ts';
import type { Config, DatabaseConfig } from '../model/config.ts';
import { messageOf } from '../model/failure.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';
import { checkpointFile, readCheckpointFile } from './host/checkpoint-file.ts';
import { effectsOf } from './host/effects.ts';
import { hasMarkerTable, markerTable, savedKeys } from './host/markers.ts';
import { pendingEntries, undoDir } from './host/undo-log.ts';
import { findMarkerTable, markersIn, readPostgresMarkers } from './postgres/marker-table.ts';
import type { FoundMarkers } from './postgres/marker-table.ts';
import { endSessions } from './postgres/sessions.ts';

export type Verdict = 'done' | 'not-done' | 'partial';

/** For many orders with one opening of the databases. `null`: markers cannot tell. */
export async function verdictsByMarker(
  orders: readonly StepOrder[],
  config: Config,
  run: RunContext,
): Promise<readonly (Verdict | null)[]> {
  const markers = await readMarkersOf(config, run, databasesOf(orders, config));
  return orders.map((order) => {
    const marked = new Map<string, readonly string[]>();
    for (const [name, { find }] of markers) {
      const committedTo = find(order.step.id);
      if (committedTo !== null) marked.set(name, committedTo);
    }
    const isHalfDone = (): boolean => {
      const saved = [...savedKeys(order.step.id, 'apply'), ...savedKeys(order.step.id, 'revert')];
      return [...markers.values()].some(({ checkpoint }) => saved.some((key) => checkpoint(key) !== null));
    };
    return verdict(order, run, marked, isHalfDone);
  });
}

/** `marked`: databases that hold the step's marker, each with the list of all that its half was committed to. */
function verdict(
  order: StepOrder,
  run: RunContext,
  marked: ReadonlyMap<string, readonly string[]>,
  isHalfDone: () => boolean,
): Verdict | null {
  const { step, action } = order;
  if (step.kind === 'sql' && !step.transaction) return null;
  if (step.kind === 'sql' || step.isDatabaseOnly) {
    return marked.size > 0 === (action === 'apply') ? 'done' : 'not-done';
  }
  if (step.kind !== 'ts' && step.kind !== 'js') return null;
  const committedTo = new Set([...marked.values()].flat());
  if (action === 'apply') {
    if (marked.size > 0) return [...committedTo].every((name) => marked.has(name)) ? 'done' : 'partial';
    if (usedDatabases(run, step.id, 'apply').length === 0) return null;
    // The transaction is gone, but files were changed before it would have been committed, or commands were run.
    return hasChangedMore(run, step.id, 'apply') ? 'partial' : 'not-done';
  }
  const expected = usedDatabases(run, step.id, 'apply');
  if (marked.size > 0)
    return [...committedTo].every((name) => marked.has(name)) && !hasChangedMore(run, step.id, 'revert') ? 'not-done' : 'partial';
  // What a forward committed batch by batch has no marker before its end, but a revert that is complete takes away how far either was.
  if (isHalfDone()) return hasChangedMore(run, step.id, 'revert') ? 'partial' : 'not-done';
  // A revert removes what the apply had left: nothing there means that it did, if there ever was something.
  return expected.length > 0 && usedDatabases(run, step.id, 'revert').length > 0 ? 'done' : null;
}

function hasChangedMore(run: RunContext, stepId: string, action: 'apply' | 'revert'): boolean {
  return (
    pendingEntries(undoDir(run.dir, stepId, action)).length > 0 || effectsOf(run.dir, stepId, action).some(({ kind }) => kind === 'exec')
  );
}

function usedDatabases(run: RunContext, stepId: string, action: 'apply' | 'revert'): readonly string[] {
  return effectsOf(run.dir, stepId, action)
    .filter(({ kind }) => kind === 'database')
    .map(({ name }) => name);
}

export async function isMarked(order: StepOrder, config: Config, run: RunContext): Promise<boolean> {
  const markers = await readMarkersOf(config, run, databasesOf([order], config));
  return [...markers.values()].some(({ find }) => find(order.step.id) !== null);
}

export async function hasSavedCheckpoint(order: StepOrder, config: Config, run: RunContext): Promise<boolean> {
  if (readCheckpointFile(checkpointFile(run.dir, order.step.id, order.action)) !== null) return true;
  if (order.step.kind !== 'ts' && order.step.kind !== 'js') return false;
  const saved = savedKeys(order.step.id, order.action);
  const markers = await readMarkersOf(config, run, databasesOf([order], config));
  return [...markers.values()].some(({ checkpoint }) => saved.some((key) => checkpoint(key) !== null));
}

/** What steps have saved of how far they are: equal for two looks only where none of them came further between them. */
export async function savedProgress(orders: readonly StepOrder[], config: Config, run: RunContext): Promise<unknown> {
  const modules = orders.filter(({ step }) => step.kind === 'ts' || step.kind === 'js');
  if (modules.length === 0) return [];
  const markers = await readMarkersOf(config, run, databasesOf(modules, config));
  return modules.map((order) => [
    order.step.id,
    readCheckpointFile(checkpointFile(run.dir, order.step.id, order.action)),
    [...markers.values()].map(({ checkpoint }) => savedKeys(order.step.id, order.action).map((key) => checkpoint(key))),
  ]);
}

/** `warn` hears of a server that cannot be reached: its table is no harm. */
export async function dropMarkers(config: Config, run: RunContext, warn: (message: string) => void): Promise<void> {
  const names = usedDatabasesOf(run, config);
  await withSqlite(config, Object.keys(config.databases), (databases) => {
    for (const db of databases.values()) if (hasMarkerTable(db)) db.exec(`DROP TABLE IF EXISTS main.${markerTable}`);
  });
  for (const [name, target] of postgresOf(config, names)) {
    try {
      await withServer(name, target, run, async (client) => {
        const table = await findMarkerTable(client);
        if (table !== null) await client.query(`DROP TABLE IF EXISTS ${table}`);
      });
    } catch (error) {
      warn(`The table ${markerTable} could not be removed from database ${name}: ${messageOf(error)}`);
    }
  }
}

/** Those that may hold markers of these orders: an SQL step's own, and for a module any. */
function databasesOf(orders: readonly StepOrder[], config: Config): readonly string[] {
  const all = Object.keys(config.databases);
  const names = orders.flatMap(({ step }) => {
    if (step.kind === 'sh' || step.kind === 'py') return [];
    if (step.kind === 'sql' && step.database !== null) return [step.database];
    return all;
  });
  return [...new Set(names)];
}

/** Of a whole run. A server that no step of it can have come to is left alone. */
function usedDatabasesOf({ plan }: RunContext, config: Config): readonly string[] {
  const steps = plan.transitions.flatMap((transition) => transition.steps);
  const hasModule = steps.some(({ kind }) => kind === 'ts' || kind === 'js');
  return Object.keys(config.databases).filter(
    (name) =>
      steps.length === 0 || hasModule || steps.some(({ kind, database }) => kind === 'sql' && (database === null || database === name)),
  );
}

async function readMarkersOf(config: Config, run: RunContext, names: readonly string[]): Promise<ReadonlyMap<string, FoundMarkers>> {
  const found = new Map<string, FoundMarkers>();
  await withSqlite(config, names, (databases) => {
    for (const [name, db] of databases) {
      // Read now: the database is closed when they are asked for.
      const rows = hasMarkerTable(db) ? db.prepare(`SELECT step_id, value FROM main.${markerTable} WHERE run_id = ?`).all(run.id) : [];
      const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
      found.set(name, markersIn(new Map(rows.map((row) => [String(row['step_id']), text(row['value'])]))));
    }
  });
  for (const [name, target] of postgresOf(config, names)) {
    await withServer(name, target, run, async (client) => {
      found.set(name, await readPostgresMarkers(client, run.id));
    });
  }
  return found;
}

type Server = Extract<DatabaseConfig, { kind: 'postgres' }>;

function postgresOf(config: Config, names: readonly string[]): readonly (readonly [string, Server])[] {
  return names.flatMap((name) => {
    const target = config.databases[name];
    return target?.kind === 'postgres' ? [[name, target] as const] : [];
  });
}

/** After whatever a killed process of the run has left working there has ended: until then nobody knows what it will commit. */
async function withServer(name: string, target: Server, run: RunContext, use: (client: Client) => Promise<void>): Promise<void> {
  const client = await connectPostgres(target, { name });
  try {
    await endSessions(client, { runId: run.id }, name);
    await use(client);
  } finally {
    await client.end();
  }
}

/** SQLite databases that are there, by name. Not read-only: after a kill the first who opens one has to recover it. */
async function withSqlite<Result>(
  config: Config,
  names: readonly string[],
  use: (databases: ReadonlyMap<string, DatabaseSync>) => Result,
): Promise<Result> {
  const open = new Map<string, DatabaseSync>();
  const sqlite = await import('node:sqlite');
  try {
    for (const name of names) {
      const database = config.databases[name];
      if (database?.kind !== 'sqlite' || !existsSync(database.file)) continue;
      open.set(name, new sqlite.DatabaseSync(database.file, { timeout: config.timeouts.lockMs }));
    }
    return use(open);
  } finally {
    for (const db of open.values()) db.close();
  }
}
