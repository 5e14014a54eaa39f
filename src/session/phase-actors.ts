// The machine's phases as real ones: each tells when it begins and ends, is recorded in the journal, and gets only the ports it uses.
import { backup, startAgain } from '../../phases/backup.ts';
import { commit } from '../../phases/commit.ts';
import { discovery } from '../../phases/discovery.ts';
import { fetchImages } from '../../phases/images.ts';
import { keep } from '../../phases/keeping.ts';
import { orchestration } from '../../phases/orchestration.ts';
import { restart } from '../../phases/restart.ts';
import { rollback } from '../../phases/rollback.ts';
import { verify } from '../../phases/verify.ts';
import type { Phases } from '../machine/run-machine.ts';
import type { PreflightVerdict } from '../machine/upgrade.machine.ts';
import type { Failure } from '../model/failure.ts';
import type { Clock, EventSink, Ports, RunContext } from '../model/ports.ts';
import type { PhaseName, RunCourse } from '../model/run.ts';

export interface PhaseWorld {
  readonly run: RunContext;
  readonly events: EventSink;
  readonly clock: Clock;
  /** The ports of the held run; throws before it is held. */
  readonly ports: () => Ports;
  readonly preflight: () => Promise<PreflightVerdict>;
  /** `false`: stop, undecided, where the run would have to roll back. */
  readonly canTurnBack: boolean;
}

export function phaseActors({ run, events, clock, ports, preflight, canTurnBack }: PhaseWorld): Phases {
  const told = async <T>(phase: PhaseName, body: () => Promise<T>): Promise<T> => {
    const from = clock.monotonic();
    events.emit({ type: 'phase-started', phase });
    let status: 'done' | 'failed' = 'failed';
    try {
      const value = await body();
      status = 'done';
      return value;
    } finally {
      events.emit({ type: 'phase-finished', phase, status, durationMs: clock.monotonic() - from });
    }
  };
  const recorded = (phase: PhaseName, course: RunCourse, cause: Failure | null, body: (open: Ports) => Promise<void>): Promise<void> =>
    told(phase, async () => {
      const open = ports();
      await open.journal.enterPhase(run.id, phase, course, cause ?? undefined);
      await body(open);
    });
  const forwards = (phase: PhaseName, body: (open: Ports) => Promise<void>) => () => recorded(phase, 'forwards', null, body);
  // A rollback is never cancelled: it ends, or the process is killed and it is resumed.
  const backwards: RunContext = { ...run, signal: new AbortController().signal };
  return {
    preflight: () => told('preflight', preflight),
    backup: forwards('backup', async (open) => {
      // While everything still runs: fetching may take long.
      await fetchImages(open, run);
      await backup(open, run);
    }),
    discovery: forwards('discovery', (open) => discovery(open, run)),
    orchestration: forwards('orchestration', (open) => orchestration(open, run, { canTurnBack })),
    restart: forwards('restart', (open) => restart(open, run)),
    verify: forwards('verify', (open) => verify(open, run)),
    commit: forwards('commit', (open) => commit(open, run)),
    rollback: (cause) => recorded('rollback', 'backwards', cause, (open) => rollback(open, backwards, cause)),
    keep: (cause) => recorded('rollback', 'backwards', cause, (open) => keep(open, backwards, cause)),
    startAgain: () => startAgain(ports(), backwards),
  };
}
