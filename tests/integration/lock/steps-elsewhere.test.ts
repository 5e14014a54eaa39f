// What one host may do about steps that another one has run: all of it where a marker row decides, else nothing that it cannot see.
import { expect, test } from 'vitest';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { Plan, Step } from '../../../src/model/plan.ts';
import type { StepRecord, StepStatus } from '../../../src/model/run.ts';
import { refuseRunningElsewhere, refuseUndoingElsewhere } from '../../../src/session/steps-elsewhere.ts';

const kinds: Readonly<Record<string, Partial<Step>>> = {
  script: { kind: 'sh' },
  'SQL in a transaction': { kind: 'sql', transaction: true },
  'SQL without one': { kind: 'sql', transaction: false },
  'a module of files': { kind: 'ts', isDatabaseOnly: false },
  'a module of one database': { kind: 'ts', isDatabaseOnly: true },
};

test.each<{ kind: string; status: StepStatus; elsewhere: string | null; running: string; undoing: string }>([
  { kind: 'script', status: 'running', elsewhere: 'a', running: 'STEP_MAY_STILL_RUN', undoing: 'RUN_ELSEWHERE' },
  { kind: 'SQL without one', status: 'running', elsewhere: 'a', running: 'STEP_MAY_STILL_RUN', undoing: 'RUN_ELSEWHERE' },
  { kind: 'a module of files', status: 'applied', elsewhere: 'a', running: 'none', undoing: 'RUN_ELSEWHERE' },
  { kind: 'script', status: 'revert-failed', elsewhere: 'a', running: 'none', undoing: 'RUN_ELSEWHERE' },
  { kind: 'script', status: 'reverted', elsewhere: 'a', running: 'none', undoing: 'none' },
  { kind: 'script', status: 'running', elsewhere: null, running: 'none', undoing: 'none' },
  { kind: 'SQL in a transaction', status: 'running', elsewhere: 'a', running: 'none', undoing: 'none' },
  { kind: 'a module of one database', status: 'applied', elsewhere: 'a', running: 'none', undoing: 'none' },
])('$kind, $status, elsewhere: $elsewhere', ({ kind, status, elsewhere, running, undoing }) => {
  const plan = { transitions: [{ steps: [{ id: 't/s', ...kinds[kind] }] }] } as unknown as Plan;
  const record = { stepId: 't/s', status, ...(elsewhere === null ? {} : { elsewhere }) } as StepRecord;
  expect(codeOf(() => refuseRunningElsewhere(plan, [record]))).toBe(running);
  expect(codeOf(() => refuseUndoingElsewhere(plan, [record]))).toBe(undoing);
});

function codeOf(attempt: () => void): string {
  try {
    attempt();
    return 'none';
  } catch (error) {
    return error instanceof UpgradeError ? String(error.failures[0]?.code) : String(error);
  }
}
