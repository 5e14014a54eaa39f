// The sample's service alone: every promise that tests and the demo lean on.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';

let scratch: Scratch;

beforeEach(async () => {
  scratch = await makeScratch();
});

afterEach(async () => {
  await scratch.remove();
});

test('a started service is a process of its own that answers with version, schema and users', async () => {
  await scratch.start();
  expect(await scratch.health()).toEqual({ status: 200, body: { ok: true, version: '0.1.0', schema: 1, users: 3000 } });
  expect(isAlive(await pid())).toBe(true);
  expect(service('status')).toMatchObject({ status: 0, stdout: `${await pid()}\n` });
  expect(service('health').status).toBe(0);
});

test('a stopped service is gone when the command returns', async () => {
  await scratch.start();
  const started = await pid();
  await scratch.stop();
  expect(isAlive(started)).toBe(false);
  expect(await scratch.health()).toBeNull();
  expect(service('status')).toMatchObject({ status: 3, stderr: 'web is not running\n' });
  expect(service('health').status).toBe(3);
});

test('start leaves a running service alone, stop a stopped one, and restart makes a new process', async () => {
  await scratch.stop();
  await scratch.start();
  const first = await pid();
  await scratch.start();
  expect(await pid()).toBe(first);
  expect(service('restart').status).toBe(0);
  expect(await pid()).not.toBe(first);
  expect(isAlive(first)).toBe(false);
});

test('a service that was killed is not believed to run, and starts again', async () => {
  await scratch.start();
  const first = await pid();
  process.kill(first, 'SIGKILL');
  await expect.poll(() => service('status').status).toBe(3);
  await scratch.start();
  expect(await pid()).not.toBe(first);
});

test('the number of another process in the PID file is not believed', async () => {
  await scratch.start();
  await scratch.stop();
  await writeFile(join(scratch.root, 'run/web.pid'), `${process.pid}\n`);
  expect(service('status').status).toBe(3);
  await scratch.stop();
  expect(isAlive(process.pid)).toBe(true);
});

test.each([
  { schema: 0, state: 'older' },
  { schema: 2, state: 'newer' },
])('a database with schema $schema is refused at the start, and by a server that runs', async ({ schema, state }) => {
  const sentence = `the database has schema ${schema}, which is ${state} than schema 1 that release 0.1.0 needs`;
  await scratch.start();
  setSchema(schema);
  expect(await scratch.health()).toEqual({ status: 503, body: { ok: false, version: '0.1.0', error: sentence } });
  expect(service('health').status).toBe(1);
  expect(service('restart')).toMatchObject({ status: 1, stderr: expect.stringContaining(`exit code 3: ${sentence}`) });
  expect(service('status').status).toBe(3);
  setSchema(1);
  await scratch.start();
});

test('a port that is taken fails the start, also when another healthy server answers on it', async () => {
  const other = await makeScratch();
  try {
    const env = { ...scratch.env, HOME_SERVER_PORT: String(other.port) };
    await other.start();
    const started = spawnSync(process.execPath, [join(scratch.root, 'bin/service'), 'start'], { encoding: 'utf8', env, timeout: 30_000 });
    expect(started).toMatchObject({ status: 1, stderr: expect.stringContaining('exit code 4: cannot listen') });
    expect(service('status').status).toBe(3);
    expect(await other.health()).toMatchObject({ status: 200 });
  } finally {
    await other.remove();
  }
});

test('commands that come together take turns', async () => {
  const commands = await Promise.all(['start', 'restart', 'start', 'restart'].map((name) => serviceAsync(name)));
  expect(commands).toEqual([0, 0, 0, 0]);
  expect(await scratch.health()).toMatchObject({ status: 200 });
});

test('the page shows users, with the size and the title of the settings', async () => {
  await scratch.start();
  const page = await (await fetch(`http://127.0.0.1:${scratch.port}/`)).text();
  expect(page).toContain('<h1>Our home</h1>');
  expect(page.match(/<tr>/g)).toHaveLength(25);
});

test('an unknown command is refused with the known ones', () => {
  expect(service('begin')).toMatchObject({ status: 2, stderr: 'usage: bin/service start|stop|restart|status|health\n' });
});

function service(name: string) {
  return spawnSync(process.execPath, [join(scratch.root, 'bin/service'), name], { encoding: 'utf8', env: scratch.env, timeout: 30_000 });
}

function serviceAsync(name: string): Promise<number | null> {
  return new Promise((settle) =>
    spawn(process.execPath, [join(scratch.root, 'bin/service'), name], { env: scratch.env, stdio: 'ignore' }).once('exit', settle),
  );
}

async function pid(): Promise<number> {
  return Number(await readFile(join(scratch.root, 'run/web.pid'), 'utf8'));
}

/** A zombie is not alive: where nobody collects orphans, as in some containers, a process that has ended stays one. */
function isAlive(number: number): boolean {
  try {
    process.kill(number, 0);
  } catch {
    return false;
  }
  return !existsSync('/proc/self/stat') || !/\) Z/.test(readFileSync(`/proc/${number}/stat`, 'utf8'));
}

function setSchema(schema: number): void {
  const database = new DatabaseSync(join(scratch.root, 'data/app.db'));
  database.exec(`PRAGMA user_version = ${schema}`);
  database.close();
}
