// One run as it stands, also in the middle: the shape of a result for what has happened up to now. Reads the journal alone.
import type { Config } from '../model/config.ts';
import { fail, type Failure } from '../model/failure.ts';
import type { ResultDocument, RunRecord, StepRecord } from '../model/run.ts';
import { readJournal } from './journals.ts';
import { createResultBuilder } from './result.ts';
import { summary, type RunSummary } from './status.ts';

export interface RunSoFar
  extends
    RunSummary,
    Pick<RunRecord, 'backupId' | 'host' | 'pid'>,
    Pick<ResultDocument, 'phases' | 'services' | 'probes' | 'backup' | 'restored' | 'warnings' | 'failures' | 'next'> {
  /** Of the last event that is in here. */
  readonly seq: number;
  readonly steps: readonly (Omit<StepRecord, 'stepId' | 'position' | 'elsewhere'> & { readonly id: string })[];
}

/** Throws RUN_UNKNOWN. */
export async function runSoFar(config: Config, runId: string): Promise<RunSoFar> {
  return readJournal(config, async (journal) => {
    // Events first: what the steps' records say is then never older than they are.
    const events = (await journal?.events(runId)) ?? [];
    const run = (await journal?.run(runId)) ?? null;
    if (journal === null || run === null) throw fail('RUN_UNKNOWN', { id: runId });
    const steps = await journal.stepRecords(runId);
    const told = createResultBuilder();
    let cause: Failure | null = run.failure;
    for (const event of events) {
      told.onEvent(event);
      if (event.type === 'rollback-started') cause ??= event.failure;
    }
    const { phases, services, probes, backup, restored, warnings } =
      run.result ??
      told.document({ ...run, outcome: 'committed', runId, plan: null, version: null, durationMs: 0, failures: [], steps: [] });
    return {
      ...summary(run),
      backupId: run.backupId,
      host: run.host,
      pid: run.pid,
      seq: events.at(-1)?.seq ?? 0,
      phases,
      steps: steps.map(({ stepId, status, attempts, startedAt, durationMs, failure }) => ({
        id: stepId,
        status,
        attempts,
        startedAt,
        durationMs,
        failure,
      })),
      services,
      probes,
      backup,
      restored,
      warnings,
      failures: run.result?.failures ?? (cause === null ? [] : [cause]),
      next: run.result?.next ?? null,
    };
  });
}
