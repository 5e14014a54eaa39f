// Connections to SQLite databases: opened once, kept while steps follow each other, closed before anybody else may replace the file.
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { fail, messageOf } from '../../model/failure.ts';
import { openMarkers } from './markers.ts';
import type { Markers } from './markers.ts';
import { createPostgresConnections } from '../postgres/connection.ts';
import type { PostgresConnections } from '../postgres/connection.ts';
import type { HostRun } from './protocol.ts';

export interface Connection {
  readonly name: string;
  readonly db: DatabaseSync;
  readonly markers: Markers;
  readonly isInTransaction: () => boolean;
  /** Throws STEP_DATABASE_REPLACED where the file at its place is another one by now: what is written would be lost. */
  readonly expectInPlace: (stepId: string) => void;
  /** Waits up to the busy timeout for other writers. */
  readonly begin: () => void;
  readonly commit: () => void;
  readonly rollback: () => void;
  /** Prepared once per text. */
  readonly prepare: (sql: string) => StatementSync;
}

export interface Connections {
  readonly open: (name: string, stepId: string) => Connection;
  /** Those that are open now. */
  readonly all: () => readonly Connection[];
  /** Of the SQLite databases. */
  readonly closeAll: () => void;
  readonly postgres: PostgresConnections;
}

const keptStatements = 200;

export function createConnections(run: HostRun): Connections {
  const open = new Map<string, Connection>();
  return {
    open: (name, stepId) => {
      const found = open.get(name) ?? connect(run, name, stepId);
      found.expectInPlace(stepId);
      open.set(name, found);
      return found;
    },
    all: () => [...open.values()],
    closeAll: () => {
      for (const { db } of open.values()) db.close();
      open.clear();
    },
    postgres: createPostgresConnections(run),
  };
}

/** The only database (of that kind) where none is named. Throws STEP_DATABASE_UNKNOWN. */
export function databaseOf(run: HostRun, name: string | null, stepId: string, kind: 'sqlite' | 'postgres' | null = null): string {
  const known = Object.keys(run.databases);
  const fitting = known.filter((each) => kind === null || run.databases[each]?.kind === kind);
  const [only] = fitting;
  if (name !== null && known.includes(name)) return name;
  if (name === null && fitting.length === 1 && only !== undefined) return only;
  throw fail('STEP_DATABASE_UNKNOWN', { step: stepId, database: name, known }, { step: stepId });
}

function connect(run: HostRun, name: string, stepId: string): Connection {
  const config = run.databases[databaseOf(run, name, stepId)];
  if (config?.kind !== 'sqlite')
    throw fail('STEP_DATABASE_KIND', { step: stepId, database: name, wanted: 'SQLite', kind: 'PostgreSQL' }, { step: stepId });
  try {
    return wrap(name, config.file, new DatabaseSync(config.file, { timeout: run.busyMs }));
  } catch (error) {
    if (isBusy(error)) throw fail('STEP_DATABASE_BUSY', { step: stepId, database: name, waitedMs: run.busyMs }, { step: stepId });
    throw fail('STEP_DATABASE_OPEN', { step: stepId, database: name, file: config.file, error: messageOf(error) }, { step: stepId }, error);
  }
}

function wrap(name: string, file: string, db: DatabaseSync): Connection {
  const opened = statSync(file);
  db.exec('PRAGMA synchronous = FULL');
  const markers = openMarkers(db);
  const statements = new Map<string, StatementSync>();
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  return {
    name,
    db,
    markers,
    isInTransaction: () => db.isTransaction,
    expectInPlace: (stepId) => {
      const found = statSync(file, { throwIfNoEntry: false });
      if (found?.ino !== opened.ino || found.dev !== opened.dev)
        throw fail('STEP_DATABASE_REPLACED', { step: stepId, database: name, file }, { step: stepId });
    },
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    // Some errors end the transaction by themselves.
    rollback: () => void (db.isTransaction && db.exec('ROLLBACK')),
    prepare: (sql) => {
      const found = statements.get(sql) ?? db.prepare(sql);
      if (statements.size >= keptStatements) statements.clear();
      statements.set(sql, found);
      return found;
    },
  };
}

/** SQLITE_BUSY and its extended codes. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5;
}
