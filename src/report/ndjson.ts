// For programs that look on (`--events`): every event as a line of JSON while the run goes on, and the result as the last line.
import { jsonText } from './json.ts';
import type { JsonOptions } from './json.ts';
import { asItIs } from './reporter.ts';
import type { Reporter } from './reporter.ts';
import { scrubValue } from './scrub.ts';

export function createNdjsonReporter({ output, scrub = asItIs }: JsonOptions): Reporter {
  const write = (value: unknown) => output.write(`${jsonText(scrubValue(value, scrub))}\n`);
  return { onEvent: write, finish: write };
}
