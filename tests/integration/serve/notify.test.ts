// Whoever is to be told is told: signed, in his own words, once under one id, also when he was away, and also when the sender was killed.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { environment, executable, makeSmall, type Small } from '../cli/installation.ts';
import { until } from '../pipeline/installation.ts';
import { startReceiver, type Receiver } from './receiver.ts';
import { startServe, type Served } from './server.ts';

let receiver: Receiver;
let small: Small | null = null;
let served: Served | null = null;

beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await served?.stop();
  served = null;
  await receiver.close();
  if (small !== null) rmSync(small.dir, { recursive: true, force: true });
});

const secret = 'a very secret key';
const env = { HOOK_SECRET: secret };
const make = (notify: string): Small => (small = makeSmall({ fails: true, config: `notify: [${notify}]\n` }));
const ids = (): readonly unknown[] => receiver.received.map(({ headers }) => headers['webhook-id']);

test('a webhook is told about a rollback, with a signature that its receiver can check', async () => {
  const { upgrade } = make(`{ webhook: "${receiver.url}/hook", secret: "\${HOOK_SECRET}", headers: { x-team: ops } }`);
  const { code, stdout } = await upgrade(['--to', '3.0.0', '--json'], { env });
  expect(code).toBe(10);
  const [{ path, headers, body } = { path: '', headers: {}, body: '' }, ...more] = receiver.received;
  expect(more).toEqual([]);
  expect(path).toBe('/hook');
  const { runId } = JSON.parse(stdout) as { runId: string };
  expect(JSON.parse(body)).toMatchObject({
    id: headers['webhook-id'],
    product: 'small',
    runId,
    outcome: 'rolled-back',
    from: '1.0.0',
    to: '3.0.0',
    version: '1.0.0',
    failure: { code: 'STEP_FAILED', step: 'v2.0.0_to_v3.0.0/001_fails' },
    next: `upgrade history ${runId}`,
  });
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', secret).update(signed).digest('base64')}`);
  expect(headers['x-team']).toBe('ops');
});

test('only the outcomes that are named are told', async () => {
  const { upgrade } = make(`{ webhook: "${receiver.url}/bad" }, { webhook: "${receiver.url}/good", on: [committed] }`);
  expect((await upgrade(['--to', '2.0.0'])).code).toBe(0);
  expect(receiver.received.map(({ path }) => path)).toEqual(['/good']);
});

test.each([
  { template: 'ntfy', has: [/^2\.0\.0 → 3\.0\.0 on /, /Next: upgrade history/] },
  { template: 'slack', has: [/"color":"#c98a0b"/, /rolled back/] },
  { template: 'discord', has: [/"embeds":\[/, /"allowed_mentions":\{"parse":\[\]\}/] },
])('$template is told in its own words', async ({ template, has }) => {
  const { upgrade } = make(`{ webhook: "${receiver.url}/topic", template: ${template} }`);
  await upgrade(['--to', '2.0.0']);
  expect((await upgrade(['--to', '3.0.0'])).code).toBe(10);
  const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
  for (const pattern of has) expect(body).toMatch(pattern);
  if (template === 'ntfy')
    expect(headers).toMatchObject({ title: 'small: the upgrade failed and was rolled back', priority: 'high', tags: 'warning' });
});

test('a receiver that is away keeps no run for long, and hears later, under the same id', async () => {
  const { upgrade } = make(`{ name: on-call, webhook: "${receiver.url}/hook" }`);
  receiver.answer = 503;
  const failed = await upgrade(['--to', '3.0.0', '--json']);
  expect(failed.code).toBe(10);
  expect((JSON.parse(failed.stdout) as { warnings: readonly string[] }).warnings.join()).toMatch(
    /on-call could not be told .* it answered 503/,
  );
  const waiting = JSON.parse((await upgrade(['notify', 'list', '--json'])).stdout) as readonly Record<string, unknown>[];
  expect(waiting).toMatchObject([{ target: 'on-call', outcome: 'rolled-back', sentAt: null, failure: { code: 'NOTIFY_FAILED' } }]);
  receiver.answer = 200;
  expect((await upgrade(['notify', 'send'])).code).toBe(0);
  expect(new Set(ids()).size).toBe(1);
  expect(JSON.parse((await upgrade(['notify', 'list', '--json'])).stdout)).toMatchObject([{ nextAt: null, failure: null }]);
  const before = receiver.received.length;
  expect((await upgrade(['notify', 'send'])).stdout).toContain('Nothing waits');
  expect(receiver.received).toHaveLength(before);
});

test('a sender that is killed while it sends loses nothing: whoever serves sends it, under the same id', async () => {
  const installed = make(`{ webhook: "${receiver.url}/hook" }`);
  receiver.answer = 'hang';
  const child = spawn(process.execPath, [executable, '--to', '3.0.0'], { cwd: installed.root, env: environment(), stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until('it is being sent', () => receiver.received.length > 0);
  child.kill('SIGKILL');
  await ended;
  receiver.answer = 200;
  served = await startServe(installed);
  // The claim of the one that was killed has to run out first.
  await until('it is sent again', () => receiver.received.length > 1, 90_000);
  await until('it is recorded', async () => {
    const [entry] = JSON.parse((await installed.upgrade(['notify', 'list', '--json'])).stdout) as readonly { sentAt: string | null }[];
    return entry?.sentAt !== null;
  });
  expect(receiver.received).toHaveLength(2);
  expect(new Set(ids()).size).toBe(1);
});

test('a message of a run that was killed at its very end is told by the next command', async () => {
  const installed = make(`{ webhook: "${receiver.url}/hook", on: [committed] }`);
  receiver.answer = 'hang';
  const child = spawn(process.execPath, [executable, '--to', '1.1.0'], { cwd: installed.root, env: environment(), stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until('it is being sent', () => receiver.received.length > 0);
  child.kill('SIGKILL');
  await ended;
  receiver.answer = 200;
  expect((await installed.upgrade(['notify', 'send'])).code).toBe(0);
  expect(new Set(ids()).size).toBe(1);
  expect(receiver.received).toHaveLength(2);
});

test('"notify test" says who understands us, and who does not', async () => {
  const { upgrade } = make(`{ webhook: "${receiver.url}/hook" }, { name: gone, webhook: "http://127.0.0.1:9/" }`);
  const { code, stdout } = await upgrade(['notify', 'test']);
  expect(code).toBe(3);
  expect(stdout).toMatch(/✓ notify\[0\]\n✗ gone: /);
});
