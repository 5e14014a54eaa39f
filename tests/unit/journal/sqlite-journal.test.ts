import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteJournal } from '../../../src/journal/sqlite-journal.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { Plan, Step } from '../../../src/model/plan.ts';
import type { Journal, NewRun } from '../../../src/model/ports.ts';
import type { ResultDocument } from '../../../src/model/run.ts';
import { parseVersion } from '../../../src/model/version.ts';

let state: string;
const open: Journal[] = [];

beforeEach(() => {
  state = path.join(mkdtempSync(path.join(os.tmpdir(), 'rungs-journal-')), 'state');
});
afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close();
  rmSync(path.dirname(state), { recursive: true, force: true });
});

describe('runs and steps', () => {
  test('a second unfinished run is refused by the database itself', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await expect(journal.createRun(newRun('b'), planOf('s1'))).rejects.toThrow(/UNIQUE/);
    expect((await journal.runs()).map(({ id }) => id)).toEqual(['a']);
  });

  test('an intent stays in doubt until its outcome is settled, also for another process', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1', 's2'));
    await journal.intendSteps('a', ['t/s1'], 'apply');
    expect(await statuses(reading())).toEqual({ 't/s1': 'running', 't/s2': 'pending' });
    await journal.settleSteps('a', [{ stepId: 't/s1', status: 'applied', durationMs: 1 }]);
    expect(await statuses(reading())).toEqual({ 't/s1': 'applied', 't/s2': 'pending' });
  });

  test('a commit makes steps, path and version known at once; a downgrade takes them out again', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1', 's2'));
    await journal.finishRun('a', 'committed', result, planOf('s1', 's2'));
    expect((await journal.appliedSteps()).map(({ stepId, runId }) => [stepId, runId])).toEqual([
      ['t/s1', 'a'],
      ['t/s2', 'a'],
    ]);
    expect(await journal.committedPath()).toEqual([{ transition: 't', runId: 'a' }]);
    expect(await journal.version()).toBe('0.2.0');
    await journal.createRun(newRun('b'), planOf('s1', 's2'));
    await journal.finishRun('b', 'committed', result, { ...planOf('s1', 's2'), direction: 'down', to: parseVersion('0.1.0') });
    expect(await journal.appliedSteps()).toEqual([]);
    expect(await journal.committedPath()).toEqual([]);
    expect(await journal.version()).toBe('0.1.0');
  });

  test('the first failure of a run is kept, whatever fails after it', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    const failure = (message: string) => ({ code: 'INTERNAL' as const, message, hint: '' });
    await journal.enterPhase('a', 'rollback', 'backwards', failure('first'));
    await journal.enterPhase('a', 'rollback', 'backwards', failure('second'));
    expect((await journal.run('a'))?.failure?.message).toBe('first');
  });

  test('a stranded run is taken up again only by hand, and its count begins anew', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await journal.takeUp('a', { host: 'h', pid: 2, isAskedFor: false });
    await journal.finishRun('a', 'stranded', result);
    await journal.takeUp('a', { host: 'h', pid: 3, isAskedFor: false });
    expect(await journal.unfinishedRun()).toBeNull();
    await journal.takeUp('a', { host: 'h', pid: 4, isAskedFor: true });
    expect(await journal.unfinishedRun()).toMatchObject({ id: 'a', attempts: 1, pid: 4 });
  });

  test('what a service was before the run is told once', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await journal.rememberServices('a', { web: { isRunning: true, identity: '1' } });
    await journal.rememberServices('a', { web: { isRunning: false, identity: null } });
    expect(await journal.servicesBefore('a')).toEqual({ web: { isRunning: true, identity: '1' } });
  });

  test('events wait for the next commit, and are read from where a reader left off', async () => {
    const journal = writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    for (const seq of [1, 2, 3]) journal.appendEvent({ seq, at: 'now', runId: 'a', type: 'warning', message: String(seq) });
    expect(await reading().events('a')).toEqual([]);
    await journal.flush();
    expect((await reading().events('a', 1)).map(({ seq }) => seq)).toEqual([2, 3]);
  });
});

describe('a journal that is not as it should be', () => {
  test('nothing was ever recorded: reading gives nothing and makes nothing', () => {
    expect(openSqliteJournal({ state, mode: 'read' })).toBeNull();
    expect(existsSync(state)).toBe(false);
  });

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

async function statuses(journal: Journal): Promise<Record<string, string>> {
  return Object.fromEntries((await journal.stepRecords('a')).map(({ stepId, status }) => [stepId, status]));
}

function facts(): unknown {
  return readdirSync(state).map((name) => {
    const { mtimeNs, size } = statSync(path.join(state, name), { bigint: true });
    return [name, mtimeNs, size, readFileSync(path.join(state, name)).toString('base64')];
  });
}

function newRun(id: string): NewRun {
  return {
    id,
    product: 'p',
    from: parseVersion('0.1.0'),
    to: parseVersion('0.2.0'),
    direction: 'up',
    planHash: 'x',
    startedAt: 'now',
    host: 'h',
    pid: 1,
  };
}

function planOf(...names: readonly string[]): Plan {
  const steps = names.map((name): Step => ({ id: `t/${name}`, sha256: 'abc' }) as Step);
  return {
    product: 'p',
    from: parseVersion('0.1.0'),
    to: parseVersion('0.2.0'),
    direction: 'up',
    hash: 'x',
    transitions: [{ id: 't', steps }],
  } as unknown as Plan;
}

const result = { failure: null } as ResultDocument;
