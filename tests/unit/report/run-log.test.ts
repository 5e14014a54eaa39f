import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRunLog } from '../../../src/report/run-log.ts';
import { createScrubber } from '../../../src/report/scrub.ts';
import { failing, rolledBackResult, stamped } from './sample-run.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rungs-run-log-'));
});
afterEach(async () => rm(dir, { recursive: true, force: true }));

const lines = async () =>
  (await readFile(join(dir, 'run.log'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
const asItIs = (text: string) => text;

test('every event but progress is a line, and all are there when the run has ended', async () => {
  const log = createRunLog({ dir, scrub: asItIs });
  const events = stamped([...failing, { type: 'run-finished', outcome: 'rolled-back', result: rolledBackResult }]);
  for (const event of events) log(event);
  const kept = events.filter(({ type }) => !type.endsWith('-progress'));
  expect((await lines()).map(({ type, seq }) => [seq, type])).toEqual(kept.map(({ type, seq }) => [seq, type]));
  expect((await lines()).find(({ type }) => type === 'step-finished')).toMatchObject({
    level: 30,
    time: '2026-01-02T03:04:05.678Z',
    msg: 'v0.1.0_to_v0.2.0/001_add_email applied',
  });
  expect((await lines()).find(({ type, status }) => type === 'step-finished' && status === 'failed')).toMatchObject({ level: 50 });
});

test('only its owner reads it, and it is made at the first event', async () => {
  const log = createRunLog({ dir, scrub: asItIs });
  expect(await readdir(dir)).toEqual([]);
  for (const event of stamped(failing)) log(event);
  expect((await stat(join(dir, 'run.log'))).mode & 0o777).toBe(0o600);
});

test('a resumed run goes on in the same file', async () => {
  for (const _ of [1, 2]) {
    const log = createRunLog({ dir, scrub: asItIs });
    for (const event of stamped([{ type: 'warning', message: 'hello' }])) log(event);
  }
  expect(await lines()).toHaveLength(2);
});

test('no secret and no control character gets in', async () => {
  const log = createRunLog({ dir, scrub: createScrubber(['hunter2']) });
  for (const event of stamped([{ type: 'warning', message: 'it is hunter2 \u001b[2J\u009b1m' }])) log(event);
  const text = await readFile(join(dir, 'run.log'), 'utf8');
  expect(text).not.toMatch(/hunter2|\\u001b|\u009b/);
  expect((await lines())[0]).toMatchObject({ message: 'it is *** \\x1b[2J\\x9b1m' });
});

test('a line about a step does not wait for long', async () => {
  const log = createRunLog({ dir, scrub: asItIs });
  for (const event of stamped([{ type: 'step-started', step: 's', action: 'apply', description: '' }])) log(event);
  for (let waited = 0; waited < 100 && (await readFile(join(dir, 'run.log'), 'utf8')) === ''; waited += 1) await sleep(50);
  expect(await lines()).toHaveLength(1);
});

test('of a flood the beginning is kept', async () => {
  const log = createRunLog({ dir, scrub: asItIs });
  const flood = Array.from(
    { length: 5_000 },
    (_, index) => ({ type: 'step-output', step: 's', stream: 'stdout', line: `${index}`, transient: true }) as const,
  );
  for (const event of stamped([...flood, { type: 'warning', message: 'end' }])) log(event);
  expect(await lines()).toHaveLength(1_001);
});

test('a log that cannot be written is told once, and fails nothing', async () => {
  const warned: string[] = [];
  const log = createRunLog({ dir: join(dir, 'gone'), scrub: asItIs, warn: (message) => warned.push(message) });
  for (const event of stamped(failing)) log(event);
  await sleep(20);
  for (const event of stamped(failing)) log(event);
  await sleep(400);
  expect(warned).toEqual([expect.stringContaining('run.log cannot be written')]);
});
