// The shape of a run: which phase follows which, and where each ends up. No IO here: actors are placeholders until `.provide()`, input,
// context and output are JSON. What was already done is not in here but in the journal, so that entering a phase again is always safe.
import { assign, fromPromise, setup } from 'xstate';
import type { Failure } from '../model/failure.ts';
import type { Outcome, RunCourse } from '../model/run.ts';

/** How a run comes in: new, or as the journal left it. */
export interface UpgradeInput {
  readonly entry: 'new' | 'resumed';
  readonly course: RunCourse;
  /** The journal holds the intent of a step or of a stopped service. */
  readonly hasTouchedInstallation: boolean;
  readonly failure: Failure | null;
  /** It was taken up so often without coming to its end that going forward is given up. */
  readonly isTriedTooOften: boolean;
  /** The steps before a failing one stay: nothing but that one is taken back. */
  readonly keepsWhatIsDone: boolean;
}

export interface UpgradeContext {
  readonly entry: UpgradeInput['entry'];
  readonly course: RunCourse;
  readonly hasTouchedInstallation: boolean;
  readonly isTriedTooOften: boolean;
  readonly keepsWhatIsDone: boolean;
  /** Why the run did not go on: the first thing that went wrong. */
  readonly failure: Failure | null;
  /** Why the rollback did not come to its end. */
  readonly rollbackFailure: Failure | null;
  readonly outcome: Outcome | null;
}

/** `outcome` is `null` where the run had to stop with nothing decided: it stays unfinished in the journal. */
export interface UpgradeOutput {
  readonly outcome: Outcome | null;
  readonly failure: Failure | null;
  readonly rollbackFailure: Failure | null;
}

// Going on, in either direction, would be done without a record, or against the caller's word.
const stoppingCodes: ReadonlySet<string> = new Set([
  'JOURNAL_WRITE_FAILED',
  'JOURNAL_LOST_LOCK',
  'JOURNAL_GONE',
  'JOURNAL_CORRUPT',
  'ROLLBACK_NEEDED',
]);

/** What each phase settles with, as far as the machine is concerned. */
export type PreflightVerdict = { readonly kind: 'go' } | { readonly kind: 'nothing-to-do' };

function placeholder<TOutput>() {
  return fromPromise<TOutput, { readonly failure: Failure | null }>(() => {
    throw new Error('this actor must be provided');
  });
}

export const upgradeMachine = setup({
  types: {
    input: {} as UpgradeInput,
    context: {} as UpgradeContext,
    output: {} as UpgradeOutput,
  },
  actors: {
    preflight: placeholder<PreflightVerdict>(),
    backup: placeholder<void>(),
    discovery: placeholder<void>(),
    orchestration: placeholder<void>(),
    restart: placeholder<void>(),
    verify: placeholder<void>(),
    commit: placeholder<void>(),
    rollback: placeholder<void>(),
    keep: placeholder<void>(),
    startAgain: placeholder<void>(),
  },
  guards: {
    rollbackHasBegun: ({ context }) => context.course === 'backwards',
    isResumed: ({ context }) => context.entry === 'resumed',
    hasTouchedInstallation: ({ context }) => context.hasTouchedInstallation,
    isTriedTooOften: ({ context }) => context.isTriedTooOften,
    keepsWhatIsDone: ({ context }) => context.keepsWhatIsDone && context.hasTouchedInstallation,
    keepsOnTheWayBack: ({ context }) => context.keepsWhatIsDone && (context.course === 'backwards' || context.isTriedTooOften),
    // A run that was asked to stop goes back and proves it, also where nothing was changed yet: whoever asked hears the same in every phase.
    wasAskedToStop: ({ event }) => 'error' in event && (event.error as Failure).code === 'CANCELLED',
    mustStopHere: ({ event }) => 'error' in event && stoppingCodes.has((event.error as Failure).code),
  },
  actions: {
    // The first failure is the cause; what goes wrong while putting things back is told by its own phase.
    recordFailure: assign({
      failure: ({ context, event }) => context.failure ?? ('error' in event ? (event.error as Failure) : null),
    }),
    recordRollbackFailure: assign({ rollbackFailure: ({ event }) => ('error' in event ? (event.error as Failure) : null) }),
    touchInstallation: assign({ hasTouchedInstallation: true }),
    turnBack: assign({ course: 'backwards' as const }),
    conclude: assign({ outcome: (_, params: { readonly outcome: Outcome }) => params.outcome }),
  },
}).createMachine({
  id: 'upgrade',
  context: ({ input }) => ({ ...input, rollbackFailure: null, outcome: null }),
  initial: 'deciding',
  output: ({ context: { outcome, failure, rollbackFailure } }) => ({ outcome, failure, rollbackFailure }),
  states: {
    deciding: {
      always: [
        { guard: 'keepsOnTheWayBack', target: 'keeping' },
        { guard: 'rollbackHasBegun', target: 'rollingBack' },
        { guard: 'isTriedTooOften', target: 'rollingBack' },
        { guard: 'isResumed', target: 'backup' },
        { target: 'preflight' },
      ],
    },
    preflight: {
      invoke: {
        src: 'preflight',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: [{ guard: ({ event }) => event.output.kind === 'nothing-to-do', target: 'nothingToDo' }, { target: 'backup' }],
        onError: { target: 'refused', actions: 'recordFailure' },
      },
    },
    backup: {
      invoke: {
        src: 'backup',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'discovery',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { guard: 'wasAskedToStop', target: 'rollingBack', actions: 'recordFailure' },
          { guard: 'hasTouchedInstallation', target: 'rollingBack', actions: 'recordFailure' },
          { target: 'startingAgain', actions: 'recordFailure' },
        ],
      },
    },
    discovery: {
      invoke: {
        src: 'discovery',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'orchestration',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { guard: 'wasAskedToStop', target: 'rollingBack', actions: 'recordFailure' },
          { guard: 'hasTouchedInstallation', target: 'rollingBack', actions: 'recordFailure' },
          { target: 'startingAgain', actions: 'recordFailure' },
        ],
      },
    },
    orchestration: {
      entry: 'touchInstallation',
      invoke: {
        src: 'orchestration',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'restart',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { target: 'rollingBack', actions: 'recordFailure' },
        ],
      },
    },
    restart: {
      invoke: {
        src: 'restart',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'verify',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { target: 'rollingBack', actions: 'recordFailure' },
        ],
      },
    },
    verify: {
      invoke: {
        src: 'verify',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'commit',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { target: 'rollingBack', actions: 'recordFailure' },
        ],
      },
    },
    commit: {
      invoke: {
        src: 'commit',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'committed',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordFailure' },
          { guard: 'keepsWhatIsDone', target: 'keeping', actions: 'recordFailure' },
          { target: 'rollingBack', actions: 'recordFailure' },
        ],
      },
    },
    // Nothing was changed, but services were stopped for the backup. One that does not come up again is no installation as it was.
    startingAgain: {
      invoke: {
        src: 'startAgain',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'refused',
        onError: [{ guard: 'mustStopHere', target: 'halted' }, { target: 'rollingBack' }],
      },
    },
    rollingBack: {
      entry: 'turnBack',
      invoke: {
        src: 'rollback',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'rolledBack',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordRollbackFailure' },
          { target: 'stranded', actions: 'recordRollbackFailure' },
        ],
      },
    },
    keeping: {
      entry: 'turnBack',
      invoke: {
        src: 'keep',
        input: ({ context }) => ({ failure: context.failure }),
        onDone: 'stopped',
        onError: [
          { guard: 'mustStopHere', target: 'halted', actions: 'recordRollbackFailure' },
          { target: 'stranded', actions: 'recordRollbackFailure' },
        ],
      },
    },
    nothingToDo: { type: 'final', entry: { type: 'conclude', params: { outcome: 'nothing-to-do' } } },
    refused: { type: 'final', entry: { type: 'conclude', params: { outcome: 'refused' } } },
    committed: { type: 'final', entry: { type: 'conclude', params: { outcome: 'committed' } } },
    rolledBack: { type: 'final', entry: { type: 'conclude', params: { outcome: 'rolled-back' } } },
    stopped: { type: 'final', entry: { type: 'conclude', params: { outcome: 'stopped' } } },
    halted: { type: 'final' },
    stranded: { type: 'final', entry: { type: 'conclude', params: { outcome: 'stranded' } } },
  },
});
