// `upgrade`: plans, asks where the plan breaks something or cannot be undone, runs, and reports.
import { fail } from '../../model/failure.ts';
import { stepsOf } from '../../model/plan.ts';
import type { DriftedPath, ResultDocument } from '../../model/run.ts';
import type { PreparedPlan } from '../../session/planning.ts';
import type { UpdateManager } from '../../update-manager.ts';
import { exitCodeOfResult } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupts.ts';
import { openManager, type PlanFlags } from '../manager.ts';
import { present, reporterFor } from '../output.ts';
import type { CommonFlags, RunFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function upgrade(flags: RunFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  return runPlan(manager, await manager.plan(planRequest(flags)), flags, terminal);
}

/** What every command that runs a plan does with it. */
export async function runPlan(manager: UpdateManager, prepared: PreparedPlan, flags: RunFlags, terminal: Terminal): Promise<number> {
  if (flags.planHash !== undefined && prepared.hash !== flags.planHash)
    throw fail('PLAN_CHANGED', { expected: flags.planHash, actual: prepared.hash });
  if (flags.dryRun === true) return (await import('./plan.ts')).showPlan(manager, prepared, flags, terminal);
  await confirm(prepared, flags, terminal);
  // Nothing to do is told at once: there is no run to be told of later.
  const isNothingToDo = prepared.from === prepared.to && prepared.transitions.length === 0;
  if (flags.detach === true && !isNothingToDo) return startDetached(manager, prepared, flags, terminal);
  return runAndReport(manager, flags, terminal, (signal) => manager.run(prepared, { signal }), prepared);
}

export function planRequest({ from, to, allowDowngrade, outOfOrder, acceptChecksum }: PlanFlags) {
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    allowDowngrade: allowDowngrade === true,
    ...(outOfOrder === undefined ? {} : { outOfOrder }),
    ...(acceptChecksum === undefined ? {} : { acceptChecksums: acceptChecksum }),
  };
}

/** Lets the reporters hear a run, and gives the exit code of its outcome. */
export async function runAndReport(
  manager: UpdateManager,
  flags: CommonFlags,
  terminal: Terminal,
  run: (signal: AbortSignal) => Promise<ResultDocument>,
  plan?: PreparedPlan,
): Promise<number> {
  const reporter = await reporterFor(flags, terminal, manager.config.secrets, () => manager.outlook(plan));
  manager.on('event', reporter.onEvent);
  if (terminal.canAsk && !('yes' in flags && flags.yes === true)) manager.answerDrift((drift) => askAboutDrift(drift, terminal));
  try {
    const result = await untilInterrupted({ err: (text) => (reporter.aside ?? terminal.err)(text) }, run);
    reporter.finish(result);
    return exitCodeOfResult(result);
  } finally {
    reporter.close?.();
  }
}

// The installation is down while it waits.
const answerDeadlineMs = 300_000;

async function askAboutDrift(drift: readonly DriftedPath[], terminal: Terminal): Promise<boolean> {
  for (const { path, why, services } of drift) terminal.err(`${path}  ${why}, while ${services.join(', ')} ran on\n`);
  const question = 'Set this back to the backup too? What was written since then is lost to the services, and kept in the run’s folder.';
  return terminal.ask(question, AbortSignal.timeout(answerDeadlineMs));
}

/** A question is asked only on a terminal, and only when the plan breaks something or cannot be undone. */
async function confirm(prepared: PreparedPlan, flags: RunFlags, terminal: Terminal): Promise<void> {
  const breaking = prepared.transitions
    .filter(({ breaking: breaks, steps }) => breaks || steps.some((step) => step.breaking))
    .map(({ id }) => id);
  // What is made in an empty database is undone by emptying it.
  const irreversible = stepsOf({ ...prepared, transitions: prepared.transitions.filter(({ climb }) => climb?.isFresh !== true) })
    .filter(({ isReversible }) => !isReversible)
    .map(({ id }) => id);
  if (flags.yes === true || !terminal.canAsk || breaking.length + irreversible.length === 0) return;
  if (breaking.length > 0) terminal.err(`These transitions break something: ${breaking.join(', ')}.\n`);
  if (irreversible.length > 0)
    terminal.err(`These steps have no backward, and are undone from the backup alone: ${irreversible.join(', ')}.\n`);
  const question =
    prepared.from === prepared.to
      ? `Climb the ladders of ${prepared.product}?`
      : `Upgrade ${prepared.product} from ${prepared.from} to ${prepared.to}?`;
  if (!(await terminal.ask(question))) throw fail('NOT_CONFIRMED', {});
}

async function startDetached(manager: UpdateManager, prepared: PreparedPlan, flags: RunFlags, terminal: Terminal): Promise<number> {
  const { runId } = await manager.start(prepared);
  present(flags, terminal, { runId }, () => [runId]);
  return 0;
}
