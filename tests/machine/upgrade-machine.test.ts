// The machine alone, over phases that succeed and fail as they are told: every state is reached, every sequence of outcomes ends, and no end contradicts
// what happened.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { getShortestPaths } from 'xstate/graph';
import { runMachine, type Phases } from '../../src/machine/run-machine.ts';
import { upgradeMachine, type UpgradeInput, type UpgradeOutput } from '../../src/machine/upgrade.machine.ts';
import { failure, UpgradeError, type Failure } from '../../src/model/failure.ts';
import type { PhaseName } from '../../src/model/run.ts';

const forwards = ['preflight', 'backup', 'discovery', 'orchestration', 'restart', 'verify', 'commit'] as const;
/** How a phase ends. `stops`: the journal cannot be written any more. */
const endings = ['goes on', 'nothing to do', 'fails', 'is asked to stop', 'stops', 'throws a stranger'] as const;
type Ending = (typeof endings)[number];

const fresh: UpgradeInput = {
  entry: 'new',
  course: 'forwards',
  hasTouchedInstallation: false,
  isTriedTooOften: false,
  keepsWhatIsDone: false,
  failure: null,
};

interface Told {
  readonly output: UpgradeOutput;
  readonly entered: readonly PhaseName[];
}

async function play(
  input: UpgradeInput,
  outcomes: Partial<Record<PhaseName, Ending>>,
  startAgain: () => Promise<void> = async () => undefined,
): Promise<Told> {
  const entered: PhaseName[] = [];
  const end = async (phase: PhaseName): Promise<void> => {
    entered.push(phase);
    await Promise.resolve();
    switch (outcomes[phase] ?? 'goes on') {
      case 'fails':
        throw new UpgradeError([failure('VERIFY_FAILED', { what: [phase] })]);
      case 'is asked to stop':
        throw new UpgradeError([failure('CANCELLED', { signal: 'SIGINT' })]);
      case 'stops':
        throw new UpgradeError([failure('JOURNAL_WRITE_FAILED', { file: 'journal.db', reason: 'the disk is gone' })]);
      case 'throws a stranger':
        throw new TypeError('undefined is not a function');
      default:
    }
  };
  const phases: Phases = {
    preflight: async () => {
      await end('preflight');
      return { kind: outcomes.preflight === 'nothing to do' ? 'nothing-to-do' : 'go' };
    },
    backup: () => end('backup'),
    discovery: () => end('discovery'),
    orchestration: () => end('orchestration'),
    restart: () => end('restart'),
    verify: () => end('verify'),
    commit: () => end('commit'),
    rollback: () => end('rollback'),
    keep: () => end('rollback'),
    startAgain,
  };
  const failures: Failure[] = [];
  const output = await runMachine({ input, phases, onFailures: (_, problems) => failures.push(...problems) });
  return { output, entered };
}

describe('a whole run', () => {
  test('goes through the phases in order and commits', async () => {
    expect(await play(fresh, {})).toEqual({
      entered: [...forwards],
      output: { outcome: 'committed', failure: null, rollbackFailure: null },
    });
  });

  const table: readonly {
    readonly phase: PhaseName;
    readonly ending: Ending;
    readonly outcome: UpgradeOutput['outcome'];
    readonly last: PhaseName;
  }[] = [
    { phase: 'preflight', ending: 'nothing to do', outcome: 'nothing-to-do', last: 'preflight' },
    { phase: 'preflight', ending: 'fails', outcome: 'refused', last: 'preflight' },
    { phase: 'backup', ending: 'fails', outcome: 'refused', last: 'backup' },
    { phase: 'backup', ending: 'is asked to stop', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'backup', ending: 'stops', outcome: null, last: 'backup' },
    { phase: 'discovery', ending: 'fails', outcome: 'refused', last: 'discovery' },
    { phase: 'discovery', ending: 'is asked to stop', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'orchestration', ending: 'fails', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'orchestration', ending: 'throws a stranger', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'orchestration', ending: 'stops', outcome: null, last: 'orchestration' },
    { phase: 'restart', ending: 'fails', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'verify', ending: 'is asked to stop', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'commit', ending: 'fails', outcome: 'rolled-back', last: 'rollback' },
    { phase: 'commit', ending: 'stops', outcome: null, last: 'commit' },
  ];
  test.each(table)('whose $phase $ending ends $outcome', async ({ phase, ending, outcome, last }) => {
    const { output, entered } = await play(fresh, { [phase]: ending });
    expect(output.outcome).toBe(outcome);
    expect(entered.at(-1)).toBe(last);
  });

  test('is refused only when what was stopped for the backup runs again', async () => {
    const down = async () => Promise.reject(new UpgradeError([failure('VERIFY_FAILED', { what: ['web'] })]));
    expect(await play(fresh, { discovery: 'fails' }, down)).toMatchObject({
      entered: ['preflight', 'backup', 'discovery', 'rollback'],
      output: { outcome: 'rolled-back', failure: { phase: 'discovery' } },
    });
    expect((await play(fresh, { backup: 'fails', rollback: 'fails' }, down)).output.outcome).toBe('stranded');
  });

  test('is stranded where the rollback fails, and tells both failures', async () => {
    const { output } = await play(fresh, { verify: 'fails', rollback: 'throws a stranger' });
    expect(output).toMatchObject({
      outcome: 'stranded',
      failure: { code: 'VERIFY_FAILED', phase: 'verify' },
      rollbackFailure: { code: 'INTERNAL', phase: 'rollback' },
    });
  });
});

describe('a run that keeps what is done', () => {
  const keeping: UpgradeInput = { ...fresh, keepsWhatIsDone: true };
  test.each(['orchestration', 'restart', 'verify', 'commit'] as const)(
    'stops where its %s fails, and takes nothing else back',
    async (phase) => {
      expect(await play(keeping, { [phase]: 'fails' })).toMatchObject({
        output: { outcome: 'stopped', failure: { code: 'VERIFY_FAILED' }, rollbackFailure: null },
      });
    },
  );
  test('is refused where nothing was changed yet', async () => {
    expect((await play(keeping, { backup: 'fails' })).output.outcome).toBe('refused');
  });
  test('is stranded where the failing step cannot be taken back', async () => {
    expect((await play(keeping, { orchestration: 'fails', rollback: 'fails' })).output.outcome).toBe('stranded');
  });
  test('goes on keeping when it was killed while it did', async () => {
    const resumed: UpgradeInput = { ...keeping, entry: 'resumed', course: 'backwards', hasTouchedInstallation: true };
    expect(await play(resumed, {})).toMatchObject({ entered: ['rollback'], output: { outcome: 'stopped' } });
  });
});

describe('a resumed run', () => {
  const resumed: UpgradeInput = { ...fresh, entry: 'resumed' };
  test('begins with the backup, which knows whether it is done', async () => {
    expect((await play(resumed, {})).entered).toEqual(forwards.slice(1));
  });
  test.each([
    { why: 'that had begun to roll back never turns round', input: { ...resumed, course: 'backwards' as const } },
    { why: 'that was taken up too often goes back', input: { ...resumed, isTriedTooOften: true } },
  ])('$why', async ({ input }) => {
    expect(await play(input, {})).toMatchObject({ entered: ['rollback'], output: { outcome: 'rolled-back' } });
  });
  test.each(['backup', 'discovery'] as const)('that had touched the installation goes back where its %s fails', async (phase) => {
    expect((await play({ ...resumed, hasTouchedInstallation: true }, { [phase]: 'fails' })).output.outcome).toBe('rolled-back');
  });
  test('that must not turn back stays unfinished', async () => {
    const phases = { orchestration: async () => Promise.reject(new UpgradeError([failure('ROLLBACK_NEEDED', { step: 'x' })])) };
    const none = async (): Promise<void> => undefined;
    const all: Phases = {
      preflight: async () => ({ kind: 'go' }),
      backup: none,
      discovery: none,
      restart: none,
      verify: none,
      commit: none,
      rollback: none,
      keep: none,
      startAgain: none,
      ...phases,
    };
    expect((await runMachine({ input: resumed, phases: all, onFailures: () => undefined })).outcome).toBeNull();
  });
});

test('every state is reached, and every path ends in a final one', () => {
  const states = Object.keys(upgradeMachine.states).filter((name) => name !== 'deciding');
  const reached = new Set<string>();
  for (const input of [fresh, { ...fresh, keepsWhatIsDone: true }, { ...fresh, entry: 'resumed' as const, course: 'backwards' as const }]) {
    for (const { state } of getShortestPaths(upgradeMachine, {
      input,
      events: ({ value, status }) => (status === 'active' ? happenings(value) : []),
      limit: 10_000,
      serializeState: (snapshot) => `${snapshot.value} ${String(snapshot.context.outcome)}`,
    })) {
      reached.add(state.value);
      const node = Reflect.get(upgradeMachine.states, state.value);
      // A state that cannot be left is an end.
      if (Object.keys(node.invoke).length === 0) expect(state.status, state.value).toBe('done');
    }
  }
  expect([...reached].toSorted()).toEqual(states.toSorted());
});

/** What the phase that a state invokes can send, as the machine hears it. */
function happenings(state: string): never[] {
  const id = `0.upgrade.${state}`;
  const problem = (code: string) => ({ type: `xstate.error.actor.${id}`, error: { code, message: '', hint: '' }, actorId: id });
  const output = state === 'preflight' ? [{ kind: 'go' }, { kind: 'nothing-to-do' }] : [undefined];
  const events = [
    ...output.map((value) => ({ type: `xstate.done.actor.${id}`, output: value, actorId: id })),
    problem('VERIFY_FAILED'),
    problem('CANCELLED'),
    problem('JOURNAL_WRITE_FAILED'),
  ];
  return events as never[];
}

describe('whatever the phases do', () => {
  const input = fc.record({
    entry: fc.constantFrom('new' as const, 'resumed' as const),
    course: fc.constantFrom('forwards' as const, 'backwards' as const),
    hasTouchedInstallation: fc.boolean(),
    isTriedTooOften: fc.boolean(),
    keepsWhatIsDone: fc.boolean(),
    failure: fc.constant(null),
  });
  const ending = fc.constantFrom(...endings);
  const outcomes = fc.record(
    {
      preflight: ending,
      backup: ending,
      discovery: ending,
      orchestration: ending,
      restart: ending,
      verify: ending,
      commit: ending,
      rollback: ending,
    },
    { requiredKeys: [] },
  );

  test('the run ends, each phase is entered once and in order, and the outcome is what happened', async () => {
    await fc.assert(
      fc.asyncProperty(input, outcomes, async (given, told) => {
        const { output, entered } = await play(given, told);
        const order = [...forwards, 'rollback' as const];
        expect(entered).toEqual(order.filter((phase) => entered.includes(phase)));
        const ends = (phase: PhaseName): boolean =>
          ['fails', 'is asked to stop', 'stops', 'throws a stranger'].includes(told[phase] ?? 'goes on');
        const last = entered.at(-1);
        switch (output.outcome) {
          case 'committed':
            expect(entered.some(ends)).toBe(false);
            expect(last).toBe('commit');
            break;
          case 'nothing-to-do':
            expect(entered).toEqual(['preflight']);
            break;
          case 'refused':
            // Nothing may have been changed.
            expect(given.hasTouchedInstallation && given.entry === 'resumed').toBe(false);
            expect(entered).not.toContain('orchestration');
            expect(last !== undefined && ends(last)).toBe(true);
            break;
          case 'stopped':
            expect(given.keepsWhatIsDone).toBe(true);
            expect(last).toBe('rollback');
            expect(ends('rollback')).toBe(false);
            break;
          case 'rolled-back':
            expect(last).toBe('rollback');
            expect(ends('rollback')).toBe(false);
            break;
          case 'stranded':
            expect(last).toBe('rollback');
            expect(ends('rollback')).toBe(true);
            break;
          default:
            // Left as it is, to be taken up again: only where no record can be kept.
            expect(last === undefined ? null : told[last]).toBe('stops');
        }
        // What was changed is committed or put back, or it is said that it was not.
        if (entered.includes('orchestration')) expect(['committed', 'rolled-back', 'stopped', 'stranded', null]).toContain(output.outcome);
      }),
      { numRuns: 500 },
    );
  });
});
