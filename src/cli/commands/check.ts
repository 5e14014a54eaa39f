// `upgrade check`: lints config and every transition, listing all problems at once. For CI: exit 2 where there is one.
import { failuresOf, UpgradeError } from '../../model/failure.ts';
import { renderFailures } from '../../report/failures.ts';
import { count } from '../../report/layout.ts';
import type { CheckReport } from '../../session/check.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function check(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const { problems, transitions, steps } = await report(flags, terminal);
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  present(flags, terminal, { problems, transitions, steps, failure: problems[0] ?? null, failures: problems }, () =>
    problems.length === 0
      ? [`${count(transitions, 'transition')} with ${count(steps, 'step')}: no problems.`]
      : [...renderFailures(problems, style), '', `${count(problems.length, 'problem')}.`],
  );
  return problems.length === 0 ? exitCodes.done : exitCodes.usage;
}

/** A config that cannot be used is what is wrong, not what keeps it from being told. */
async function report(flags: CommonFlags, terminal: Terminal): Promise<CheckReport> {
  try {
    return await (await openManager(flags, terminal)).check();
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return { problems: failuresOf(error), transitions: 0, steps: 0 };
  }
}
