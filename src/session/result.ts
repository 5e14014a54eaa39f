// Builds the result document from what the run told: its events, also those of earlier attempts out of the journal, and its step records.
import type { UpgradeEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type {
  BackupReport,
  DriftedPath,
  Outcome,
  PhaseReport,
  ProbeReport,
  ResultDocument,
  RestoredPath,
  ServiceReport,
  StepRecord,
  StepReport,
} from '../model/run.ts';
import type { Version } from '../model/version.ts';

export interface ResultFacts {
  readonly outcome: Outcome;
  readonly runId: string | null;
  readonly product: string;
  readonly plan: Pick<Plan, 'from' | 'to' | 'hash'> | null;
  readonly version: Version | null;
  readonly durationMs: number;
  /** The cause first. */
  readonly failures: readonly Failure[];
  readonly steps: readonly StepRecord[];
}

/** Follows the events of a run; `document` tells at any moment what they amount to. */
export function createResultBuilder(): { onEvent(event: UpgradeEvent): void; document(facts: ResultFacts): ResultDocument } {
  const phases = new Map<string, PhaseReport>();
  const services = new Map<string, ServiceReport>();
  const probes = new Map<string, ProbeReport>();
  const restored = new Map<string, RestoredPath>();
  const drift = new Map<string, DriftedPath>();
  const warnings: string[] = [];
  let backup: BackupReport | null = null;
  return {
    onEvent(event) {
      switch (event.type) {
        case 'phase-started':
          phases.set(event.phase, { name: event.phase, status: 'running', durationMs: phases.get(event.phase)?.durationMs ?? 0 });
          break;
        case 'phase-finished':
          // A phase that a resume entered again has taken the time of both.
          phases.set(event.phase, {
            name: event.phase,
            status: event.status,
            durationMs: (phases.get(event.phase)?.durationMs ?? 0) + event.durationMs,
          });
          break;
        case 'backup-verified':
          backup = event.backup;
          break;
        case 'service-settled':
          services.set(event.report.name, event.report);
          break;
        case 'probe-settled':
          probes.set(event.report.name, event.report);
          break;
        case 'restored':
          restored.set(event.restored.path, event.restored);
          break;
        case 'drift':
          drift.set(event.drift.path, event.drift);
          break;
        case 'warning':
          warnings.push(event.message);
          break;
        default:
      }
    },
    document({ outcome, runId, product, plan, version, durationMs, failures, steps }) {
      return {
        outcome,
        runId,
        product,
        from: plan?.from ?? version,
        to: plan?.to ?? version,
        version,
        durationMs: Math.round(durationMs),
        planHash: plan?.hash ?? null,
        phases: [...phases.values()].map((phase) => ({ ...phase, durationMs: Math.round(phase.durationMs) })),
        steps: steps.map((record) => stepReport(record, outcome)),
        services: [...services.values()],
        probes: [...probes.values()],
        backup,
        restored: [...restored.values()],
        drift: [...drift.values()],
        failure: failures[0] ?? null,
        failures,
        warnings,
        next: nextCommand(outcome, runId, failures[0] ?? null),
      };
    },
  };
}

function stepReport({ stepId, status, durationMs, attempts, failure }: StepRecord, outcome: Outcome): StepReport {
  const told = failure !== null && (status === 'reverted' || status === 'failed') ? 'failed' : status;
  return {
    id: stepId,
    status: outcome !== 'refused' && told === 'pending' ? 'not-run' : told,
    durationMs: Math.round((durationMs ?? 0) * 100) / 100,
    attempts,
  };
}

function nextCommand(outcome: Outcome, runId: string | null, cause: Failure | null): string | null {
  switch (outcome) {
    case 'committed':
    case 'nothing-to-do':
      return null;
    case 'refused':
      if (cause?.code === 'RUN_UNFINISHED') return 'upgrade resume';
      if (cause?.code === 'RUN_STRANDED') return 'upgrade rollback';
      return cause?.code === 'LOCK_HELD' ? 'upgrade status' : 'upgrade doctor';
    case 'stranded':
      return 'upgrade rollback';
    default:
      return runId === null ? null : `upgrade history ${runId}`;
  }
}
