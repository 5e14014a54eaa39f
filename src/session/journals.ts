// Opens the journal, and the installed version that may stand in it: all that a command needs which only looks.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInstallation } from '../discover/installation.ts';
import { openSqliteJournal } from '../journal/sqlite-journal.ts';
import { isLockHeld } from '../lock/lock.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Installation, Journal } from '../model/ports.ts';
import { journalTarget } from './journal-target.ts';
import type { HeldLock } from './take-lock.ts';

/** `null`: nothing was ever recorded. Reading changes nothing on disk, nor in a database. */
export async function readJournal<T>(config: Config, read: (journal: Journal | null) => Promise<T>): Promise<T> {
  const journal = await openJournal(config, null);
  try {
    return await read(journal);
  } finally {
    await journal?.close();
  }
}

/** For many looks: whoever opens it closes it. */
export async function openJournalToRead(config: Config): Promise<Journal | null> {
  return openJournal(config, null);
}

/** Makes the journal where there is none. Every write checks that the lock is still ours. */
export async function openJournalToWrite(config: Config, lock: HeldLock): Promise<Journal> {
  const journal = await openJournal(config, lock);
  if (journal === null) throw fail('INTERNAL', { error: 'the journal was not made' });
  return journal;
}

async function openJournal(config: Config, lock: HeldLock | null): Promise<Journal | null> {
  const target = journalTarget(config);
  if (target === null) {
    const isHeld = lock !== null || isLockHeld(config.state);
    return openSqliteJournal({ state: config.state, mode: lock === null ? 'read' : 'write', isHeld });
  }
  if (lock !== null && lock.host === null) throw fail('INTERNAL', { error: 'the lock between hosts was not taken' });
  const { openPostgresJournal } = await import('../journal/postgres-journal.ts');
  const place = lock === null ? readPlace(config.state) : makePlace(config.state);
  const { installation, ...server } = target;
  return openPostgresJournal({ target: server, installation, place, host: os.hostname(), permit: lock?.host ?? null });
}

export function openInstallation(config: Config): Installation {
  return createInstallation(config, async () => readJournal(config, async (journal) => (await journal?.version()) ?? null));
}

/** What tells this state folder from that of another host: a name of the host would be another with each start of a container. */
function makePlace(state: string): string {
  const known = readPlace(state);
  if (known !== '') return known;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const place = randomUUID();
  // A kill in between leaves an empty file, which is written again: nothing was recorded under it.
  writeFileSync(placeFile(state), place, { mode: 0o600, flush: true });
  return place;
}

function readPlace(state: string): string {
  try {
    return readFileSync(placeFile(state), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return '';
    throw error;
  }
}

function placeFile(state: string): string {
  return path.join(state, 'place');
}
