// One run with everything the journal and its logs tell of it.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import { fail } from '../model/failure.ts';
import type { RunRecord, StepRecord } from '../model/run.ts';
import { readJournal } from './journals.ts';
import { runDir } from './held-run.ts';

export interface RunDetails extends RunRecord {
  readonly steps: readonly StepRecord[];
  readonly events: readonly UpgradeEvent[];
  /** Files with the steps' output, absolute. */
  readonly logs: readonly string[];
}

export async function runDetails(config: Config, runId: string): Promise<RunDetails> {
  return readJournal(config, async (journal) => {
    const run = (await journal?.run(runId)) ?? null;
    if (journal === null || run === null) throw fail('RUN_UNKNOWN', { id: runId });
    return { ...run, steps: await journal.stepRecords(runId), events: await journal.events(runId), logs: logsOf(runDir(config, runId)) };
  });
}

function logsOf(dir: string): readonly string[] {
  const logs = path.join(dir, 'logs');
  const own = path.join(dir, 'run.log');
  const ofSteps = existsSync(logs)
    ? readdirSync(logs, { recursive: true, withFileTypes: true }).flatMap((entry) =>
        entry.isFile() ? [path.join(entry.parentPath, entry.name)] : [],
      )
    : [];
  return [...(existsSync(own) ? [own] : []), ...ofSteps.toSorted()];
}
