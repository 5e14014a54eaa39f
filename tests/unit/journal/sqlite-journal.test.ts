import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteJournal } from '../../../src/journal/sqlite-journal.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { Journal } from '../../../src/model/ports.ts';
import { newRun, planOf } from '../../support/journal-records.ts';

let state: string;
const open: Journal[] = [];

beforeEach(() => {
  state = path.join(mkdtempSync(path.join(os.tmpdir(), 'rungs-journal-')), 'state');
});
afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close();
  rmSync(path.dirname(state), { recursive: true, force: true });
});

describe('a journal that is not as it should be', () => {
  test('reading a closed journal leaves every byte and time as it was', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    open.splice(0);
    await journal.close();
    const before = facts();
    expect(await reading().unfinishedRun()).toMatchObject({ id: 'a' });
    await open.splice(0)[0]?.close();
    expect(facts()).toEqual(before);
  });

  test.each([
    { what: 'overwritten', damage: (file: string) => writeFileSync(file, 'not a database, and long enough to be looked at'.repeat(200)) },
    { what: 'truncated in the middle', damage: (file: string) => truncateSync(file, 9_000) },
    {
      what: 'emptied beside the traces of runs',
      damage: (file: string) => {
        truncateSync(file, 0);
        mkdirSync(path.join(state, 'runs', 'a'), { recursive: true });
      },
    },
  ])('a journal that was $what is an error, and the evidence is kept', async ({ damage }) => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    open.splice(0);
    await journal.close();
    const file = path.join(state, 'journal.db');
    damage(file);
    const evidence = readFileSync(file);
    expect(codeOf(() => openSqliteJournal({ state, mode: 'write' }))).toBe('JOURNAL_CORRUPT');
    expect(readFileSync(file)).toEqual(evidence);
  });

  test('a journal that vanished beside the traces of runs is not begun anew', () => {
    mkdirSync(path.join(state, 'runs', 'a'), { recursive: true });
    for (const mode of ['read', 'write'] as const) expect(codeOf(() => openSqliteJournal({ state, mode }))).toBe('JOURNAL_MISSING');
    expect(readdirSync(state)).toEqual(['runs']);
  });

  test('a journal that was killed while it was made holds nothing, and is made', async () => {
    mkdirSync(state, { recursive: true });
    writeFileSync(path.join(state, 'journal.db'), '');
    expect(openSqliteJournal({ state, mode: 'read' })).toBeNull();
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    expect(await journal.unfinishedRun()).toMatchObject({ id: 'a' });
  });

  test('a journal that is deleted while it is open is an error at the next write', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    rmSync(path.join(state, 'journal.db'));
    await expect(journal.intendSteps('a', ['t/s1'], 'apply')).rejects.toThrow('JOURNAL_GONE');
  });

  test('a journal of a newer Rungs is refused', async () => {
    open.splice(0);
    await writing().close();
    open.splice(0);
    const db = new DatabaseSync(path.join(state, 'journal.db'));
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(codeOf(() => openSqliteJournal({ state, mode: 'write' }))).toBe('JOURNAL_NEWER');
  });
});

function writing(): Journal {
  const journal = openSqliteJournal({ state, mode: 'write' });
  if (journal === null) throw new Error('no journal');
  open.push(journal);
  return journal;
}

function reading(): Journal {
  const journal = openSqliteJournal({ state, mode: 'read' });
  if (journal === null) throw new Error('no journal');
  open.push(journal);
  return journal;
}

function codeOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
  } catch (error) {
    if (error instanceof UpgradeError) return error.failures[0]?.code;
    throw error;
  }
  return undefined;
}

function facts(): unknown {
  return readdirSync(state).map((name) => {
    const { mtimeNs, size } = statSync(path.join(state, name), { bigint: true });
    return [name, mtimeNs, size, readFileSync(path.join(state, name)).toString('base64')];
  });
}
