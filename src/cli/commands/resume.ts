// `upgrade resume` and `upgrade rollback`: finish, or undo, an unfinished run; the first finishes a restore by hand too.
import { fail } from '../../model/failure.ts';
import { count } from '../../report/layout.ts';
import type { UpdateManager } from '../../update-manager.ts';
import type { RunFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import { present } from '../output.ts';
import type { Terminal } from '../terminal.ts';
import type { KeyFlags } from './backup.ts';
import { runAndReport } from './upgrade.ts';

export interface ResumeFlags extends RunFlags, KeyFlags {
  readonly onlyBackward?: boolean;
  readonly onlyForward?: boolean;
}

export async function resume(flags: ResumeFlags, terminal: Terminal): Promise<number> {
  if (flags.onlyBackward === true) return rollback(flags, terminal);
  const manager = await openManager(flags, terminal);
  await refuseOtherPlan(manager, flags);
  if (flags.dryRun === true) return wouldDo(manager, 'resume', flags, terminal);
  const restored = await (await import('./restore.ts')).resumeRestore(manager, flags, terminal);
  if (restored !== null) return restored;
  return runAndReport(manager, flags, terminal, (signal) => manager.resume({ signal, onlyForward: flags.onlyForward === true }));
}

export async function rollback(flags: RunFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  await refuseOtherPlan(manager, flags);
  if (flags.dryRun === true) return wouldDo(manager, 'rollback', flags, terminal);
  return runAndReport(manager, flags, terminal, () => manager.rollback());
}

async function refuseOtherPlan(manager: UpdateManager, { planHash }: RunFlags): Promise<void> {
  if (planHash === undefined) return;
  const [last] = await manager.history();
  if (last !== undefined && last.planHash !== planHash) throw fail('PLAN_CHANGED', { expected: planHash, actual: last.planHash });
}

/** The document is `{ runId, from, to, phase, would: "finish" | "roll back", steps: [{ id, status }] }`. */
async function wouldDo(manager: UpdateManager, command: 'resume' | 'rollback', flags: ResumeFlags, terminal: Terminal): Promise<number> {
  const { run } = await manager.status();
  if (run === null) throw fail('NO_UNFINISHED_RUN', {});
  if (run.outcome === 'stranded' && command === 'resume') throw fail('RUN_STRANDED', { id: run.id });
  if (run.course === 'backwards' && flags.onlyForward === true) throw fail('RUN_ROLLING_BACK', { id: run.id });
  const would = command === 'rollback' || run.course === 'backwards' ? 'roll back' : 'finish';
  const { steps } = await manager.runDetails(run.id);
  const done = steps.filter(({ status }) => status === 'applied').length;
  const document = {
    runId: run.id,
    from: run.from,
    to: run.to,
    phase: run.phase,
    would,
    steps: steps.map(({ stepId, status }) => ({ id: stepId, status })),
  };
  present(flags, terminal, document, () => [
    `Would ${would} run ${run.id} (${run.from} → ${run.to}), which stopped in phase ${run.phase} with ${done} of ${count(steps.length, 'step')} applied.`,
  ]);
  return 0;
}
