// What can be told of a run before it, to those who watch: its steps, and how long they and the phases took before. Reads only, and never fails a run:
// what cannot be read is not told.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { Outlook } from '../model/outlook.ts';
import type { Plan } from '../model/plan.ts';
import type { PhaseName, RunRecord } from '../model/run.ts';
import { readJournal } from './journals.ts';
import { runDir } from './held-run.ts';

/** Results of more runs would cost time and hardly tell of other steps. */
const lookedAt = 5;

/** Of a plan that is about to be run; or of a run, by its id (the latest where there is none). `null` where its plan is not here. */
export async function outlookOf(config: Config, of: Plan | string | undefined): Promise<Outlook | null> {
  try {
    return await readJournal(config, async (journal) => {
      const runs = (await journal?.runs(lookedAt)) ?? [];
      const id = typeof of === 'object' ? null : (of ?? runs[0]?.id ?? null);
      const plan = typeof of === 'object' ? of : id === null ? null : planOf(config, id);
      if (plan === null) return null;
      const records = id === null ? [] : ((await journal?.stepRecords(id)) ?? []);
      const earlier = runs.filter((run) => run.id !== id);
      const applied = new Set(records.filter(({ status }) => status === 'applied').map(({ stepId }) => stepId));
      // A run that is over is told from its beginning.
      const isOpen = runs.some((run) => run.id === id && run.outcome === null);
      return outlookFrom(plan, earlier, isOpen ? applied : new Set());
    });
  } catch {
    // Whatever is wrong with the journal is told by those who need it.
    return null;
  }
}

export function outlookFrom(plan: Plan, earlier: readonly Pick<RunRecord, 'outcome' | 'result'>[], applied: ReadonlySet<string>): Outlook {
  const tookMs = new Map<string, number>();
  // The newest first; what it says stands.
  for (const { result } of earlier) {
    for (const { id, status, durationMs } of result?.steps ?? []) {
      if (status === 'pending' || status === 'not-run' || durationMs === null || tookMs.has(id)) continue;
      tookMs.set(id, durationMs);
    }
  }
  const committed = earlier.find(({ outcome }) => outcome === 'committed')?.result ?? null;
  const phaseMs: Partial<Record<PhaseName, number>> = {};
  for (const { name, durationMs } of committed?.phases ?? []) phaseMs[name] = durationMs;
  return {
    transitions: plan.transitions.map(({ id, from, to, steps }) => ({
      id,
      from: plan.direction === 'up' ? from : to,
      to: plan.direction === 'up' ? to : from,
      steps: steps.map((step) => ({
        id: step.id,
        description: step.description,
        estimatedMs: tookMs.get(step.id) ?? step.estimatedDurationMs,
        isDone: applied.has(step.id),
      })),
    })),
    phaseMs,
  };
}

function planOf(config: Config, runId: string): Plan | null {
  try {
    // Written by ourselves, and only shown.
    return JSON.parse(readFileSync(path.join(runDir(config, runId), 'plan.json'), 'utf8')) as Plan;
  } catch {
    return null;
  }
}
