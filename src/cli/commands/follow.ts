// `upgrade follow [RUN]`: the events of a run, live or past; ends with its result.
import { fail, type UpgradeError } from '../../model/failure.ts';
import type { UpdateManager } from '../../update-manager.ts';
import { openManager } from '../manager.ts';
import { exitCodeOfResult } from '../exit-codes.ts';
import { reporterFor } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function follow(
  runId: string | undefined,
  flags: CommonFlags & { readonly after?: number },
  terminal: Terminal,
): Promise<number> {
  const manager = await openManager(flags, terminal);
  const reporter = await reporterFor(flags, terminal, manager.config.secrets, () => manager.outlook(runId));
  let code: number | null = null;
  try {
    for await (const event of manager.follow(runId, flags.after === undefined ? {} : { afterSeq: flags.after })) {
      reporter.onEvent(event);
      if (event.type !== 'run-finished') continue;
      reporter.finish(event.result);
      code = exitCodeOfResult(event.result);
    }
  } finally {
    reporter.close?.();
  }
  if (code === null) throw await unfinished(manager, runId);
  return code;
}

/** Nobody works on it any more, and it has no result. */
async function unfinished(manager: UpdateManager, runId: string | undefined): Promise<UpgradeError> {
  const runs = await manager.history();
  const run = runs.find(({ id }) => runId === undefined || id === runId);
  return run === undefined ? fail('RUN_UNKNOWN', { id: runId ?? '(none was ever begun)' }) : fail('RUN_UNFINISHED', run);
}
