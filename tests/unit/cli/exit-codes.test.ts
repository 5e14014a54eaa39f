// The contract's table of exit codes.
import { expect, test } from 'vitest';
import { exitCodeOfFailures, exitCodeOfFindings, exitCodeOfResult } from '../../../src/cli/exit-codes.ts';
import type { FailureCode } from '../../../src/model/failure.ts';

const failure = (code: FailureCode) => ({ code, message: 'm', hint: 'h' });

test.each([
  ['committed', 0],
  ['nothing-to-do', 0],
  ['refused', 3],
  ['rolled-back', 10],
  ['stopped', 11],
  ['stranded', 12],
] as const)('%s: %d', (outcome, code) => expect(exitCodeOfResult({ outcome, failure: null })).toBe(code));

test('a lock that is held, wherever it is met: 75', () => {
  expect(exitCodeOfResult({ outcome: 'refused', failure: failure('LOCK_HELD') })).toBe(75);
  expect(exitCodeOfFailures([failure('LOCK_HELD')])).toBe(75);
  expect(exitCodeOfFindings([{ level: 'block', ...failure('LOCK_HELD') }])).toBe(75);
});

test.each([
  ['INTERNAL', 1],
  ['JOURNAL_WRITE_FAILED', 1],
  ['UNKNOWN_COMMAND', 2],
  ['WRONG_VALUE', 2],
  ['STEP_NAME', 2],
  ['NO_PATH', 2],
  ['COMMAND_NOT_YET', 2],
  ['LADDER_INDEX_UNREADABLE', 2],
  ['RUN_UNFINISHED', 3],
  ['FROM_MISMATCH', 3],
  ['BACKUP_CORRUPT', 3],
  ['NOT_CONFIRMED', 3],
  ['LADDER_ALREADY_ADOPTED', 3],
  ['LADDER_CLIMBED_ALREADY', 3],
  ['RESTORE_PATH_UNKNOWN', 3],
  ['RESTORE_INCOMPLETE', 12],
  ['BOOT_ENVIRONMENT', 2],
  ['BOOT_PROGRAM_NOT_EXECUTABLE', 126],
  ['BOOT_PROGRAM_MISSING', 127],
] as const)('%s: %d', (code, exit) => expect(exitCodeOfFailures([failure(code)])).toBe(exit));

test('wrong migrations weigh more than a refusal, a bug more than all', () => {
  expect(exitCodeOfFailures([failure('FROM_MISMATCH'), failure('STEP_NAME')])).toBe(2);
  expect(exitCodeOfFailures([failure('LOCK_HELD'), failure('INTERNAL')])).toBe(1);
});

test('only what blocks is refused', () => {
  expect(exitCodeOfFindings([])).toBe(0);
  expect(exitCodeOfFindings([{ level: 'warn', ...failure('DATABASE_MISSING') }])).toBe(0);
  expect(exitCodeOfFindings([{ level: 'block', ...failure('DATABASE_CORRUPT') }])).toBe(3);
});
