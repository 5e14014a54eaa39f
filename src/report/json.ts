// For programs (`--json`): one JSON document, the result, and nothing else.
import type { Output } from './output.ts';
import { asItIs } from './reporter.ts';
import type { Reporter, Scrub } from './reporter.ts';
import { scrubValue } from './scrub.ts';

export interface JsonOptions {
  readonly output: Output;
  readonly scrub?: Scrub;
}

export function createJsonReporter({ output, scrub = asItIs }: JsonOptions): Reporter {
  return {
    onEvent: () => undefined,
    finish: (result) => output.write(`${jsonText(scrubValue(result, scrub), 2)}\n`),
  };
}

/** JSON that does nothing to a terminal: what JSON itself does not escape (DEL, C1, marks of direction) is escaped too. The value read back is the same. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? 'null';
  return text.replace(
    /[\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
