// `upgrade check`: lints config, every transition and every ladder, listing all problems and warnings at once. For CI: exit 2 where there is a problem.
import { failuresOf, UpgradeError } from '../../model/failure.ts';
import { renderFailures } from '../../report/failures.ts';
import { renderFindings } from '../../report/findings.ts';
import { count } from '../../report/layout.ts';
import type { CheckReport } from '../../session/check.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export interface CheckFlags extends CommonFlags {
  /** Warnings too are exit 2. */
  readonly strict?: boolean;
}

export async function check(flags: CheckFlags, terminal: Terminal): Promise<number> {
  const { problems, findings, transitions, steps } = await report(flags, terminal);
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  const document = { problems, findings, transitions, steps, failure: problems[0] ?? null, failures: problems };
  present(flags, terminal, document, () => {
    const listed = [
      ...(problems.length === 0 ? [] : [...renderFailures(problems, style), '']),
      ...(findings.length === 0 ? [] : [...renderFindings(findings, style), '']),
    ];
    const warnings = findings.length === 0 ? '' : `, ${count(findings.length, 'warning')}`;
    return problems.length === 0
      ? [...listed, `${count(transitions, 'transition')} with ${count(steps, 'step')}: no problems${warnings}.`]
      : [...listed, `${count(problems.length, 'problem')}${warnings}.`];
  });
  const isGood = problems.length === 0 && !(flags.strict === true && findings.length > 0);
  return isGood ? exitCodes.done : exitCodes.usage;
}

/** A config that cannot be used is what is wrong, not what keeps it from being told. */
async function report(flags: CommonFlags, terminal: Terminal): Promise<CheckReport> {
  try {
    return await (await openManager(flags, terminal)).check();
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return { problems: failuresOf(error), findings: [], transitions: 0, steps: 0 };
  }
}
