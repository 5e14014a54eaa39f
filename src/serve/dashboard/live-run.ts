// A run as it goes on: what was known of it, changed by one event after the other. Pure.
import type { Event, Run } from './types.ts';

export function applyEvent(run: Run, event: Event): Run {
  if (event.runId !== run.id || event.seq <= run.seq) return run;
  const at = { ...run, seq: event.seq };
  switch (event.type) {
    case 'run-started':
      return { ...at, outcome: null, finishedAt: null };
    case 'phase-started':
      return {
        ...at,
        phase: event.phase,
        course: event.phase === 'rollback' ? 'backwards' : at.course,
        phases: replace(at.phases, (one) => one.name === event.phase, { name: event.phase, status: 'running', durationMs: 0 }),
      };
    case 'phase-finished':
      return {
        ...at,
        phases: replace(at.phases, (one) => one.name === event.phase, {
          name: event.phase,
          status: event.status,
          durationMs: event.durationMs,
        }),
      };
    case 'step-started':
      return {
        ...at,
        steps: changeStep(at.steps, event.step, { status: event.action === 'apply' ? 'running' : 'reverting', startedAt: event.at }),
      };
    case 'step-finished':
      return {
        ...at,
        steps: changeStep(at.steps, event.step, {
          status: event.status,
          durationMs: event.durationMs,
          ...(event.failure === undefined ? {} : { failure: event.failure }),
        }),
      };
    case 'backup-verified':
      return { ...at, backup: event.backup };
    case 'service-settled':
      return { ...at, services: replace(at.services, (one) => one.name === event.report.name, event.report) };
    case 'probe-settled':
      return { ...at, probes: replace(at.probes, (one) => one.name === event.report.name, event.report) };
    case 'rollback-started':
      return { ...at, course: 'backwards', failures: at.failures.length > 0 ? at.failures : [event.failure] };
    case 'restored':
      return { ...at, restored: [...at.restored, event.restored] };
    case 'warning':
      return { ...at, warnings: [...at.warnings, event.message] };
    case 'run-finished':
      return { ...at, outcome: event.outcome, finishedAt: event.at, failures: [...event.result.failures], next: event.result.next };
    default:
      return at;
  }
}

function replace<T>(list: readonly T[], matches: (one: T) => boolean, next: T): readonly T[] {
  const at = list.findIndex(matches);
  return at < 0 ? [...list, next] : list.map((one, index) => (index === at ? next : one));
}

function changeStep(steps: Run['steps'], id: string, change: Partial<Run['steps'][number]>): Run['steps'] {
  return steps.map((step) => (step.id === id ? { ...step, ...change } : step));
}
