// The lines about transitions and steps: what each is for, how long it took, and of one that fails the last things that it said.
import type { UpgradeEvent } from '../model/event.ts';
import { count, ladderPart, marks, wayOf } from './layout.ts';
import type { Screen } from './screen.ts';

type EventOf<T extends UpgradeEvent['type']> = Extract<UpgradeEvent, { readonly type: T }>;

export interface StepLines {
  transition(event: EventOf<'transition-started'> | null): void;
  started(event: EventOf<'step-started'>): void;
  output(event: EventOf<'step-output'>): void;
  finished(event: EventOf<'step-finished'>): void;
  survivors(event: EventOf<'step-survivors'>): void;
}

const shownOutput = 10;

export function createStepLines(screen: Screen): StepLines {
  const { ink } = screen;
  const marksOf = {
    applied: ink.good(marks.done),
    reverted: ink.back(marks.back),
    failed: ink.bad(marks.failed),
    'revert-failed': ink.bad(marks.failed),
    'in-doubt': ink.bad(marks.doubt),
  };
  /** Steps that have begun and not ended, several where they are run in a batch. */
  const going = new Map<string, { readonly description: string; output: readonly string[] }>();
  let transition: string | null = null;

  /** Under the transition's own line its folder need not be said again. */
  const nameOf = (step: string) => (transition !== null && step.startsWith(`${transition}/`) ? step.slice(transition.length + 1) : step);
  const titleOf = (step: string, description = '') => (description === '' ? nameOf(step) : `${nameOf(step)}  ${ink.quiet(description)}`);

  return {
    transition(event) {
      transition = event?.transition ?? null;
      if (event !== null) screen.print(`  ${event.transition.includes('@') ? ladderPart(event.transition) : wayOf(event)}`);
    },
    started({ step, description }) {
      going.set(step, { description, output: [] });
      if (screen.verbosity === 'verbose') screen.line(4, ink.quiet(marks.going), titleOf(step, description));
    },
    output({ step, line }) {
      if (screen.verbosity === 'verbose') return screen.output(6, [line]);
      const entry = going.get(step);
      if (entry !== undefined) entry.output = [...entry.output.slice(1 - shownOutput), line];
    },
    finished({ step, action, status, durationMs, failure }) {
      const entry = going.get(step);
      going.delete(step);
      screen.line(transition === null ? 2 : 4, marksOf[status], titleOf(step, action === 'revert' ? '' : entry?.description), durationMs);
      if (failure === undefined || screen.verbosity === 'verbose') return;
      const said = failure.log ?? entry?.output ?? [];
      if (said.length > shownOutput) screen.output(6, [ink.quiet(`… ${count(said.length - shownOutput, 'line')} before`)]);
      screen.output(6, said.slice(-shownOutput));
    },
    survivors({ survivors }) {
      for (const { pid, command } of survivors) screen.line(6, ink.back(marks.warning), `left a process running: ${command} (PID ${pid})`);
    },
  };
}
