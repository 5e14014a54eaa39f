// How a command says what it has to say: a document on stdout under --json, else lines for people.
import { createJsonReporter, jsonText } from '../report/json.ts';
import { createInk, wantsColor, type Ink } from '../report/layout.ts';
import { createNdjsonReporter } from '../report/ndjson.ts';
import { createOutput } from '../report/output.ts';
import { createPlainReporter } from '../report/plain.ts';
import type { Reporter } from '../report/reporter.ts';
import { createScrubber, scrubValue } from '../report/scrub.ts';
import type { Outlook } from '../model/outlook.ts';
import type { CommonFlags } from './flags.ts';
import type { Terminal } from './terminal.ts';

export function inkFor(flags: CommonFlags, terminal: Terminal, stream: 'stdout' | 'stderr' = 'stdout'): Ink {
  const wanted = wantsColor(terminal[stream].isTTY === true, { env: terminal.env, ...(flags.color === false ? { flag: false } : {}) });
  return createInk(wanted);
}

/**
 * People read on stderr wherever stdout carries JSON. On a terminal a run is drawn while it goes on, else told line by line. `outlook` is asked for only
 * where somebody sees it; `null`: told line by line everywhere.
 */
export async function reporterFor(
  flags: CommonFlags,
  terminal: Terminal,
  secrets: readonly string[],
  outlook: (() => Promise<Outlook | null>) | null,
): Promise<Reporter> {
  const scrub = createScrubber(secrets);
  const stream = isForPrograms(flags) ? 'stderr' : 'stdout';
  const verbosity = flags.quiet === true ? 'quiet' : flags.verbose === true ? 'verbose' : 'normal';
  const output = createOutput(terminal[stream]);
  const style = { output, ink: inkFor(flags, terminal, stream), verbosity, scrub } as const;
  const isLive = outlook !== null && output.isTerminal && verbosity !== 'quiet' && terminal.env.TERM !== 'dumb' && flags.events !== true;
  const people = isLive
    ? (await import('../report/live/live.ts')).createLiveReporter({ ...style, outlook: await outlook() })
    : createPlainReporter(style);
  if (!isForPrograms(flags)) return people;
  const machine = (flags.json === true ? createJsonReporter : createNdjsonReporter)({ output: createOutput(terminal.stdout), scrub });
  return {
    ...people,
    onEvent(event) {
      machine.onEvent(event);
      people.onEvent(event);
    },
    finish(result) {
      // Text first: what a program reads is the very last thing, also where both go to one terminal.
      people.finish(result);
      machine.finish(result);
    },
  };
}

/** One document under --json, else the lines. */
export function present(flags: CommonFlags, terminal: Terminal, document: unknown, lines: () => readonly string[]): void {
  const scrub = createScrubber(terminal.opened.manager?.config.secrets ?? []);
  terminal.out(isForPrograms(flags) ? `${jsonText(scrubValue(document, scrub), 2)}\n` : `${scrub(lines().join('\n')).trimEnd()}\n`);
}

export function isForPrograms({ json, events }: CommonFlags): boolean {
  return json === true || events === true;
}
