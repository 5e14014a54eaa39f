// Outcomes and step states as words and marks.
import type { Outcome, StepStatus } from '../model/run.ts';
import { marks } from './layout.ts';
import type { Ink } from './layout.ts';

export function outcomeText(outcome: Outcome | null): string {
  return outcome === null
    ? 'unfinished'
    : {
        committed: 'committed',
        'nothing-to-do': 'nothing to do',
        refused: 'refused',
        'rolled-back': 'rolled back',
        stopped: 'stopped',
        stranded: 'stranded',
      }[outcome];
}

export function outcomeMark(outcome: Outcome | null, ink: Ink): string {
  switch (outcome) {
    case 'committed':
    case 'nothing-to-do':
      return ink.good(marks.done);
    case 'rolled-back':
      return ink.back(marks.back);
    case null:
      return ink.back(marks.going);
    default:
      return ink.bad(marks.failed);
  }
}

export function stepMark(status: StepStatus, ink: Ink): string {
  switch (status) {
    case 'applied':
      return ink.good(marks.done);
    case 'reverted':
      return ink.back(marks.back);
    case 'failed':
    case 'revert-failed':
      return ink.bad(marks.failed);
    case 'in-doubt':
      return ink.bad(marks.doubt);
    case 'running':
    case 'reverting':
      return ink.back(marks.going);
    default:
      return ink.quiet(marks.note);
  }
}
