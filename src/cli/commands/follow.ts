// `upgrade follow [RUN]`: the events of a run, live or past; ends with its result, and with the exit code of its outcome.
import { fail } from '../../model/failure.ts';
import { exitCodeOfResult } from '../exit-codes.ts';
import type { CommonFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import { reporterFor } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export async function follow(
  wanted: string | undefined,
  flags: CommonFlags & { readonly after?: number },
  terminal: Terminal,
): Promise<number> {
  const manager = await openManager(flags, terminal);
  // Decided once: another run may begin before this one has ended.
  const runId = wanted ?? (await manager.history())[0]?.id;
  if (runId === undefined) throw fail('RUN_UNKNOWN', { id: '(none was ever begun)' });
  const reporter = await reporterFor(flags, terminal, manager.config.secrets, () => manager.outlook(runId));
  try {
    for await (const event of manager.follow(runId, flags.after === undefined ? {} : { afterSeq: flags.after })) reporter.onEvent(event);
    // Of the record, not of an event: `--after` may name the last one.
    const { result } = await manager.runDetails(runId);
    if (result === null) throw fail('INTERNAL', { error: `run ${runId} is over and has no result` });
    reporter.finish(result);
    return exitCodeOfResult(result);
  } finally {
    reporter.close?.();
  }
}
