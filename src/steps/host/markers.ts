// The marker table: a row written in the same transaction as a half of a step, which tells after a crash whether that half was committed.
import type { DatabaseSync, StatementSync } from 'node:sqlite';

export const markerTable = '_rungs_marker';

export interface Markers {
  /** Inside the half's transaction. `databases`: all that the half writes its marker into. */
  readonly set: (runId: string, stepId: string, databases: readonly string[]) => void;
  /** Also drops what the step's checkpoints left. */
  readonly clear: (runId: string, stepId: string) => void;
  /** The databases that the half was committed to; `null` where there is no marker. */
  readonly find: (runId: string, stepId: string) => readonly string[] | null;
  readonly saveCheckpoint: (runId: string, key: string, value: unknown) => void;
  readonly checkpoint: (runId: string, key: string) => { readonly value: unknown } | null;
  readonly dropCheckpoint: (runId: string, key: string) => void;
}

export function checkpointKey(stepId: string, action: 'apply' | 'revert'): string {
  return `${stepId} checkpoint ${action}`;
}

/** How far `ctx.batches` is: beside the step's own checkpoint, so that neither overwrites the other. */
export function batchesKey(stepId: string, action: 'apply' | 'revert'): string {
  return `${stepId} batches ${action}`;
}

/** All that a half may have committed before its end. */
export function savedKeys(stepId: string, action: 'apply' | 'revert'): readonly string[] {
  return [checkpointKey(stepId, action), batchesKey(stepId, action)];
}

/** Makes the table where it is missing. Statements are prepared once, as thousands of steps use them. */
export function openMarkers(db: DatabaseSync): Markers {
  if (!hasMarkerTable(db)) {
    db.exec(
      `CREATE TABLE IF NOT EXISTS ${markerTable} (run_id TEXT NOT NULL, step_id TEXT NOT NULL, value TEXT, PRIMARY KEY (run_id, step_id)) WITHOUT ROWID`,
    );
  }
  const upsert = db.prepare(`INSERT OR REPLACE INTO main.${markerTable} (run_id, step_id, value) VALUES (?, ?, ?)`);
  const remove = db.prepare(`DELETE FROM main.${markerTable} WHERE run_id = ? AND step_id = ?`);
  const select = db.prepare(selectSql);
  return {
    set: (runId, stepId, databases) => void upsert.run(runId, stepId, JSON.stringify(databases)),
    clear: (runId, stepId) => {
      remove.run(runId, stepId);
    },
    find: (runId, stepId) => databasesOf(select, runId, stepId),
    saveCheckpoint: (runId, key, value) => void upsert.run(runId, key, JSON.stringify({ value })),
    checkpoint: (runId, key) => checkpointOf(select, runId, key),
    dropCheckpoint: (runId, key) => void remove.run(runId, key),
  };
}

export function hasMarkerTable(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?").get(markerTable) !== undefined;
}

const selectSql = `SELECT value FROM main.${markerTable} WHERE run_id = ? AND step_id = ?`;

function databasesOf(select: StatementSync, runId: string, stepId: string): readonly string[] | null {
  const value = select.get(runId, stepId)?.['value'];
  if (typeof value !== 'string') return null;
  const names: unknown = JSON.parse(value);
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function checkpointOf(select: StatementSync, runId: string, key: string): { readonly value: unknown } | null {
  const value = select.get(runId, key)?.['value'];
  if (typeof value !== 'string') return null;
  const saved: unknown = JSON.parse(value);
  return typeof saved === 'object' && saved !== null && 'value' in saved ? { value: saved.value } : { value: undefined };
}
