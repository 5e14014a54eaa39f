// What every reporter promises: it takes every event, it keeps secrets and control characters in, and it never fails a run.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { EventBody } from '../../src/model/event.ts';
import { failure } from '../../src/model/failure.ts';
import { createJsonReporter } from '../../src/report/json.ts';
import { createInk } from '../../src/report/layout.ts';
import { createNdjsonReporter } from '../../src/report/ndjson.ts';
import { createOutput, type Output } from '../../src/report/output.ts';
import { createLiveReporter } from '../../src/report/live/live.ts';
import { createPlainReporter } from '../../src/report/plain.ts';
import type { Reporter, Scrub } from '../../src/report/reporter.ts';
import { createScrubber } from '../../src/report/scrub.ts';
import { committedResult, failing, rolledBackResult, stamped, stepFailure, succeeding } from '../unit/report/sample-run.ts';

/** What the live reporter itself tells a terminal: moves, erasing, and what is shown at once. */
const drawing = /\r|\u001b\[(\?(2026|25|7)[hl]|\d+[AE]|[JK])/g;

interface Member {
  readonly name: string;
  readonly create: (output: Output, scrub: Scrub) => Reporter;
}

const members: readonly Member[] = [
  { name: 'plain', create: (output, scrub) => createPlainReporter({ output, ink: createInk(false), verbosity: 'verbose', scrub }) },
  { name: 'quiet', create: (output, scrub) => createPlainReporter({ output, ink: createInk(false), verbosity: 'quiet', scrub }) },
  { name: 'live', create: (output, scrub) => createLiveReporter({ output, ink: createInk(false), verbosity: 'normal', scrub }) },
  {
    name: 'live and verbose',
    create: (output, scrub) => createLiveReporter({ output, ink: createInk(false), verbosity: 'verbose', scrub }),
  },
  { name: 'json', create: (output, scrub) => createJsonReporter({ output, scrub }) },
  { name: 'ndjson', create: (output, scrub) => createNdjsonReporter({ output, scrub }) },
];

const evil = 'hunter2 \u001b[2J\u001b]0;owned\u0007\u009b31m\u202e';
/** Every kind of event with something evil wherever text of others can be. */
const everything: readonly EventBody[] = [
  ...succeeding,
  ...failing,
  { type: 'step-started', step: 's', action: 'apply', description: evil },
  { type: 'step-output', step: 's', stream: 'stderr', line: evil, transient: true },
  { type: 'step-progress', step: 's', done: 1, total: null, note: evil, transient: true },
  {
    type: 'step-finished',
    step: 's',
    action: 'apply',
    status: 'in-doubt',
    durationMs: 1,
    failure: { ...stepFailure, message: evil, log: [evil] },
  },
  { type: 'step-survivors', step: 's', survivors: [{ pid: 1, command: evil }] },
  { type: 'phase-started', phase: 'restart' },
  {
    type: 'service-settled',
    report: {
      name: 'api',
      status: 'unhealthy',
      durationMs: 1,
      failure: failure('SERVICE_DIED', { service: 'api', afterMs: 1 }, { log: [evil] }),
    },
  },
  { type: 'probe-settled', report: { name: 'p', status: 'failed', attempts: 1, durationMs: 1, detail: evil } },
  { type: 'finding', finding: { level: 'warn', code: 'X', message: evil, hint: evil } },
  { type: 'restored', restored: { path: evil, why: evil } },
  { type: 'backup-pruned', id: 'old' },
  { type: 'warning', message: evil },
];
const evilResult = {
  ...rolledBackResult,
  failure: { ...stepFailure, message: evil, hint: evil, log: [evil] },
  failures: [{ ...stepFailure, message: evil, log: [evil] }],
  warnings: [evil],
};

function tell(create: Member['create'], scrub: Scrub): string {
  let text = '';
  const reporter = create(
    createOutput({
      write: (piece) => {
        text += piece;
      },
      isTTY: true,
      columns: 80,
    }),
    scrub,
  );
  for (const event of stamped(everything)) reporter.onEvent(event);
  reporter.finish(evilResult);
  return text;
}

describe.each(members)('the $name reporter', ({ create }) => {
  test('lets no secret out', () => {
    const text = tell(create, createScrubber(['hunter2']));
    expect(text).not.toContain('hunter2');
    expect(text).toContain('***');
  });

  test('lets nothing through that a terminal would obey', () => {
    const text = tell(create, (same) => same).replace(drawing, '');
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(text).toContain('hunter2');
  });

  test('goes on when the reader has gone', () => {
    let writes = 0;
    const listeners: ((error: NodeJS.ErrnoException) => void)[] = [];
    const problems: string[] = [];
    const output = createOutput(
      {
        write: () => {
          writes += 1;
          throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
        },
        on: (_, listener) => listeners.push(listener),
        isTTY: false,
      },
      (message) => problems.push(message),
    );
    const reporter = create(output, (same) => same);
    for (const event of stamped(everything)) reporter.onEvent(event);
    reporter.finish(committedResult);
    reporter.finish(evilResult);
    for (const listener of listeners) listener(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect([writes, problems]).toEqual([1, []]);
  });

  test('tells once, elsewhere, that the output cannot be written', () => {
    const problems: string[] = [];
    const reporter = create(
      createOutput(
        {
          write: () => {
            throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
          },
        },
        (message) => problems.push(message),
      ),
      (same) => same,
    );
    for (const event of stamped(everything)) reporter.onEvent(event);
    reporter.finish(evilResult);
    expect(problems).toEqual([expect.stringContaining('no space left')]);
  });
});

test.each(members.filter(({ name }) => name.endsWith('json')))(
  'the $name reporter writes JSON that says the same as the result',
  ({ name, create }) => {
    const text = tell(create, (same) => same);
    const documents = name === 'json' ? [text] : text.trimEnd().split('\n');
    expect(JSON.parse(documents.at(-1) ?? '')).toEqual(evilResult);
    expect(documents).toHaveLength(name === 'json' ? 1 : everything.length + 1);
    if (name === 'ndjson')
      expect(documents.slice(0, -1).map((line): unknown => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(stamped(everything))));
  },
);

test('a real pipe whose reader leaves in the middle does not end the process', async () => {
  const program = fileURLToPath(new URL('../fixtures/services/report-into-pipe.ts', import.meta.url));
  const child = spawn('sh', ['-c', `"${process.execPath}" "${program}" | head -n 1`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await once(child, 'close');
  expect(said).toBe('the run went on\n');
});
