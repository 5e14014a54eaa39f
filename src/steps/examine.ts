// Finds out, without the step, what became of a half whose outcome is not known: the marker rows decide, where there are any.
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Config } from '../model/config.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';
import { checkpointFile, readCheckpointFile } from './host/checkpoint-file.ts';
import { effectsOf } from './host/effects.ts';
import { hasMarkerTable, markerTable, readMarkers, savedKeys } from './host/markers.ts';
import { pendingEntries, undoDir } from './host/undo-log.ts';

export type Verdict = 'done' | 'not-done' | 'partial';

/** For many orders with one opening of the databases. `null`: markers cannot tell. */
export async function verdictsByMarker(
  orders: readonly StepOrder[],
  config: Config,
  run: RunContext,
): Promise<readonly (Verdict | null)[]> {
  return withDatabases(config, (databases) => {
    const markers = new Map([...databases].map(([name, db]) => [name, readMarkers(db)]));
    return orders.map((order) => {
      const marked = new Map<string, readonly string[]>();
      for (const [name, { find }] of markers) {
        const committedTo = find(run.id, order.step.id);
        if (committedTo !== null) marked.set(name, committedTo);
      }
      const isHalfDone = (): boolean => {
        const saved = [...savedKeys(order.step.id, 'apply'), ...savedKeys(order.step.id, 'revert')];
        return [...markers.values()].some(({ checkpoint }) => saved.some((key) => checkpoint(run.id, key) !== null));
      };
      return verdict(order, run, marked, isHalfDone);
    });
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

export async function isMarked(stepId: string, config: Config, run: RunContext): Promise<boolean> {
  return withDatabases(config, (databases) => [...databases.values()].some((db) => readMarkers(db).find(run.id, stepId) !== null));
}

export async function hasSavedCheckpoint(order: StepOrder, config: Config, run: RunContext): Promise<boolean> {
  if (readCheckpointFile(checkpointFile(run.dir, order.step.id, order.action)) !== null) return true;
  const saved = savedKeys(order.step.id, order.action);
  return withDatabases(config, (databases) =>
    [...databases.values()].some((db) => saved.some((key) => readMarkers(db).checkpoint(run.id, key) !== null)),
  );
}

export async function dropMarkers(config: Config): Promise<void> {
  await withDatabases(config, (databases) => {
    for (const db of databases.values()) if (hasMarkerTable(db)) db.exec(`DROP TABLE IF EXISTS main.${markerTable}`);
  });
}

/** SQLite databases that are there, by name. Not read-only: after a kill the first who opens one has to recover it. */
async function withDatabases<Result>(config: Config, use: (databases: ReadonlyMap<string, DatabaseSync>) => Result): Promise<Result> {
  const open = new Map<string, DatabaseSync>();
  const sqlite = await import('node:sqlite');
  try {
    for (const [name, database] of Object.entries(config.databases)) {
      if (database.kind !== 'sqlite' || !existsSync(database.file)) continue;
      open.set(name, new sqlite.DatabaseSync(database.file, { timeout: config.timeouts.lockMs }));
    }
    return use(open);
  } finally {
    for (const db of open.values()) db.close();
  }
}
