// What every journal promises, whichever way it keeps its records.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openPostgresJournal } from '../../src/journal/postgres-journal.ts';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { acquireHostLock, type HostLock } from '../../src/lock/host-lock.ts';
import type { BackupRecord, Journal } from '../../src/model/ports.ts';
import { parseVersion } from '../../src/model/version.ts';
import { climbOf, newRun, planOf, result } from '../support/journal-records.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../support/postgres.ts';

/** One installation's journal, empty at first. */
interface Kept {
  readonly write: () => Promise<Journal>;
  readonly read: () => Promise<Journal | null>;
  /** Whether anything was made where the journal is kept. */
  readonly isMade: () => Promise<boolean>;
  readonly end: () => Promise<void>;
}

let postgres: TestPostgres;
let url: string;
let installations = 0;

function inSqlite(): Promise<Kept> {
  const state = path.join(mkdtempSync(path.join(os.tmpdir(), 'rungs-journal-')), 'state');
  const open = (mode: 'read' | 'write'): Journal | null => openSqliteJournal({ state, mode });
  return Promise.resolve({
    write: async () => known(open('write')),
    read: async () => open('read'),
    isMade: async () => existsSync(state),
    end: async () => rmSync(path.dirname(state), { recursive: true, force: true }),
  });
}

/** Several of them in one database: none may see another's records. */
async function inPostgres(): Promise<Kept> {
  const target = { url, attempts: 1, backoffMs: 1, installation: `installation ${installations++}` };
  let lock: HostLock | null = null;
  const open = (permit: HostLock | null): Promise<Journal | null> =>
    openPostgresJournal({ target, installation: target.installation, place: 'here', host: 'h', permit });
  return {
    write: async () => {
      if (lock === null) {
        const taken = await acquireHostLock(target, { host: 'h', pid: 1 });
        if ('holder' in taken) throw new Error('held');
        lock = taken;
      }
      return known(await open(lock));
    },
    read: () => open(null),
    isMade: async () => (await postgres.query(url, "SELECT to_regnamespace('rungs') IS NOT NULL AS made"))[0]?.['made'] === true,
    end: async () => lock?.release(),
  };
}

function known(journal: Journal | null): Journal {
  if (journal === null) throw new Error('no journal');
  return journal;
}

const kinds = [
  { kind: 'SQLite', keep: inSqlite, it: test, needsServer: false },
  { kind: 'PostgreSQL', keep: inPostgres, it: testWithPostgres, needsServer: true },
];

describe.each(kinds)('a journal in $kind', ({ keep, it, needsServer }) => {
  const open: Journal[] = [];
  let kept: Kept;

  beforeAll(async () => {
    if (!needsServer || it !== test) return;
    postgres = await startPostgres();
    url = await postgres.database();
  });
  beforeEach(async () => {
    if (!needsServer || it === test) kept = await keep();
  });
  afterEach(async () => {
    for (const journal of open.splice(0)) await journal.close();
    if (!needsServer || it === test) await kept.end();
  });

  const writing = async (): Promise<Journal> => opened(await kept.write());
  const reading = async (): Promise<Journal> => opened(known(await kept.read()));
  const opened = (journal: Journal): Journal => {
    open.push(journal);
    return journal;
  };

  it('nothing was ever recorded: reading gives nothing and makes nothing', async () => {
    const wasMade = await kept.isMade();
    const journal = await kept.read();
    if (journal !== null) open.push(journal);
    // In a database that other installations share the tables may be there: they hold nothing of this one.
    expect(journal === null ? [] : await journal.runs()).toEqual([]);
    expect(await kept.isMade()).toBe(wasMade);
  });

  it('a run is found by its id, as unfinished, and among all, the newest first', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    expect(await journal.unfinishedRun()).toMatchObject({ ...newRun('a'), course: 'forwards', attempts: 1, outcome: null, result: null });
    await journal.finishRun('a', 'rolled-back', result);
    expect(await journal.unfinishedRun()).toBeNull();
    await journal.createRun({ ...newRun('b'), from: null, to: null }, planOf('s1'));
    expect((await journal.runs()).map(({ id, from }) => [id, from])).toEqual([
      ['b', null],
      ['a', '0.1.0'],
    ]);
    expect((await journal.runs(1)).map(({ id }) => id)).toEqual(['b']);
    expect(await journal.run('a')).toMatchObject({ outcome: 'rolled-back', result });
    expect(await journal.run('c')).toBeNull();
  });

  it('a second unfinished run is refused by the database itself', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await expect(journal.createRun(newRun('b'), planOf('s1'))).rejects.toThrow(/unique/i);
    expect((await journal.runs()).map(({ id }) => id)).toEqual(['a']);
    // What was refused is not in the way of what comes next.
    await journal.enterPhase('a', 'backup', 'forwards');
    expect((await journal.run('a'))?.phase).toBe('backup');
  });

  it('an intent stays in doubt until its outcome is settled, also for another process', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1', 's2'));
    await journal.intendSteps('a', ['t/s1'], 'apply');
    expect(await statuses(await reading())).toEqual({ 't/s1': 'running', 't/s2': 'pending' });
    await journal.settleSteps('a', [{ stepId: 't/s1', status: 'applied', durationMs: 1.5 }]);
    expect(await statuses(await reading())).toEqual({ 't/s1': 'applied', 't/s2': 'pending' });
    expect((await journal.stepRecords('a'))[0]).toMatchObject({ position: 0, attempts: 1, durationMs: 1.5, failure: null });
  });

  it('outcomes and the next intents are one commit, and what is not told again is kept', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1', 's2', 's3'));
    await journal.intendSteps('a', ['t/s1', 't/s2'], 'apply');
    const failure = { code: 'INTERNAL' as const, message: 'it "broke"\u0000\n', hint: '' };
    await journal.settleAndIntend(
      'a',
      [
        { stepId: 't/s1', status: 'applied', durationMs: 2 },
        { stepId: 't/s2', status: 'failed', durationMs: 3, failure },
      ],
      ['t/s3'],
      'apply',
    );
    await journal.intendSteps('a', ['t/s2'], 'revert');
    await journal.settleSteps('a', [{ stepId: 't/s2', status: 'reverted', durationMs: null }]);
    expect((await journal.stepRecords('a')).map(({ status, attempts, durationMs }) => [status, attempts, durationMs])).toEqual([
      ['applied', 1, 2],
      ['reverted', 1, 3],
      ['running', 1, null],
    ]);
    expect((await journal.stepRecords('a'))[1]?.failure).toEqual(failure);
  });

  it('a thousand steps are begun and settled at once', async () => {
    const journal = await writing();
    const names = Array.from({ length: 1_000 }, (_, at) => `s${at}`);
    await journal.createRun(newRun('a'), planOf(...names));
    const ids = names.map((name) => `t/${name}`);
    await journal.intendSteps('a', ids, 'apply');
    await journal.settleSteps(
      'a',
      ids.map((stepId, at) => ({ stepId, status: 'applied', durationMs: at })),
    );
    const records = await journal.stepRecords('a');
    expect(records.map(({ stepId }) => stepId)).toEqual(ids);
    expect(records.map(({ durationMs }) => durationMs)).toEqual(names.map((_, at) => at));
  });

  it('a commit makes steps, path and version known at once; a downgrade takes them out again', async () => {
    const journal = await writing();
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

  it('what a committed climb holds goes into the ladder, and out of it on the way down; the version stays', async () => {
    const journal = await writing();
    // A number as long as a date and a time.
    const late = 20_240_101_120_000;
    await journal.createRun(newRun('a'), climbOf('main', 'up', [1, 2, late]));
    await journal.finishRun('a', 'committed', result, climbOf('main', 'up', [1, 2, late]));
    expect((await journal.ladderSteps()).map(({ number, runId, sha256 }) => [number, runId, sha256])).toEqual([
      [1, 'a', 'sum 1'],
      [2, 'a', 'sum 2'],
      [late, 'a', `sum ${late}`],
    ]);
    await journal.createRun(newRun('b'), climbOf('main', 'down', [late, 2]));
    await journal.finishRun('b', 'committed', result, climbOf('main', 'down', [late, 2]));
    expect((await journal.ladderSteps()).map(({ number }) => number)).toEqual([1]);
    expect(await journal.version()).toBeNull();
  });

  it('adopting a ladder replaces what was recorded of it, and of no other', async () => {
    const journal = await writing();
    const source = { kind: 'index' as const, file: 'index.json' };
    const ladder = (name: string, numbers: readonly number[]) => ({
      baseline: { ladder: name, height: numbers.at(-1) ?? 0, source, adoptedAt: 'now', fingerprint: 'f' },
      steps: numbers.map((number) => ({ ladder: name, number, name: 'x', sha256: null, runId: null, appliedAt: 'then' })),
    });
    await journal.adoptLadders([ladder('b', [1, 2]), ladder('A', [7])]);
    await journal.adoptLadders([ladder('b', [3])]);
    expect((await journal.ladderSteps()).map((step) => [step.ladder, step.number])).toEqual([
      ['A', 7],
      ['b', 3],
    ]);
    expect((await journal.ladderBaselines()).map((baseline) => [baseline.ladder, baseline.height])).toEqual([
      ['A', 7],
      ['b', 3],
    ]);
    await journal.acceptChecksums([{ ladder: 'b', number: 3, was: 'x', now: 'y', acceptedAt: '2030-01-01' }]);
    await journal.acceptChecksums([{ ladder: 'b', number: 3, was: 'y', now: 'z', acceptedAt: '2030-01-02' }]);
    expect((await journal.ladderSteps()).map(({ sha256 }) => sha256)).toEqual([null, 'z']);
    expect((await journal.acceptedChecksums()).map(({ now }) => now)).toEqual(['z', 'y']);
  });

  it('a backup is tied to its run, found, replaced and removed', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    const backup = (id: string, bytes: number): BackupRecord =>
      ({ id, runId: id === 'a' ? 'a' : null, path: '/nowhere', bytes, verified: true }) as BackupRecord;
    await journal.recordBackup(backup('a', 1));
    await journal.recordBackup(backup('b', 2));
    await journal.recordBackup(backup('a', 3));
    expect((await journal.backups()).map(({ id, bytes }) => [id, bytes])).toEqual([
      ['b', 2],
      ['a', 3],
    ]);
    expect((await journal.run('a'))?.backupId).toBe('a');
    // One that takes its place in the run, before the first is said to be no longer good.
    await journal.recordBackup({ ...backup('c', 4), runId: 'a' });
    await journal.recordBackup({ ...backup('a', 3), verified: false });
    expect((await journal.run('a'))?.backupId).toBe('c');
    expect((await journal.backups()).map(({ id, verified }) => [id, verified])).toEqual([
      ['c', true],
      ['b', true],
      ['a', false],
    ]);
    await journal.removeBackup('a');
    expect((await journal.backups()).map(({ id }) => id)).toEqual(['c', 'b']);
  });

  it('an effect has no outcome until it is settled, and none again when it is begun anew', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await journal.intend('a', 'restart:web', { before: null });
    await journal.settle('a', 'restart:web', 'well');
    expect(await journal.effects('a')).toEqual([{ key: 'restart:web', intent: { before: null }, outcome: 'well', isSettled: true }]);
    await journal.intend('a', 'restart:web', undefined);
    expect(await journal.effects('a')).toEqual([{ key: 'restart:web', intent: null, outcome: null, isSettled: false }]);
  });

  it('the first failure of a run is kept, whatever fails after it', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    const failure = (message: string) => ({ code: 'INTERNAL' as const, message, hint: '' });
    await journal.enterPhase('a', 'rollback', 'backwards', failure('first'));
    await journal.enterPhase('a', 'rollback', 'backwards', failure('second'));
    expect((await journal.run('a'))?.failure?.message).toBe('first');
  });

  it('a stranded run is taken up again only by hand, and its count begins anew', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await journal.takeUp('a', { host: 'h', pid: 2, isAskedFor: false });
    await journal.finishRun('a', 'stranded', result);
    await journal.takeUp('a', { host: 'h', pid: 3, isAskedFor: false });
    expect(await journal.unfinishedRun()).toBeNull();
    await journal.takeUp('a', { host: 'h', pid: 4, isAskedFor: true });
    expect(await journal.unfinishedRun()).toMatchObject({ id: 'a', attempts: 1, pid: 4 });
  });

  it('what a service was before the run is told once', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    await journal.rememberServices('a', { web: { isRunning: true, identity: '1' } });
    await journal.rememberServices('a', { web: { isRunning: false, identity: null }, db: { isRunning: true, identity: null } });
    expect(await journal.servicesBefore('a')).toEqual({ web: { isRunning: true, identity: '1' }, db: { isRunning: true, identity: null } });
  });

  it('events wait for the next commit, and are read from where a reader left off', async () => {
    const journal = await writing();
    await journal.createRun(newRun('a'), planOf('s1'));
    for (const seq of [1, 2, 3]) journal.appendEvent({ seq, at: 'now', runId: 'a', type: 'warning', message: String(seq) });
    expect(await (await reading()).events('a')).toEqual([]);
    await journal.flush();
    expect((await (await reading()).events('a', 1)).map(({ seq }) => seq)).toEqual([2, 3]);
  });
});

async function statuses(journal: Journal): Promise<Record<string, string>> {
  return Object.fromEntries((await journal.stepRecords('a')).map(({ stepId, status }) => [stepId, status]));
}
