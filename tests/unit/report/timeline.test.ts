import { expect, test } from 'vitest';
import type { EventBody, UpgradeEvent } from '../../../src/model/event.ts';
import { createInk } from '../../../src/report/layout.ts';
import { renderTimeline } from '../../../src/report/timeline.ts';

const at = (ms: number, body: EventBody): UpgradeEvent => ({ ...body, seq: ms, at: new Date(ms).toISOString(), runId: 'r' });
const events = [
  at(0, { type: 'phase-started', phase: 'backup' }),
  at(1_000, { type: 'phase-finished', phase: 'backup', status: 'done', durationMs: 1_000 }),
  at(1_000, { type: 'phase-started', phase: 'orchestration' }),
  at(3_000, { type: 'step-finished', step: 't/001_long', action: 'apply', status: 'applied', durationMs: 2_000 }),
  at(3_001, { type: 'step-finished', step: 't/002_short', action: 'apply', status: 'applied', durationMs: 1 }),
  at(3_001, { type: 'phase-finished', phase: 'orchestration', status: 'failed', durationMs: 2_001 }),
  at(3_001, { type: 'phase-started', phase: 'rollback' }),
  at(4_000, { type: 'phase-finished', phase: 'rollback', status: 'done', durationMs: 999 }),
];
const draw = (columns: number) => renderTimeline(events, { ink: createInk(false), columns });

test('phases and the longest steps stand where they were, to one scale', () => {
  expect(`\n${draw(80).join('\n')}\n`).toMatchInlineSnapshot(`
    "
        backup                         ━━━━━━━━                               1.0 s
        orchestration                          ━━━━━━━━━━━━━━━━━              2.0 s
          001_long                             ─────────────────              2.0 s
        rollback                                                ━━━━━━━━     999 ms
    "
  `);
});

test.each([60, 100, 200])('at %i columns a bar is as long as its time', (columns) => {
  const bars = draw(columns).map((line) => /[━─]+/.exec(line)?.[0].length ?? 0);
  const [backup = 0, orchestration = 0] = bars;
  expect(Math.abs(orchestration - 2 * backup)).toBeLessThanOrEqual(2);
  for (const line of draw(columns)) expect(line.length).toBeLessThanOrEqual(columns);
});

test('a run in which no time has passed has none', () => {
  expect(renderTimeline([at(0, { type: 'phase-started', phase: 'backup' })], { ink: createInk(false), columns: 80 })).toEqual([]);
});
