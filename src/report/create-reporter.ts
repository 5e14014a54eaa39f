// The reporter for how a command was called: text on stdout; or JSON there and text on stderr.
import { createJsonReporter, createNdjsonReporter } from './json.ts';
import { createInk, wantsColor } from './layout.ts';
import { createOutput } from './output.ts';
import type { WritableEnd } from './output.ts';
import { createPlainReporter } from './plain.ts';
import type { Reporter, Scrub, Verbosity } from './reporter.ts';

export interface ReporterOptions {
  readonly format: 'plain' | 'json' | 'events';
  readonly stdout: WritableEnd;
  readonly stderr: WritableEnd;
  readonly verbosity: Verbosity;
  /** `false` is `--no-color`. */
  readonly color?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly scrub: Scrub;
}

export function createReporter({ format, stdout, stderr, verbosity, color, env, scrub }: ReporterOptions): Reporter {
  const warn = (message: string) => createOutput(stderr).write(`warning: ${message}\n`);
  const people = createOutput(format === 'plain' ? stdout : stderr, format === 'plain' ? warn : undefined);
  const ink = createInk(wantsColor(people.isTerminal, { ...(color === undefined ? {} : { flag: color }), ...(env === undefined ? {} : { env }) }));
  const plain = createPlainReporter({ output: people, ink, verbosity, scrub });
  if (format === 'plain') return plain;
  const machine = format === 'json' ? createJsonReporter : createNdjsonReporter;
  return both(machine({ output: createOutput(stdout, warn), scrub }), plain);
}

function both(first: Reporter, second: Reporter): Reporter {
  return {
    onEvent(event) {
      first.onEvent(event);
      second.onEvent(event);
    },
    finish(result) {
      // Text first: what a program reads is the very last thing, also where both go to one terminal.
      second.finish(result);
      first.finish(result);
    },
  };
}
