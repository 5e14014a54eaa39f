// Opens a SQLite database for reading one snapshot of it and touches nothing: no -wal or -shm appears, none goes away, no checkpoint runs.
// SQLite's own read-only mode makes and keeps these files for a WAL database at rest; a plan or a comparison must leave no trace.
import { copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, closeSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { UpgradeError, fail, messageOf } from '../model/failure.ts';

export interface ReadOptions {
  /** For messages; the file's name where it is not given. */
  readonly name?: string;
  /** How long to wait for a lock to go away. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

const busy = 5;
const locked = 6;
const readonlyRollback = 776;
const cannotOpen = 14;
const full = 13;

/**
 * Calls `use` with a connection inside one read transaction. Tries again while the database is locked or moves under a reader without locks.
 * Throws DATABASE_BUSY after the deadline (30 s), DATABASE_UNREACHABLE and DATABASE_CORRUPT.
 */
export async function readStill<T>(file: string, use: (database: DatabaseSync) => Promise<T> | T, options: ReadOptions = {}): Promise<T> {
  const { name = basename(file), deadlineMs = 30_000, signal } = options;
  const end = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const answer = await readOnce(file, use);
      if (answer !== moved) return answer;
    } catch (error) {
      if (error instanceof UpgradeError || signal?.aborted === true) throw error;
      if (!isLocked(error)) throw describe(error, name, file);
    }
    if (performance.now() > end) throw fail('DATABASE_BUSY', { name, file, seconds: Math.round(deadlineMs / 1000) });
    await sleep(25);
  }
}

const moved = Symbol('moved');

async function readOnce<T>(file: string, use: (database: DatabaseSync) => Promise<T> | T): Promise<T | typeof moved> {
  const way = wayToRead(file);
  const before = way === 'locks' ? '' : stamp(file);
  const scratch = way === 'scratch' ? copyWithJournal(file) : null;
  try {
    const database = open(scratch === null ? file : join(scratch, 'copy.db'), way);
    try {
      database.exec('PRAGMA query_only = 1; BEGIN');
      // The snapshot begins with the first read.
      database.prepare('SELECT count(*) FROM sqlite_master').get();
      const answer = await use(database);
      return way === 'locks' || stamp(file) === before ? answer : moved;
    } catch (error) {
      // What a reader without locks saw while somebody wrote proves nothing.
      if (way !== 'locks' && stamp(file) !== before) return moved;
      throw error;
    } finally {
      database.close();
    }
  } finally {
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  }
}

type Way = 'locks' | 'immutable' | 'without-locks' | 'scratch';

function open(file: string, way: Way): DatabaseSync {
  if (way === 'scratch') return new DatabaseSync(file, { timeout: 50 });
  const url = pathToFileURL(file);
  // The VFS without locks, in exclusive mode, keeps the WAL's index in memory: a WAL that a crash left behind is read without a -shm file.
  url.search = { locks: 'mode=ro', immutable: 'mode=ro&immutable=1', 'without-locks': 'mode=ro&vfs=unix-none' }[way];
  const database = new DatabaseSync(url, { readOnly: true, timeout: 50 });
  if (way === 'without-locks') database.exec('PRAGMA locking_mode = exclusive');
  return database;
}

function wayToRead(file: string): Way {
  if (!isWalMode(file)) return hasHotJournal(file) ? 'scratch' : 'locks';
  if (isOpenElsewhere(file)) return 'locks';
  return sizeOf(`${file}-wal`) > 0 ? 'without-locks' : 'immutable';
}

function isWalMode(file: string): boolean {
  const header = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    return readSync(descriptor, header, 0, 20, 0) === 20 && header[18] === 2;
  } finally {
    closeSync(descriptor);
  }
}

/** A journal that only its rolling back makes consistent: the reader's own attempt tells. */
function hasHotJournal(file: string): boolean {
  if (sizeOf(`${file}-journal`) === 0) return false;
  try {
    const database = open(file, 'locks');
    try {
      database.prepare('SELECT count(*) FROM sqlite_master').get();
      return false;
    } finally {
      database.close();
    }
  } catch (error) {
    return [readonlyRollback, cannotOpen].includes(sqliteCode(error));
  }
}

/** Every connection to a WAL database holds a lock on its -shm file. Where locks cannot be listed, the file's being there has to do. */
function isOpenElsewhere(file: string): boolean {
  const shm = statSync(`${file}-shm`, { bigint: true, throwIfNoEntry: false });
  if (shm === undefined) return false;
  if (!existsSync('/proc/locks')) return true;
  return readFileSync('/proc/locks', 'utf8').includes(`:${shm.ino} `);
}

function copyWithJournal(file: string): string {
  const scratch = mkdtempSync(join(tmpdir(), 'rungs-'));
  copyFileSync(file, join(scratch, 'copy.db'));
  if (existsSync(`${file}-journal`)) copyFileSync(`${file}-journal`, join(scratch, 'copy.db-journal'));
  return scratch;
}

/** Without the ctime: as root, SQLite gives a -wal the owner of its database again whenever it opens it. */
function stamp(file: string): string {
  return ['', '-wal', '-journal']
    .map((suffix) => statSync(file + suffix, { bigint: true, throwIfNoEntry: false }))
    .map((stat) => (stat === undefined || stat.size === 0n ? '-' : `${stat.ino}.${stat.size}.${stat.mtimeNs}`))
    .join(' ');
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0;
}

function isLocked(error: unknown): boolean {
  return [busy, locked].includes(sqliteCode(error) & 0xff);
}

function describe(error: unknown, name: string, file: string): unknown {
  // Only a copy writes, and its full disk is not this database's fault.
  if (sqliteCode(error) === full) return error;
  const isDamaged = [11, 26].includes(sqliteCode(error) & 0xff);
  if (isDamaged) return fail('DATABASE_CORRUPT', { name, file, problems: [messageOf(error)] }, {}, error);
  return fail('DATABASE_UNREACHABLE', { name, file, error: messageOf(error) }, {}, error);
}
