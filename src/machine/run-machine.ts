// Runs the machine over real phases. Given one function per phase, promises what the machine concludes; whatever a phase throws reaches
// the machine as failure data, and all of it is handed to `onFailures`.
import { createActor, fromPromise, toPromise } from 'xstate';
import { failuresOf, type Failure } from '../model/failure.ts';
import type { PhaseName } from '../model/run.ts';
import { upgradeMachine, type PreflightVerdict, type UpgradeInput, type UpgradeOutput } from './upgrade.machine.ts';

export type Phases = { readonly [P in Exclude<PhaseName, 'preflight' | 'rollback'>]: () => Promise<void> } & {
  readonly preflight: () => Promise<PreflightVerdict>;
  readonly rollback: (cause: Failure | null) => Promise<void>;
  /** In place of the rollback, for a run that keeps what is done. */
  readonly keep: (cause: Failure | null) => Promise<void>;
  /** What was stopped for the backup of a run that is refused. */
  readonly startAgain: () => Promise<void>;
};

export interface MachineRun {
  readonly input: UpgradeInput;
  readonly phases: Phases;
  readonly onFailures: (phase: PhaseName, failures: readonly Failure[]) => void;
}

export async function runMachine({ input, phases, onFailures }: MachineRun): Promise<UpgradeOutput> {
  const actor = <T>(name: PhaseName, phase: (cause: Failure | null) => Promise<T>) =>
    fromPromise<T, { readonly failure: Failure | null }>(async ({ input: { failure } }) => {
      try {
        return await phase(failure);
      } catch (error) {
        const failures = failuresOf(error).map((problem): Failure => ({ phase: name, ...problem }));
        onFailures(name, failures);
        // Data, not an Error: what crosses the machine must survive being written down.
        throw failures[0];
      }
    });
  const machine = upgradeMachine.provide({
    actors: {
      preflight: actor('preflight', phases.preflight),
      backup: actor('backup', phases.backup),
      discovery: actor('discovery', phases.discovery),
      orchestration: actor('orchestration', phases.orchestration),
      restart: actor('restart', phases.restart),
      verify: actor('verify', phases.verify),
      commit: actor('commit', phases.commit),
      rollback: actor('rollback', phases.rollback),
      keep: actor('rollback', phases.keep),
      startAgain: actor('backup', phases.startAgain),
    },
  });
  const running = createActor(machine, { input });
  running.start();
  return toPromise(running);
}
