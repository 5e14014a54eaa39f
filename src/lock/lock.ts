// The kernel's lock on `state/lock`. Given a state folder, promises that one process tree of this host holds it, and names the holder to all others.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../model/failure.ts';
import { holdersOf, holdsIt } from './holders.ts';
import type { LockProcess } from './holders.ts';

export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601 */
  readonly since: string;
}

export interface Lock {
  /** Steps inherit it at descriptor 3, so that the lock is held as long as any of them lives. */
  readonly fd: number;
  /** Unlocks for everyone who inherited the descriptor, daemons too. Safe to call twice. */
  release(): void;
}

export interface LockHolder {
  /** `null` where the holder could not be seen: another user's process, or one that is just ending. */
  readonly pid: number | null;
  readonly host: string | null;
  readonly since: string | null;
  readonly command: string | null;
  /** The id of the step that still runs although its orchestrator is dead. */
  readonly step: string | null;
  /** Everyone who holds it, the one above included. */
  readonly processes: readonly LockProcess[];
}

const namingDeadlineMs = 1_000;
const retryMs = 50;

export interface LockWait {
  /** How long to wait for the lock; 0, the default: not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Takes the lock, or says who still holds it after `waitMs`. Makes the state folder (0700) if it is missing. Throws LOCK_UNAVAILABLE, and an
 * AbortError when the signal ends the waiting.
 */
export async function acquireLock(
  stateDir: string,
  who: LockOwner,
  { waitMs = 0, signal }: LockWait = {},
): Promise<Lock | { readonly holder: LockHolder }> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const file = join(stateDir, 'lock');
  const startedAt = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
    const waitedMs = performance.now() - startedAt;
    if (!flock(fd, 'take', file)) {
      const inode = fstatSync(fd);
      closeSync(fd);
      // Looking for the holder costs more than trying: it is done once, at the end.
      const holder = waitedMs < waitMs ? null : nameHolder(file, inode);
      if (holder !== null) return { holder };
      if (waitedMs >= waitMs + namingDeadlineMs) return { holder: unseenHolder(file) };
      // Nobody to be seen: it is being released, or it is another user's. Trying again tells the two apart.
      await sleep(waitedMs < waitMs ? retryMs : 10, undefined, signal === undefined ? {} : { signal });
    } else if (isStillAt(fd, file)) {
      return heldLock(fd, file, who);
    } else {
      closeSync(fd); // Somebody replaced the file between open and lock: this lock would guard nothing.
    }
  }
}

// Files of locks that this process holds itself.
const heldHere = new Set<string>();

/** Whether anybody holds the lock now, without naming him. Takes nothing and writes nothing. */
export function isLockHeld(stateDir: string): boolean {
  const file = join(stateDir, 'lock');
  const inode = statSync(file, { throwIfNoEntry: false });
  if (inode === undefined || inode.size === 0) return false;
  if (heldHere.has(file)) return true;
  const written = readOwner(file);
  // Mostly it is who has written so; only else are all processes looked at.
  return (written !== null && holdsIt(written.pid, inode)) || holdersOf(inode).length > 0;
}

/** Who holds the lock now; `null`: nobody. Takes nothing and writes nothing. */
export function lockHolder(stateDir: string): LockHolder | null {
  const file = join(stateDir, 'lock');
  const inode = statSync(file, { throwIfNoEntry: false });
  // A lock that was let go of is empty: the usual case costs one look.
  return inode === undefined || inode.size === 0 ? null : nameHolder(file, inode);
}

function heldLock(fd: number, file: string, who: LockOwner): Lock {
  const text = `${JSON.stringify({ pid: who.pid, host: who.host, since: who.since })}\n`;
  ftruncateSync(fd, writeSync(fd, text, 0));
  let isHeld = true;
  heldHere.add(file);
  return {
    fd,
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      heldHere.delete(file);
      ftruncateSync(fd, 0);
      flock(fd, 'free', file);
      closeSync(fd);
    },
  };
}

function isStillAt(fd: number, file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  const held = fstatSync(fd);
  return found !== undefined && found.ino === held.ino && found.dev === held.dev;
}

// A child that is given the descriptor locks the open file description, which stays ours after the child has ended.
const lockers: readonly { readonly command: string; readonly take: readonly string[]; readonly free: readonly string[] }[] = [
  { command: 'flock', take: ['-n', '3'], free: ['-u', '3'] },
  {
    command: 'perl',
    take: ['-e', 'open(my $f, "+<&=", 3) or exit 2; exit(flock($f, 2 | 4) ? 0 : 1)'],
    free: ['-e', 'open(my $f, "+<&=", 3) or exit 2; exit(flock($f, 8) ? 0 : 2)'],
  },
  {
    command: 'python3',
    take: [
      '-c',
      'import fcntl, sys\ntry: fcntl.flock(3, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept BlockingIOError: sys.exit(1)\nexcept OSError: sys.exit(2)',
    ],
    free: ['-c', 'import fcntl\nfcntl.flock(3, fcntl.LOCK_UN)'],
  },
];

function flock(fd: number, what: 'take' | 'free', file: string): boolean {
  const problems: string[] = [];
  for (const locker of lockers) {
    const { status, error, stderr } = spawnSync(locker.command, locker[what], { stdio: ['ignore', 'ignore', 'pipe', fd], timeout: 10_000 });
    if (status === 0) return true;
    if (status === 1 && error === undefined) return false;
    problems.push(`${locker.command}: ${error?.message ?? `exit ${status}: ${String(stderr).trim()}`}`);
  }
  throw fail('LOCK_UNAVAILABLE', { file, problems });
}

function nameHolder(file: string, inode: { readonly dev: number; readonly ino: number }): LockHolder | null {
  const processes = holdersOf(inode);
  const written = readOwner(file);
  const main = processes.find(({ pid }) => pid === written?.pid) ?? processes.find(({ step }) => step === null) ?? processes[0];
  if (main === undefined) return null;
  // What is written belongs to the process only if it is that process's; else it is left over from an earlier one.
  const isWrittenByMain = main.pid === written?.pid || main.step !== null;
  return {
    pid: main.pid,
    command: main.command,
    step: main.step,
    host: written?.host ?? null,
    since: isWrittenByMain ? (written?.since ?? null) : null,
    processes,
  };
}

function unseenHolder(file: string): LockHolder {
  const written = readOwner(file);
  return {
    pid: written?.pid ?? null,
    host: written?.host ?? null,
    since: written?.since ?? null,
    command: null,
    step: null,
    processes: [],
  };
}

function readOwner(file: string): LockOwner | null {
  try {
    const owner: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof owner !== 'object' || owner === null) return null;
    if (!('pid' in owner) || typeof owner.pid !== 'number' || !('host' in owner) || typeof owner.host !== 'string') return null;
    if (!('since' in owner) || typeof owner.since !== 'string') return null;
    return { pid: owner.pid, host: owner.host, since: owner.since };
  } catch {
    return null; // Empty or half-written: the holder has only just got it.
  }
}
