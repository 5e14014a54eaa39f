// Opens the journal's database file. Promises that a damaged or vanished journal is an error, never an empty start, and that the disk
// being full does not keep a rollback from being recorded: a reserve file is given up for it.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
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
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

export interface JournalDatabase {
  readonly db: DatabaseSync;
  /** One transaction, durable when it returns. */
  write(change: () => void): void;
}

/** `isHeld`: somebody may be writing to it. */
export function openJournalDatabase(state: string, mode: 'read' | 'write', isHeld = true): JournalDatabase | null {
  const file = path.join(state, 'journal.db');
  if (!existsSync(file)) {
    const traces = tracesOfRuns(state);
    if (traces !== null) throw fail('JOURNAL_MISSING', { file, found: traces });
    if (mode === 'read') return null;
  }
  if (mode === 'write') mkdirSync(state, { recursive: true, mode: 0o700 });
  try {
    return open(file, state, mode, isHeld);
  } catch (error) {
    // Even opening takes some room, for the WAL's index.
    const isFull = mode === 'write' && [SQLITE_FULL, SQLITE_IOERR].includes(sqliteCode(error) ?? 0);
    if (!isFull || !giveUpReserve(state)) throw explained(error, file);
  }
  try {
    return open(file, state, mode, isHeld);
  } catch (error) {
    throw explained(error, file);
  }
}

/**
 * For what may be written without the lock, beside a run perhaps: nothing is made or brought up to date. `null`: there is no journal, or it is one of
 * another version.
 */
export function openJournalBeside(state: string): JournalDatabase | null {
  const file = path.join(state, 'journal.db');
  if (!existsSync(file)) return null;
  try {
    const { DatabaseSync } = require('node:sqlite') as typeof import('node:sqlite');
    const db = new DatabaseSync(file);
    db.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL');
    if (Number(db.prepare('PRAGMA user_version').get()?.user_version) === journalVersion) {
      return { db, write: (change) => transact(db, file, state, change) };
    }
    db.close();
    return null;
  } catch (error) {
    throw explained(error, file);
  }
}

function open(file: string, state: string, mode: 'read' | 'write', isHeld: boolean): JournalDatabase | null {
  const { DatabaseSync } = require('node:sqlite') as typeof import('node:sqlite');
  const db = openDatabase(DatabaseSync, file, mode, isHeld);
  try {
    if (!prepare(db, file, state, mode)) {
      db.close();
      return null;
    }
    const isStillThere = remember(file);
    const write = (change: () => void): void => {
      // SQLite would go on writing into a file that has no name any more.
      if (!isStillThere()) throw fail('JOURNAL_GONE', { file });
      transact(db, file, state, change);
    };
    return { db, write };
  } catch (error) {
    db.close();
    throw error;
  }
}

function remember(file: string): () => boolean {
  const opened = statSync(file);
  return () => {
    const found = statSync(file, { throwIfNoEntry: false });
    return found !== undefined && found.ino === opened.ino && found.dev === opened.dev;
  };
}

/** False for one that is still to be made: whoever began to was killed, and had recorded nothing yet. */
function prepare(db: DatabaseSync, file: string, state: string, mode: 'read' | 'write'): boolean {
  db.exec('PRAGMA busy_timeout = 10000');
  const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
  if (version > journalVersion) throw fail('JOURNAL_NEWER', { file, found: version, known: journalVersion });
  // The tables and the version come in one commit, before anything else is made.
  const traces = version === 0 ? tracesOfRuns(state) : null;
  if (traces !== null) throw fail('JOURNAL_CORRUPT', { file, reason: `it is empty, but ${traces} tells of earlier runs` });
  if (mode === 'write') {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    const check = db.prepare('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') throw fail('JOURNAL_CORRUPT', { file, reason: String(check?.quick_check) });
    upgradeTables(db, version);
    reserveSpace(state);
    if (version === 0) for (const folder of [state, path.dirname(state)]) syncFolder(folder);
    return true;
  }
  return version > 0;
}

function openDatabase(
  DatabaseSync: typeof import('node:sqlite').DatabaseSync,
  file: string,
  mode: 'read' | 'write',
  isHeld: boolean,
): DatabaseSync {
  if (mode === 'write') return new DatabaseSync(file);
  // Without a WAL the file is all there is: `immutable` reads it without making `-wal` and `-shm`. With one, a run is going on or was
  // killed: a read-only connection sees it all and, unlike a writing one, does not fold the WAL in when it closes.
  const url = pathToFileURL(file);
  const hasWal = existsSync(`${file}-wal`);
  // What a killed run left is read without locks and with the WAL's index in memory: even `-shm` stays as it is.
  url.search = !hasWal ? '?mode=ro&immutable=1' : isHeld ? '?mode=ro' : '?mode=ro&vfs=unix-none';
  const db = new DatabaseSync(url, { readOnly: true });
  if (hasWal && !isHeld) db.exec('PRAGMA locking_mode = exclusive');
  return db;
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

// Filled with bytes: a sparse file would reserve nothing. On a disk that is full already there is nothing to reserve, and a rollback must begin all the same.
function reserveSpace(state: string): void {
  const file = path.join(state, 'reserve');
  if (statSync(file, { throwIfNoEntry: false })?.size === reserveBytes) return;
  try {
    writeReserve(file);
  } catch (error) {
    rmSync(file, { force: true });
    if (!isNoSpace(error)) throw error;
  }
}

function writeReserve(file: string): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    const bytes = Buffer.alloc(reserveBytes, 0x52);
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
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
