// How a command says what it has to say: a document on stdout under --json, else lines for people.
import { createJsonReporter } from '../report/json.ts';
import { createInk, wantsColor, type Ink } from '../report/layout.ts';
import { createNdjsonReporter } from '../report/ndjson.ts';
import { createOutput } from '../report/output.ts';
import { createPlainReporter } from '../report/plain.ts';
import type { Reporter, Verbosity } from '../report/reporter.ts';
import type { CommonFlags } from './program.ts';
import type { Terminal } from './terminal.ts';

export function inkFor(flags: CommonFlags, terminal: Terminal, stream: 'stdout' | 'stderr' = 'stdout'): Ink {
  const wanted = wantsColor(terminal[stream].isTTY === true, { env: terminal.env as NodeJS.ProcessEnv, ...(flags.color === false ? { flag: false } : {}) });
  return createInk(wanted);
}

export function verbosityOf({ quiet, verbose }: CommonFlags): Verbosity {
  return quiet === true ? 'quiet' : verbose === true ? 'verbose' : 'normal';
}

/** The reporters of a run. People read on stderr wherever stdout carries JSON. */
export function reportersFor(flags: CommonFlags, terminal: Terminal): readonly Reporter[] {
  if (flags.events === true) return [createNdjsonReporter({ output: createOutput(terminal.stdout) })];
  const stream = flags.json === true ? 'stderr' : 'stdout';
  const plain = createPlainReporter({ output: createOutput(terminal[stream]), ink: inkFor(flags, terminal, stream), verbosity: verbosityOf(flags) });
  return flags.json === true ? [plain, createJsonReporter({ output: createOutput(terminal.stdout) })] : [plain];
}

/** One document under --json, else the lines. */
export function present(flags: CommonFlags, terminal: Terminal, document: unknown, lines: () => readonly string[]): void {
  terminal.out(flags.json === true || flags.events === true ? `${JSON.stringify(document, null, 2)}\n` : `${lines().join('\n')}\n`);
}

