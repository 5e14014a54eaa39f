// Where lines are written that stay: with a mark, wrapped under themselves, with a duration at the right edge.
import { duration, hanging, marks, spread, width } from './layout.ts';
import type { Ink } from './layout.ts';
import type { Output } from './output.ts';
import type { Verbosity } from './reporter.ts';

export interface Screen {
  readonly ink: Ink;
  readonly verbosity: Verbosity;
  readonly columns: number;
  print(line: string): void;
  /** A marked line, wrapped under itself, with a duration at the right edge. */
  line(indent: number, mark: string, text: string, ms?: number): void;
  /** Somebody else's output, set off by a bar. Never wrapped: it is to be recognised. */
  output(indent: number, lines: readonly string[]): void;
}

/** Lines longer than this are hard to follow from left to right, however wide the terminal. */
const mostColumns = 100;

export function createScreen(output: Pick<Output, 'write' | 'columns'>, ink: Ink, verbosity: Verbosity): Screen {
  const columns = Math.min(output.columns, mostColumns);
  function print(line: string): void {
    if (verbosity !== 'quiet') output.write(`${line.trimEnd()}\n`);
  }
  return {
    ink,
    verbosity,
    columns,
    print,
    line(indent, mark, text, ms) {
      const right = ms === undefined ? '' : duration(ms);
      const lines = hanging(`${' '.repeat(indent)}${mark} `, text, columns - (right === '' ? 0 : width(right) + 2));
      lines.forEach((one, index) => print(index === 0 ? spread(one, ink.quiet(right), columns) : one));
    },
    output(indent, lines) {
      for (const one of lines) print(`${' '.repeat(indent)}${ink.quiet(marks.output)} ${one}`);
    },
  };
}
