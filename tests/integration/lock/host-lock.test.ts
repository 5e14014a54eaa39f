// The lock between hosts on a real server: one holder of many, free when the holder is dead, never through a pooler.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { openPostgresJournal } from '../../../src/journal/postgres-journal.ts';
import { acquireHostLock, hostLockHolder, type HostLock, type HostLockTarget } from '../../../src/lock/host-lock.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import { countFor } from '../../support/level.ts';
import { startPooler } from '../../support/postgres-proxies.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';

const contender = path.join(import.meta.dirname, '../../fixtures/lock/host-contender.ts');
const rounds = countFor({ quick: 4, ci: 50 });
const who = { host: 'here', pid: process.pid };
let postgres: TestPostgres;
let url: string;
let target: HostLockTarget;
const locks: HostLock[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  url = await postgres.database();
  target = { url, installation: 'shared', attempts: 1, backoffMs: 1 };
});
afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function take(from: HostLockTarget = target, waitMs = 0): Promise<HostLock> {
  const lock = await acquireHostLock(from, who, { waitMs });
  if ('holder' in lock) throw new Error(`held by ${JSON.stringify(lock.holder)}`);
  locks.push(lock);
  return lock;
}

function contend(count: number, mode: 'race' | 'hold'): { readonly child: ChildProcess; readonly code: Promise<number | null> } {
  const child = spawn(process.execPath, [contender, url, String(count), mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return { child, code: new Promise((resolve) => void child.once('exit', (code) => resolve(code))) };
}

testWithPostgres(`of 8 processes that race for it ${rounds} times each, one has it at any time`, async () => {
  await postgres.query(url, 'CREATE TABLE inside AS SELECT 0 AS now, 0 AS most');
  await postgres.query(url, 'CREATE TABLE taken (epoch bigint PRIMARY KEY, pid integer)');
  const racers = Array.from({ length: 8 }, () => contend(rounds, 'race'));
  expect(await Promise.all(racers.map(({ code }) => code))).toEqual(racers.map(() => 0));
  expect(await postgres.query(url, 'SELECT now, most FROM inside')).toEqual([{ now: 0, most: 1 }]);
  const [taken] = await postgres.query(
    url,
    'SELECT count(*)::int AS times, max(epoch)::int AS last, count(DISTINCT pid)::int AS racers FROM taken',
  );
  expect(taken).toEqual({ times: 8 * rounds, last: 8 * rounds, racers: 8 });
});

testWithPostgres('who does not get it hears who has it, since when, and that it lives; what it guards elsewhere is free', async () => {
  expect(await hostLockHolder(target)).toBeNull();
  expect(await postgres.query(url, "SELECT to_regnamespace('rungs') AS made")).toEqual([{ made: null }]);
  const lock = await take();
  const expected = {
    host: 'here',
    pid: process.pid,
    since: expect.stringMatching(/^20.*Z$/),
    heartbeatAt: expect.stringMatching(/^20.*Z$/),
  };
  expect(await acquireHostLock(target, { host: 'there', pid: 7 })).toMatchObject({ holder: expected });
  expect(await hostLockHolder(target)).toMatchObject(expected);
  await take({ ...target, installation: 'another' });
  await lock.release();
  await lock.release();
  expect(await hostLockHolder(target)).toBeNull();
  expect(Number((await take()).epoch)).toBe(Number(lock.epoch) + 1);
});

testWithPostgres('who waits gets it as soon as it is free, or says in time that it did not', async () => {
  const lock = await take();
  expect(await acquireHostLock(target, who, { waitMs: 50 })).toMatchObject({ holder: { pid: process.pid } });
  let isWaiting = (): void => undefined;
  const waits = new Promise<void>((resolve) => void (isWaiting = resolve));
  const next = acquireHostLock(target, { host: 'there', pid: 7 }, { waitMs: 60_000, onWait: () => isWaiting() });
  await waits;
  await lock.release();
  const got = await next;
  if ('holder' in got) throw new Error('it was free');
  locks.push(got);
  expect(await hostLockHolder(target)).toMatchObject({ host: 'there', pid: 7 });
});

testWithPostgres('waiting ends when it is told to', async () => {
  await take();
  const stop = new AbortController();
  const waiting = acquireHostLock(target, who, { waitMs: 60_000, signal: stop.signal, onWait: () => stop.abort() });
  await expect(waiting).rejects.toThrow(/abort/i);
});

testWithPostgres('when the holder is killed, the next one gets it', async () => {
  const { child } = contend(1, 'hold');
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  expect(await hostLockHolder(target)).toMatchObject({ pid: child.pid });
  const next = take(target, 60_000);
  child.kill('SIGKILL');
  expect((await next).epoch).toBe('2');
});

testWithPostgres('a holder whose session is ended hears of it', async () => {
  const lock = await take();
  const lost = new Promise((resolve) => lock.lost.addEventListener('abort', resolve));
  await postgres.query(url, 'SELECT pg_terminate_backend($1)', [lock.backend]);
  await lost;
  expect(failuresOf(lock.lost.reason)).toMatchObject([{ code: 'JOURNAL_LOST_LOCK' }]);
  expect((await take()).epoch).toBe('2');
});

testWithPostgres('a server that restarts while somebody waits does not end the waiting', async () => {
  const lock = await take();
  let isWaiting = (): void => undefined;
  const waits = new Promise<void>((resolve) => void (isWaiting = resolve));
  const patient = { ...target, attempts: 60, backoffMs: 50 };
  const next = acquireHostLock(patient, who, { waitMs: 60_000, onWait: () => isWaiting() });
  await waits;
  postgres.stop('immediate');
  postgres.start();
  const got = await next;
  if ('holder' in got) throw new Error('it was free');
  locks.push(got);
  expect(lock.lost.aborted).toBe(true);
});

testWithPostgres('a role that may not make the tables is told so; once they are there it need not be allowed to', async () => {
  await postgres.query(url, 'DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$');
  const guest = { ...target, url: postgres.url(new URL(url).pathname.slice(1), 'guest') };
  await expect(take(guest)).rejects.toThrow(/JOURNAL_WRITE_FAILED.*permission denied/);
  await (await take()).release();
  await postgres.query(url, 'GRANT USAGE ON SCHEMA rungs TO guest');
  await postgres.query(url, 'GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA rungs TO guest');
  expect((await take(guest)).epoch).toBe('2');
});

testWithPostgres('a pooler is refused: by what it tells of itself, or by one session for two of ours', async () => {
  const pooler = await startPooler(url, 'own');
  await expect(take({ ...target, url: pooler.url })).rejects.toThrow('POSTGRES_POOLER');
  await pooler.close();
  const sly = await startPooler(url, 'of-the-server');
  const through = { ...target, url: sly.url };
  const lock = await take(through);
  const opened = openPostgresJournal({ target: through, installation: 'shared', place: 'here', host: 'h', permit: lock });
  await expect(opened).rejects.toThrow('POSTGRES_POOLER');
  await lock.release();
  await sly.close();
});
