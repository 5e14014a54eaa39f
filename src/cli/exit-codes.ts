// What a command's end means to the shell: the contract's table.
import type { Failure } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import type { Outcome, ResultDocument } from '../model/run.ts';

export const exitCodes = { done: 0, bug: 1, usage: 2, refused: 3, rolledBack: 10, stopped: 11, stranded: 12, locked: 75 } as const;

const ofOutcome: Readonly<Record<Outcome, number>> = {
  committed: exitCodes.done,
  'nothing-to-do': exitCodes.done,
  refused: exitCodes.refused,
  'rolled-back': exitCodes.rolledBack,
  stopped: exitCodes.stopped,
  stranded: exitCodes.stranded,
};

// Refusals of something that is well-formed. Every other code that stops a command early means that config, migrations or usage are wrong.
const refusals: ReadonlySet<string> = new Set([
  'FROM_MISMATCH',
  'DOWNGRADE_REFUSED',
  'PLAN_CHANGED',
  'PLAN_FILES_CHANGED',
  'RUN_UNFINISHED',
  'RUN_STRANDED',
  'RUN_ROLLING_BACK',
  'ROLLBACK_NEEDED',
  'NO_UNFINISHED_RUN',
  'RUN_UNKNOWN',
  'LOG_MISSING',
  'RUN_ELSEWHERE',
  'STEP_MAY_STILL_RUN',
  'BACKUP_UNKNOWN',
  'NOT_CONFIRMED',
  'JOURNAL_CORRUPT',
  'JOURNAL_MISSING',
  'JOURNAL_NEWER',
  'VERSION_CHANGED',
  'RUN_TIMED_OUT',
  'DETACHED_RUN_DID_NOT_START',
  'HANDOVER_UNUSABLE',
  'NOTHING_TO_START',
  'LADDER_ALREADY_ADOPTED',
  'LADDER_CLIMBED_ALREADY',
  'LADDER_EDITED',
]);
const refusedPrefixes = ['BACKUP_', 'RESTORE_', 'VERSION_SOURCE_', 'POSTGRES_'];

export function exitCodeOfResult({ outcome, failure }: Pick<ResultDocument, 'outcome' | 'failure'>): number {
  if (outcome === 'refused' && failure?.code === 'LOCK_HELD') return exitCodes.locked;
  return ofOutcome[outcome];
}

/** Of what the preflight found: whether the upgrade would be refused. */
export function exitCodeOfFindings(findings: readonly Finding[]): number {
  const blocking = findings.filter(({ level }) => level === 'block');
  if (blocking.some(({ code }) => code === 'LOCK_HELD')) return exitCodes.locked;
  return blocking.length > 0 ? exitCodes.refused : exitCodes.done;
}

export function exitCodeOfFailures(failures: readonly Failure[]): number {
  const codes = failures.map(({ code }): string => code);
  // What every shell gives for a command that it cannot start.
  if (codes.includes('BOOT_PROGRAM_MISSING')) return 127;
  if (codes.includes('BOOT_PROGRAM_NOT_EXECUTABLE')) return 126;
  if (['INTERNAL', 'JOURNAL_WRITE_FAILED', 'JOURNAL_LOST_LOCK'].some((code) => codes.includes(code))) return exitCodes.bug;
  // A run that lost its journal in the middle can neither be resumed nor put back.
  if (codes.includes('JOURNAL_GONE')) return exitCodes.stranded;
  if (codes.includes('LOCK_HELD')) return exitCodes.locked;
  // A restore by hand that stopped on its way: the message tells what stands where.
  if (codes.includes('RESTORE_FAILED') || codes.includes('RESTORE_INCOMPLETE')) return exitCodes.stranded;
  // What the preflight of a run in a process of its own found comes back as an error.
  const isRefusal = ({ code, phase }: Failure): boolean =>
    phase === 'preflight' || refusals.has(code) || refusedPrefixes.some((prefix) => code.startsWith(prefix));
  return codes.length > 0 && failures.every(isRefusal) ? exitCodes.refused : exitCodes.usage;
}
