// Reads the transitions again, checks them against the frozen plan, and makes the run's private copies.
// Given the plan; promises that the copies hold exactly what was planned. Copies that an earlier attempt made are checked, not made again.
import path from 'node:path';
import { copyTransitions } from '../src/discover/private-copies.ts';
import { UpgradeError } from '../src/model/failure.ts';
import { stepsOf } from '../src/model/plan.ts';
import type { Ports, RunContext } from '../src/model/ports.ts';
import { checkNotCancelled } from './cancelling.ts';

export async function discovery({ steps }: Pick<Ports, 'steps'>, run: RunContext): Promise<void> {
  checkNotCancelled(run.signal);
  if (stepsOf(run.plan).some(({ kind }) => kind !== 'sh' && kind !== 'py')) steps.prepare(run);
  const problems = copyTransitions(run.plan, copiesDir(run));
  if (problems.length > 0) throw new UpgradeError(problems);
}

/** Where the private copies of transition folders lie. */
export function copiesDir(run: Pick<RunContext, 'dir'>): string {
  return path.join(run.dir, 'steps');
}
