// Rows of the journal as the model's records. These are the only places where what the database holds is taken at its word.
import type { LadderStep } from '../model/ladder.ts';
import type { OutboxEntry } from '../model/notification.ts';
import type { AppliedStep, RunRecord, StepRecord } from '../model/run.ts';
import type { BackupRecord, EffectRecord } from '../model/ports.ts';

type Row = Record<string, unknown>;

export function parse<T>(text: unknown): T {
  return JSON.parse(String(text)) as T;
}

function parseOrNull<T>(text: unknown): T | null {
  return text === null || text === undefined ? null : parse<T>(text);
}

export function runOf(row: Row): RunRecord {
  return {
    id: row.id,
    product: row.product,
    from: row.from_version,
    to: row.to_version,
    direction: row.direction,
    planHash: row.plan_hash,
    course: row.course,
    phase: row.phase,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    outcome: row.outcome,
    failure: parseOrNull(row.failure),
    backupId: row.backup_id,
    attempts: row.attempts,
    host: row.host,
    pid: row.pid,
    result: parseOrNull(row.result),
  } as RunRecord;
}

export function latestRunOf({ id, outcome }: Row): Pick<RunRecord, 'id' | 'outcome'> {
  return { id, outcome } as Pick<RunRecord, 'id' | 'outcome'>;
}

export function stepRecordOf(row: Row): StepRecord {
  return {
    stepId: row.step_id,
    position: row.position,
    status: row.status,
    attempts: row.attempts,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    failure: parseOrNull(row.failure),
  } as StepRecord;
}

export function appliedStepOf(row: Row): AppliedStep {
  return { stepId: row.step_id, sha256: row.sha256, runId: row.run_id, appliedAt: row.applied_at } as AppliedStep;
}

export function ladderStepOf(row: Row): LadderStep {
  return {
    ladder: row.ladder,
    number: row.number,
    name: row.name,
    sha256: row.sha256,
    runId: row.run_id,
    appliedAt: row.applied_at,
  } as LadderStep;
}

export function backupOf(row: Row): BackupRecord {
  return parse(row.record);
}

export function outboxEntryOf(row: Row): OutboxEntry {
  return {
    id: row.id,
    target: row.target,
    notification: parse(row.body),
    attempts: row.attempts,
    nextAt: row.next_at,
    sentAt: row.sent_at,
    failure: parseOrNull(row.failure),
  } as OutboxEntry;
}

export function effectOf(row: Row): EffectRecord {
  return { key: String(row.key), intent: parse(row.intent), outcome: parseOrNull(row.outcome), isSettled: row.outcome !== null };
}
