// The installation in numbers, in the text format of Prometheus: for `upgrade serve` and for node_exporter's textfile collector.
import type { BackupRecord } from '../model/ports.ts';
import type { PhaseName, RunRecord, StepRecord } from '../model/run.ts';

export interface MetricsFacts {
  readonly product: string;
  readonly version: string | null;
  readonly latest: string | null;
  readonly state: string;
  /** Transitions and steps of ladders. */
  readonly pending: number;
  /** Seconds since 1970; `null`: nobody holds it. */
  readonly lockSince: number | null;
  /** The newest first. */
  readonly runs: readonly Pick<RunRecord, 'id' | 'outcome' | 'startedAt' | 'finishedAt'>[];
  readonly lastPhases: readonly { readonly name: PhaseName; readonly durationMs: number }[];
  readonly lastSteps: readonly Pick<StepRecord, 'durationMs' | 'status'>[];
  readonly backups: readonly Pick<BackupRecord, 'bytes' | 'createdAt' | 'verified'>[];
  readonly now: number;
}

const outcomes = ['committed', 'nothing-to-do', 'refused', 'rolled-back', 'stopped', 'stranded'] as const;
const states = ['up-to-date', 'pending', 'unfinished', 'error'] as const;

export async function metricsText(facts: MetricsFacts): Promise<string> {
  const { Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  registry.setDefaultLabels({ product: facts.product });
  const registers = [registry];
  const gauge = (name: string, help: string, value: number): void => {
    new Gauge({ name, help, registers }).set(value);
  };
  const labelled = (name: string, help: string, label: string, values: readonly (readonly [string, number])[]): void => {
    const made = new Gauge({ name, help, labelNames: [label], registers });
    for (const [key, value] of values) made.set({ [label]: key }, value);
  };

  const info = new Gauge({
    name: 'rungs_installation_info',
    help: 'Always 1; what is installed.',
    labelNames: ['version', 'latest'],
    registers,
  });
  info.set({ version: facts.version ?? '', latest: facts.latest ?? '' }, 1);
  labelled(
    'rungs_state',
    '1 for the state that the installation is in.',
    'state',
    states.map((state) => [state, state === facts.state ? 1 : 0]),
  );
  gauge('rungs_pending_steps', 'Transitions and ladder steps that are not applied.', facts.pending);
  gauge(
    'rungs_lock_age_seconds',
    'How long the lock has been held; 0: it is free.',
    facts.lockSince === null ? 0 : Math.max(0, facts.now - facts.lockSince),
  );

  labelled(
    'rungs_runs',
    'Runs in the journal by their outcome.',
    'outcome',
    outcomes.map((outcome) => [outcome, facts.runs.filter((run) => run.outcome === outcome).length]),
  );
  const [last] = facts.runs;
  if (last !== undefined) {
    labelled(
      'rungs_last_run_outcome',
      '1 for the outcome of the last run.',
      'outcome',
      [...outcomes, 'unfinished'].map((outcome) => [outcome, (last.outcome ?? 'unfinished') === outcome ? 1 : 0]),
    );
    gauge(
      'rungs_last_run_duration_seconds',
      'How long the last run took.',
      last.finishedAt === null ? facts.now - seconds(last.startedAt) : seconds(last.finishedAt) - seconds(last.startedAt),
    );
    gauge('rungs_last_run_start_time_seconds', 'When the last run began.', seconds(last.startedAt));
    labelled(
      'rungs_last_run_phase_duration_seconds',
      'How long each phase of the last run took.',
      'phase',
      facts.lastPhases.map(({ name, durationMs }) => [name, durationMs / 1_000]),
    );
    const steps = new Histogram({
      name: 'rungs_last_run_step_duration_seconds',
      help: 'How long the steps of the last run took.',
      buckets: [0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600],
      registers,
    });
    for (const { durationMs, status } of facts.lastSteps)
      if (durationMs !== null && status !== 'pending') steps.observe(durationMs / 1_000);
  }
  const success = facts.runs.find(({ outcome }) => outcome === 'committed' || outcome === 'nothing-to-do');
  if (success?.finishedAt !== undefined && success.finishedAt !== null)
    gauge('rungs_last_success_time_seconds', 'When a run was last committed.', seconds(success.finishedAt));

  const [newest] = facts.backups;
  gauge('rungs_backups', 'Backups that are kept.', facts.backups.length);
  gauge(
    'rungs_backups_bytes',
    'What all backups take together.',
    facts.backups.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  if (newest !== undefined) {
    gauge('rungs_last_backup_bytes', 'Size of the newest backup.', newest.bytes);
    gauge('rungs_last_backup_time_seconds', 'When the newest backup was made.', seconds(newest.createdAt));
    gauge('rungs_last_backup_verified', '1 where the newest backup was read back and found equal.', newest.verified ? 1 : 0);
  }
  return registry.metrics();
}

function seconds(iso: string): number {
  return Date.parse(iso) / 1_000;
}
