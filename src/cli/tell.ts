// How a call that could not begin, or had to stop, is told: text for people, and the document that was asked for.
import type { Failure } from '../model/failure.ts';
import type { ResultDocument } from '../model/run.ts';
import { exitCodes } from './exit-codes.ts';
import { isRunning, type Invocation } from './invocation.ts';
import type { Terminal } from './terminal.ts';

/** Text for people on stderr; under --json and --events the document too, of a running command as its result. */
export async function tell(given: readonly Failure[], code: number, invocation: Invocation, terminal: Terminal): Promise<void> {
  const [{ renderFailures }, { createInk, wantsColor }, { createScrubber, scrubValue }, { jsonText }] = await Promise.all([
    import('../report/failures.ts'),
    import('../report/layout.ts'),
    import('../report/scrub.ts'),
    import('../report/json.ts'),
  ]);
  const failures = scrubValue(given, createScrubber(terminal.opened.manager?.config.secrets ?? []));
  const ink = createInk(wantsColor(terminal.stderr.isTTY === true, { env: terminal.env, ...(invocation.hasColor ? {} : { flag: false }) }));
  terminal.err(`${renderFailures(failures, { ink, columns: terminal.columns }).join('\n')}\n`);
  if (!invocation.isJson && !invocation.isEvents) return;
  // After a bug of ours nobody can say that the installation was not touched.
  const document =
    isRunning(invocation) && code !== exitCodes.bug ? await refused(failures, code, terminal) : { failure: failures[0] ?? null, failures };
  terminal.out(`${jsonText(document, invocation.isJson ? 2 : undefined)}\n`);
}

/** The result of a run that did not begin. `product` is empty and `version` null where not even the config could be read. */
async function refused(failures: readonly Failure[], code: number, { opened }: Terminal): Promise<ResultDocument> {
  const { createResultBuilder } = await import('../session/result.ts');
  // Whatever keeps the version from being read is among the failures already, or no part of this story.
  const version = opened.manager === null ? null : await opened.manager.installedVersion().catch(() => null);
  const facts = {
    outcome: 'refused' as const,
    runId: null,
    product: opened.manager?.config.product ?? '',
    plan: null,
    version,
    durationMs: 0,
    failures,
    steps: [],
  };
  const document = createResultBuilder().document(facts);
  return code === exitCodes.usage ? { ...document, next: null } : document;
}
