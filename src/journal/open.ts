// Opens the journal's database file. Promises that a damaged or vanished journal is an error, never an empty start, and that the disk
// being full does not keep a rollback from being recorded: a reserve file is given up for it.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DatabaseSync } from 'node:sqlite';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import { journalUpgrades, journalVersion } from './schema.ts';

// `node:sqlite` warns on load that it is young; required here so that reading a version costs nothing.
const require = createRequire(import.meta.url);

const reserveBytes = 2 * 1024 * 1024;
// SQLite's primary result codes.
const SQLITE_FULL = 13;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

export interface JournalDatabase {
  readonly db: DatabaseSync;
  /** One transaction, durable when it returns. */
  write(change: () => void): void;
}

export function openJournalDatabase(state: string, mode: 'read' | 'write'): JournalDatabase | null {
  const file = path.join(state, 'journal.db');
  if (!existsSync(file)) {
    const traces = tracesOfRuns(state);
    if (traces !== null) throw fail('JOURNAL_MISSING', { file, found: traces });
    if (mode === 'read') return null;
  }
  if (mode === 'write') mkdirSync(state, { recursive: true, mode: 0o700 });
  try {
    return open(file, state, mode);
  } catch (error) {
    throw explained(error, file);
  }
}

function open(file: string, state: string, mode: 'read' | 'write'): JournalDatabase {
  const { DatabaseSync } = require('node:sqlite') as typeof import('node:sqlite');
  const db = openDatabase(DatabaseSync, file, mode);
  try {
    prepare(db, file, state, mode);
  } catch (error) {
    db.close();
    throw error;
  }
  return { db, write: (change) => transact(db, file, state, change) };
}

function prepare(db: DatabaseSync, file: string, state: string, mode: 'read' | 'write'): void {
  db.exec('PRAGMA busy_timeout = 10000');
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
  if (version > journalVersion) throw fail('JOURNAL_NEWER', { file, found: version, known: journalVersion });
  if (mode === 'write') {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    const check = db.prepare('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') throw fail('JOURNAL_CORRUPT', { file, reason: String(check?.quick_check) });
    upgradeTables(db, version);
    reserveSpace(state);
  }
}

function openDatabase(DatabaseSync: typeof import('node:sqlite').DatabaseSync, file: string, mode: 'read' | 'write'): DatabaseSync {
  if (mode === 'write') return new DatabaseSync(file);
  // Without a WAL the file is all there is: `immutable` reads it without making `-wal` and `-shm`. With one, a run is going on or was
  // killed: a read-only connection sees it all and, unlike a writing one, does not fold the WAL in when it closes.
  const url = pathToFileURL(file);
  url.search = existsSync(`${file}-wal`) ? '?mode=ro' : '?mode=ro&immutable=1';
  return new DatabaseSync(url, { readOnly: true });
}

function upgradeTables(db: DatabaseSync, version: number): void {
  for (let next = version; next < journalVersion; next++) {
    db.exec(`BEGIN IMMEDIATE; ${journalUpgrades[next] ?? ''}; PRAGMA user_version = ${next + 1}; COMMIT`);
  }
}

function transact(db: DatabaseSync, file: string, state: string, change: () => void): void {
  try {
    attempt(db, change);
  } catch (error) {
    if (sqliteCode(error) !== SQLITE_FULL || !giveUpReserve(state)) throw explained(error, file);
    try {
      attempt(db, change);
    } catch (again) {
      throw explained(again, file);
    }
  }
}

function attempt(db: DatabaseSync, change: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    change();
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function explained(error: unknown, file: string): unknown {
  if (error instanceof UpgradeError) return error;
  const code = sqliteCode(error);
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) return fail('JOURNAL_CORRUPT', { file, reason: messageOf(error) }, {}, error);
  return code === null ? error : fail('JOURNAL_WRITE_FAILED', { file, reason: messageOf(error) }, {}, error);
}

function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return Number(error.errcode) & 0xff;
}

function tracesOfRuns(state: string): string | null {
  for (const folder of ['runs', 'backups']) {
    const at = path.join(state, folder);
    if (existsSync(at) && readdirSync(at).length > 0) return at;
  }
  return null;
}

// Filled with bytes: a sparse file would reserve nothing.
function reserveSpace(state: string): void {
  const file = path.join(state, 'reserve');
  if (existsSync(file)) return;
  const fd = openSync(file, 'w', 0o600);
  try {
    writeSync(fd, Buffer.alloc(reserveBytes, 0x52));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function giveUpReserve(state: string): boolean {
  const file = path.join(state, 'reserve');
  if (!existsSync(file)) return false;
  rmSync(file);
  return true;
}
