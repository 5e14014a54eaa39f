// The journal in PostgreSQL where the line breaks, the lock is lost, or another host works: what was committed is there once, and nothing else.
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { openPostgresJournal, type PostgresJournalOptions } from '../../../src/journal/postgres-journal.ts';
import { postgresJournalVersion } from '../../../src/journal/postgres-schema.ts';
import { acquireHostLock, type HostLock, type HostLockTarget } from '../../../src/lock/host-lock.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { BackupRecord, Journal } from '../../../src/model/ports.ts';
import { newRun, planOf, result } from '../../support/journal-records.ts';
import { countFor } from '../../support/level.ts';
import { startCutProxy } from '../../support/postgres-proxies.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';

let postgres: TestPostgres;
let url: string;
let target: HostLockTarget;
const open: Journal[] = [];
const locks: HostLock[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  url = await postgres.database();
  target = { url, installation: 'shared', attempts: 10, backoffMs: 10 };
});
afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close().catch(() => undefined);
  for (const lock of locks.splice(0)) await lock.release();
});

async function take(): Promise<HostLock> {
  const lock = await acquireHostLock(target, { host: 'here', pid: 1 }, { waitMs: 10_000 });
  if ('holder' in lock) throw new Error('held');
  locks.push(lock);
  return lock;
}

async function journalWith(permit: PostgresJournalOptions['permit'], options: Partial<PostgresJournalOptions> = {}): Promise<Journal> {
  const journal = await openPostgresJournal({ target, installation: 'shared', place: 'here', host: 'here', permit, ...options });
  if (journal === null) throw new Error('no journal');
  open.push(journal);
  return journal;
}

/** Ends the sessions of all journals, as an administrator does. */
function endJournals(): Promise<unknown> {
  return postgres.query(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rungs journal'");
}

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'none';
  } catch (error) {
    return error instanceof UpgradeError ? String(error.failures[0]?.code) : String(error);
  }
}

testWithPostgres('reading makes nothing', async () => {
  expect(await openPostgresJournal({ target, installation: 'shared', place: '', host: 'here', permit: null })).toBeNull();
  await take();
  // The lock's table alone is no journal.
  expect(await openPostgresJournal({ target, installation: 'shared', place: '', host: 'here', permit: null })).toBeNull();
  expect(await postgres.query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'rungs'")).toEqual([{ tablename: 'lock' }]);
});

testWithPostgres('what is opened for reading cannot write, whatever it is told', async () => {
  await journalWith(await take());
  const reader = await journalWith(null);
  expect(await codeOf(reader.createRun(newRun('a'), planOf('s1')))).toBe('INTERNAL');
});

testWithPostgres('a journal of a newer Rungs is refused, for reading and for writing', async () => {
  const lock = await take();
  await (await journalWith(lock)).close();
  await postgres.query(url, 'UPDATE rungs.journal SET version = 99');
  for (const permit of [lock, null]) expect(await codeOf(journalWith(permit))).toBe('JOURNAL_NEWER');
});

testWithPostgres('a server that is not there is told by its name, with no password', async () => {
  const gone = { url: 'postgres://me:sesame@127.0.0.1:1/nothing', attempts: 2, backoffMs: 1 };
  const opening = openPostgresJournal({ target: gone, installation: 'x', place: '', host: 'here', permit: null });
  await expect(opening).rejects.toThrow(/POSTGRES_UNREACHABLE.*127\.0\.0\.1:1\/nothing.*after 2 attempts/);
  await expect(opening).rejects.not.toThrow(/sesame/);
});

testWithPostgres('whoever lost the lock writes nothing more, also where it has not heard of it', async () => {
  const first = await take();
  const unaware = await journalWith({ ...first, lost: new AbortController().signal });
  await unaware.createRun(newRun('a'), planOf('s1'));
  await postgres.query(url, 'SELECT pg_terminate_backend($1)', [first.backend]);
  // As long as nobody else has taken it, it guards what it did.
  const second = await journalWith(await take());
  expect(await codeOf(unaware.intendSteps('a', ['t/s1'], 'apply'))).toBe('JOURNAL_LOST_LOCK');
  expect(await codeOf(unaware.finishRun('a', 'committed', result, planOf('s1')))).toBe('JOURNAL_LOST_LOCK');
  expect((await second.stepRecords('a'))[0]).toMatchObject({ status: 'pending', attempts: 0 });
  expect(await second.unfinishedRun()).toMatchObject({ id: 'a' });
  await second.intendSteps('a', ['t/s1'], 'apply');
  expect((await second.stepRecords('a'))[0]).toMatchObject({ status: 'running', attempts: 1 });
});

testWithPostgres('whoever hears that the lock is lost stops at the next write', async () => {
  const lock = await take();
  const journal = await journalWith(lock);
  await journal.createRun(newRun('a'), planOf('s1'));
  const lost = new Promise((resolve) => lock.lost.addEventListener('abort', resolve));
  await postgres.query(url, 'SELECT pg_terminate_backend($1)', [lock.backend]);
  await lost;
  expect(await codeOf(journal.enterPhase('a', 'backup', 'forwards'))).toBe('JOURNAL_LOST_LOCK');
  expect(await (await journalWith(null)).run('a')).toMatchObject({ phase: 'preflight' });
});

testWithPostgres('whoever takes the lock waits for the write of the one before that is on its way', async () => {
  const first = await take();
  await journalWith(first);
  // As far as a write has come before its COMMIT.
  const write = new pg.Client({ connectionString: url });
  await write.connect();
  try {
    await write.query("BEGIN; SELECT epoch FROM rungs.lock WHERE installation = 'shared' FOR SHARE");
    await postgres.query(url, 'SELECT pg_terminate_backend($1)', [first.backend]);
    let isTaken = false;
    const next = take().finally(() => (isTaken = true));
    const waiting =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'rungs lock%' AND wait_event_type = 'Lock'";
    while (!isTaken && (await postgres.query(url, waiting))[0]?.['n'] !== 1);
    expect(isTaken).toBe(false);
    await write.query('COMMIT');
    expect((await next).epoch).toBe('2');
  } finally {
    await write.end();
  }
});

for (const when of ['before', 'after'] as const) {
  testWithPostgres(`a line that is cut ${when} the server has done a COMMIT: the write is there once`, async () => {
    const proxy = await startCutProxy(url);
    try {
      const lock = await take();
      const journal = await journalWith(lock, { target: { ...target, url: proxy.url } });
      await journal.createRun(newRun('a'), planOf('s1'));
      proxy.cutAtCommit(when);
      journal.appendEvent({ seq: 1, at: 'now', runId: 'a', type: 'warning', message: 'told once' });
      await journal.intendSteps('a', ['t/s1'], 'apply');
      expect(proxy.cuts()).toBe(1);
      expect((await journal.stepRecords('a'))[0]?.attempts).toBe(1);
      expect((await journal.events('a')).length).toBe(1);
    } finally {
      await proxy.close();
    }
  });
}

testWithPostgres('a session that is ended again and again loses no write and does none twice', async () => {
  const lock = await take();
  const journal = await journalWith(lock);
  await journal.createRun(newRun('a'), planOf('s1'));
  const writes = countFor({ quick: 30, ci: 600 });
  let isOver = false;
  let ended = 0;
  const ending = (async () => {
    while (!isOver) {
      await endJournals();
      ended += 1;
    }
  })();
  // Sessions are ended faster than some writes can begin: whoever gives up says so, and has written nothing.
  let written = 0;
  for (let at = 0; at < writes; at += 1) {
    const code = await codeOf(journal.intendSteps('a', ['t/s1'], 'apply'));
    if (code === 'none') written += 1;
    else expect(code).toBe('JOURNAL_WRITE_FAILED');
  }
  isOver = true;
  await ending;
  expect(ended).toBeGreaterThan(0);
  expect(written).toBeGreaterThan(0);
  expect((await journal.stepRecords('a'))[0]?.attempts).toBe(written);
});

testWithPostgres('two that write at once on one journal take turns', async () => {
  const journal = await journalWith(await take());
  await journal.createRun(newRun('a'), planOf('s1', 's2'));
  for (let seq = 1; seq <= 20; seq += 1) journal.appendEvent({ seq, at: 'now', runId: 'a', type: 'warning', message: '' });
  await Promise.all([
    journal.flush(),
    ...Array.from({ length: 20 }, (_, at) => journal.intendSteps('a', [`t/s${(at % 2) + 1}`], 'apply')),
    journal.flush(),
  ]);
  expect((await journal.stepRecords('a')).map(({ attempts }) => attempts)).toEqual([10, 10]);
  expect((await journal.events('a')).map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
});

testWithPostgres('hosts that begin at the same moment make the tables once', async () => {
  const targets = Array.from({ length: 6 }, (_, at) => ({ ...target, installation: `installation ${at}` }));
  await Promise.all(
    targets.map(async (each) => {
      const lock = await acquireHostLock(each, { host: 'here', pid: 1 });
      if ('holder' in lock) throw new Error('held');
      locks.push(lock);
      const journal = await journalWith(lock, { target: each, installation: each.installation });
      await journal.createRun(newRun('a'), planOf('s1'));
    }),
  );
  expect(await postgres.query(url, 'SELECT count(*)::int AS runs FROM rungs.runs')).toEqual([{ runs: 6 }]);
  expect(await postgres.query(url, 'SELECT version FROM rungs.journal')).toEqual([{ version: postgresJournalVersion }]);
});

testWithPostgres('another host finds the plan, knows which steps ran where, and is shown no backup that it does not have', async () => {
  const journal = await journalWith(await take());
  const plan = planOf('s1', 's2');
  await journal.createRun(newRun('a'), plan);
  await journal.intendSteps('a', ['t/s1'], 'apply');
  await journal.recordBackup({ id: 'a', runId: 'a', path: '/nowhere/a.tar.zst' } as BackupRecord);
  const there = await journalWith(null, { place: 'there', host: 'there' });
  expect(await there.frozenPlan('a')).toEqual(plan);
  expect((await there.stepRecords('a')).map(({ elsewhere }) => elsewhere)).toEqual(['here', undefined]);
  expect(await there.backups()).toEqual([]);
  expect((await journal.stepRecords('a')).map(({ elsewhere }) => elsewhere)).toEqual([undefined, undefined]);
  expect((await journal.backups()).map(({ id }) => id)).toEqual(['a']);
  await journal.finishRun('a', 'rolled-back', result);
  expect(await there.frozenPlan('a')).toBeNull();
});
