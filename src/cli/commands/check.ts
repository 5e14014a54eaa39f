// `upgrade check`: lints config and every transition, listing all problems at once. For CI: exit 2 where there is one.
import { renderFailures } from '../../report/failures.ts';
import { count } from '../../report/layout.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../program.ts';
import type { Terminal } from '../terminal.ts';

export async function check(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const { problems, transitions, steps } = await manager.check();
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  present(flags, terminal, { problems, transitions, steps }, () =>
    problems.length === 0
      ? [`${count(transitions, 'transition')} with ${count(steps, 'step')}: no problems.`]
      : [...renderFailures(problems, style), '', `${count(problems.length, 'problem')}.`],
  );
  return problems.length === 0 ? exitCodes.done : exitCodes.usage;
}
