// `upgrade logs [RUN]`: what a run wrote into its log, or all that one step printed; `-f` goes on with what comes, from another process, until the run is over.
import { createLogRenderer, type LogLine } from '../../report/log-lines.ts';
import { jsonText } from '../../report/json.ts';
import type { CommonFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import { inkFor } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export interface LogsFlags extends CommonFlags {
  readonly step?: string;
  readonly follow?: boolean;
}

export async function logs(runId: string | undefined, flags: LogsFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const { step, follow } = flags;
  const entries = manager.logs({
    ...(runId === undefined ? {} : { runId }),
    ...(step === undefined ? {} : { step }),
    follow: follow === true,
  });
  const render = createLogRenderer({ ink: inkFor(flags, terminal), columns: terminal.columns });
  const all: unknown[] = [];
  for await (const entry of entries) {
    if (flags.json === true) all.push(documentOf(entry));
    else if (flags.events === true) terminal.out(`${jsonText(documentOf(entry))}\n`);
    else
      terminal.out(
        render(entry)
          .map((line) => `${line}\n`)
          .join(''),
      );
  }
  if (flags.json === true) terminal.out(`${jsonText(all, 2)}\n`);
  return 0;
}

/** As it stands in the log. */
function documentOf(entry: LogLine): unknown {
  if (entry.kind === 'output') return { type: 'step-output', step: entry.step, line: entry.line };
  const { time, level, msg, fields } = entry;
  return { time, level, msg, ...fields };
}
