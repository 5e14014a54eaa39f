// Two hosts of one installation with a journal in PostgreSQL: one works at a time; when it is cut off it stops, and the other can take over.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { startPooler } from '../../support/postgres-proxies.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { processesIn, repository, until, type Ended } from './installation.ts';

const step = 'v1.0.0_to_v1.1.0/001_waits';
let postgres: TestPostgres;
let url: string;
let dir: string;
let one: Host;
let other: Host;
const running: ChildProcess[] = [];

interface Host {
  readonly root: string;
  readonly upgrade: (...args: readonly string[]) => Promise<Ended>;
  /** Its step has begun and waits. */
  readonly waits: () => boolean;
  readonly go: () => void;
  readonly version: () => string;
}

function host(name: string): Host {
  const root = path.join(dir, name);
  mkdirSync(root);
  writeFileSync(path.join(root, 'VERSION'), '1.0.0\n');
  writeFileSync(
    path.join(root, 'upgrade.yaml'),
    `product: shared\nversion: { file: VERSION }\nmigrations: ../migrations\nbackup: { include: [VERSION, data] }\njournal: { postgres: "\${JOURNAL}" }\n`,
  );
  mkdirSync(path.join(root, 'data'));
  return {
    root,
    upgrade: (...args) => run(root, args),
    waits: () => existsSync(path.join(root, 'waits')),
    go: () => writeFileSync(path.join(root, 'go'), ''),
    version: () => readFileSync(path.join(root, 'VERSION'), 'utf8').trim(),
  };
}

function run(root: string, args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, NO_COLOR: '1', JOURNAL: url };
  const child = spawn(process.execPath, [path.join(repository, 'bin/upgrade.mjs'), ...args, '-c', path.join(root, 'upgrade.yaml')], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  return new Promise((resolve) => void child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
}

function cutHolder(): Promise<unknown> {
  return postgres.query(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rungs lock%'");
}

beforeAll(async () => {
  postgres = await startPostgres();
});
beforeEach(async () => {
  url = await postgres.database();
  dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-hosts-')));
  const folder = path.join(dir, 'migrations', path.dirname(step));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(dir, 'migrations', `${step}.sh`),
    '#!/bin/sh\n# rungs: { idempotent: true }\n[ "$1" = backward ] && exit 0\ntouch waits\nwhile [ ! -e go ]; do sleep 0.01; done\ntouch data/done\n',
  );
  one = host('one');
  other = host('other');
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  for (const pid of processesIn(dir)) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});

testWithPostgres('while one host works, the other is refused and sees who works, and what it does', async () => {
  const first = one.upgrade('--json', '--yes');
  await until('the step waits', one.waits);
  const refused = await other.upgrade('--json', '--yes');
  expect(refused.code, refused.stdout + refused.stderr).toBe(75);
  expect(JSON.parse(refused.stdout).failure).toMatchObject({ code: 'LOCK_HELD' });
  expect(existsSync(path.join(other.root, '.upgrade'))).toBe(false);
  const status = JSON.parse((await other.upgrade('status', '--json')).stdout);
  expect(status).toMatchObject({ state: 'unfinished', lock: { host: os.hostname(), pid: running[0]?.pid, phase: 'orchestration' } });
  const followed = other.upgrade('follow', '--events');
  one.go();
  expect((await first).code).toBe(0);
  expect((await followed).stdout).toContain('"type":"run-finished"');
  expect(JSON.parse((await other.upgrade('history', '--json')).stdout)).toMatchObject([{ outcome: 'committed' }]);
  expect(one.version()).toBe('1.1.0');
});

testWithPostgres('a holder that is cut off writes nothing more and ends its step; the other host finishes the run', async () => {
  const first = one.upgrade('--json', '--yes');
  await until('the step waits', one.waits);
  await cutHolder();
  const { code, stdout, stderr } = await first;
  expect(code, stdout + stderr).toBe(1);
  expect(stdout).toContain('JOURNAL_LOST_LOCK');
  expect(processesIn(dir)).toEqual([]);
  expect((await postgres.query(url, 'SELECT status FROM rungs.run_steps'))[0]).toEqual({ status: 'running' });
  expect(existsSync(path.join(one.root, 'data/done'))).toBe(false);
  other.go();
  const taken = await other.upgrade('resume', '--json');
  expect(taken.code, taken.stdout + taken.stderr).toBe(0);
  const document = JSON.parse(taken.stdout);
  expect(document).toMatchObject({ outcome: 'committed', version: '1.1.0', steps: [{ id: step, status: 'applied', attempts: 2 }] });
  expect(document.warnings.join(' ')).toContain('another host');
  expect(other.version()).toBe('1.1.0');
});

testWithPostgres('what the other host did to files is not said to be undone from here; there it is', async () => {
  const first = one.upgrade('--json', '--yes');
  await until('the step waits', one.waits);
  await cutHolder();
  expect((await first).code).toBe(1);
  const refused = await other.upgrade('rollback', '--json');
  expect(refused.code, refused.stdout + refused.stderr).toBe(3);
  expect(refused.stdout).toContain('RUN_ELSEWHERE');
  expect(JSON.parse((await one.upgrade('status', '--json')).stdout)).toMatchObject({ state: 'unfinished', run: { course: 'forwards' } });
  const undone = await one.upgrade('rollback', '--json');
  expect(undone.code, undone.stdout + undone.stderr).toBe(10);
  expect(JSON.parse(undone.stdout)).toMatchObject({ outcome: 'rolled-back', version: '1.0.0' });
});

testWithPostgres('a server that restarts in the middle of a run stops it; it is resumed', async () => {
  const first = one.upgrade('--json', '--yes');
  await until('the step waits', one.waits);
  postgres.stop('immediate');
  postgres.start();
  const { code, stdout, stderr } = await first;
  expect(code, stdout + stderr).toBe(1);
  one.go();
  const resumed = await one.upgrade('resume', '--json');
  expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0);
  expect(one.version()).toBe('1.1.0');
});

testWithPostgres('a journal that cannot be reached, or only through a pooler, is refused before anything is changed', async () => {
  const real = url;
  url = 'postgres://me:sesame@127.0.0.1:1/nothing';
  for (const args of [
    ['--yes', '--json'],
    ['doctor', '--json'],
  ]) {
    const { code, stdout, stderr } = await one.upgrade(...args);
    expect(code, stdout + stderr).toBe(3);
    expect(stdout, args.join(' ')).toContain('POSTGRES_UNREACHABLE');
    expect(stdout + stderr).not.toContain('sesame');
  }
  const pooler = await startPooler(real, 'own');
  url = pooler.url;
  const { code, stdout, stderr } = await one.upgrade('--yes', '--json');
  expect(code, stdout + stderr).toBe(3);
  expect(stdout).toContain('POSTGRES_POOLER');
  await pooler.close();
  expect(await postgres.query(real, "SELECT to_regnamespace('rungs') AS made")).toEqual([{ made: null }]);
  expect(one.version()).toBe('1.0.0');
});
