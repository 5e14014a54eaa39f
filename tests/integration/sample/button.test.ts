// The sample's button: the service asks for the upgrade that restarts it, and afterwards its new process tells how that went.
import { appendFile, copyFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../support/until.ts';
import { differencesBetween, makeScratch, type Scratch } from './scratch.ts';

const repository = resolve(import.meta.dirname, '../../..');
const token = 'whoever-knows-this-may-press';
let scratch: Scratch;

beforeEach(async () => {
  scratch = await makeScratch();
  await appendFile(join(scratch.root, '.env'), `ADMIN_TOKEN=${token}\n`);
  await scratch.start();
});

afterEach(async () => {
  await scratch.remove();
});

test('the button upgrades the product that shows it, and the new process reports the outcome', async () => {
  const before = await processNumber();
  expect(await ask('GET')).toMatchObject({
    status: 200,
    body: { version: '0.1.0', run: null, pending: [expect.any(String), expect.any(String)] },
  });
  const pressed = await ask('POST');
  expect(pressed).toMatchObject({ status: 202, body: { from: '0.1.0', to: '0.3.0', runId: expect.stringMatching(/^[0-9A-Z]{26}$/) } });
  // Whoever presses twice hears of the first.
  const again = await ask('POST').catch(() => null);
  if (again !== null && again.status !== 200) expect(again).toMatchObject({ status: 409, body: { failures: [{ code: 'LOCK_HELD' }] } });
  const told = await untilOver();
  expect(told).toEqual({
    version: '0.3.0',
    pending: [],
    run: { id: idIn(pressed.body), from: '0.1.0', to: '0.3.0', state: 'committed', phase: 'commit', failure: null },
  });
  expect(await processNumber()).not.toBe(before);
  expect(await scratch.health()).toMatchObject({ status: 200, body: { version: '0.3.0' } });
  expect(await ask('POST')).toEqual({ status: 200, body: { outcome: 'nothing-to-do', version: '0.3.0' } });
});

test('an upgrade that fails is told by the old version, which is back', async () => {
  await copyFile(join(repository, 'examples/demo/006_break.ts'), join(scratch.migrations, 'v0.2.0_to_v0.3.0/006_break.ts'));
  const before = await scratch.snapshot();
  expect((await ask('POST')).status).toBe(202);
  const { run, version } = await untilOver();
  expect(version).toBe('0.1.0');
  expect(run).toMatchObject({ state: 'rolled-back', failure: { code: 'STEP_FAILED', hint: expect.any(String) } });
  expect(differencesBetween(before, await scratch.snapshot())).toEqual([]);
});

test('what speaks against an upgrade is told at once, with its code, and leaves nothing', async () => {
  await writeFile(join(scratch.migrations, 'v0.1.0_to_v0.2.0/transition.yaml'), 'requires: { env: [NOBODY_HAS_SET_THIS] }\n');
  const before = await scratch.snapshot();
  expect(await ask('POST')).toMatchObject({ status: 409, body: { failures: [{ code: 'ENV_MISSING' }] } });
  expect((await ask('GET')).body).toMatchObject({ run: null });
  expect(differencesBetween(before, await scratch.snapshot())).toEqual([]);
});

test('nobody presses it without the token', async () => {
  for (const given of [null, 'Bearer', 'Bearer something-else', `Basic ${token}`]) {
    expect((await ask('POST', given)).status).toBe(401);
    expect((await ask('GET', given)).status).toBe(401);
  }
  expect((await ask('GET')).body).toMatchObject({ run: null });
});

interface Told {
  readonly version: string;
  readonly pending: readonly string[];
  readonly run: { readonly state: string } | null;
}

/** Asked again and again, as a page would that is reloaded: while the service is restarted nobody answers. */
async function untilOver(): Promise<Told> {
  return until('the outcome', async () => {
    const answer = await ask('GET').catch(() => null);
    const told = answer?.body as Told | undefined;
    return told?.run === null || told === undefined || told.run.state === 'running' ? null : told;
  });
}

async function ask(method: 'GET' | 'POST', authorization: string | null = `Bearer ${token}`) {
  const response = await fetch(`http://127.0.0.1:${scratch.port}/admin/upgrade`, {
    method,
    headers: authorization === null ? {} : { authorization },
  });
  const body: unknown = await response.json();
  return { status: response.status, body };
}

async function processNumber(): Promise<string | null> {
  return (await fetch(`http://127.0.0.1:${scratch.port}/health`)).headers.get('x-process');
}

function idIn(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'runId' in body ? body.runId : null;
}
