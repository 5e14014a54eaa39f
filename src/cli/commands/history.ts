// `upgrade history [RUN]`: all runs, or one with every step.
import { renderHistory, renderRun } from '../../report/history.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function history(runId: string | undefined, flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  if (runId === undefined) {
    const runs = await manager.history();
    present(flags, terminal, runs, () => renderHistory(runs, style));
  } else {
    const run = await manager.runDetails(runId);
    present(flags, terminal, run, () => renderRun({ run, steps: run.steps, events: run.events, logs: run.logs }, style));
  }
  return 0;
}
