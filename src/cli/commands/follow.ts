// `upgrade follow [RUN]`: the events of a run, live or past; ends with its result.
import { openManager } from '../manager.ts';
import { exitCodeOfResult } from '../exit-codes.ts';
import { reporterFor } from '../output.ts';
import type { CommonFlags } from '../program.ts';
import type { Terminal } from '../terminal.ts';

export async function follow(runId: string | undefined, flags: CommonFlags & { readonly after?: number }, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const reporter = reporterFor(flags, terminal, manager.config.secrets);
  let code = 0;
  for await (const event of manager.follow(runId, flags.after === undefined ? {} : { afterSeq: flags.after })) {
    reporter.onEvent(event);
    if (event.type !== 'run-finished') continue;
    reporter.finish(event.result);
    code = exitCodeOfResult(event.result);
  }
  return code;
}
