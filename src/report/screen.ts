// Where the plain reporter writes: lines with a mark, and on a terminal one last line that is written over and tells what is going on.
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
  /** What is going on, until the next line; only on a terminal. */
  show(text: string): void;
  clear(): void;
}

/** Lines longer than this are hard to follow from left to right, however wide the terminal. */
const mostColumns = 100;
const showEveryMs = 80;

export function createScreen(output: Output, ink: Ink, verbosity: Verbosity): Screen {
  const columns = Math.min(output.columns, mostColumns);
  const hasStatus = output.isTerminal && verbosity !== 'quiet';
  let isShown = false;
  let shownAt = -showEveryMs;

  function clear(): void {
    if (isShown) output.write('\r\u001b[K');
    isShown = false;
  }
  function print(line: string): void {
    if (verbosity === 'quiet') return;
    clear();
    output.write(`${line.trimEnd()}\n`);
  }
  return {
    ink,
    verbosity,
    columns,
    clear,
    print,
    line(indent, mark, text, ms) {
      const right = ms === undefined ? '' : duration(ms);
      const lines = hanging(`${' '.repeat(indent)}${mark} `, text, columns - (right === '' ? 0 : width(right) + 2));
      lines.forEach((one, index) => print(index === 0 ? spread(one, ink.quiet(right), columns) : one));
    },
    output(indent, lines) {
      for (const one of lines) print(`${' '.repeat(indent)}${ink.quiet(marks.output)} ${one}`);
    },
    show(text) {
      const now = performance.now();
      if (!hasStatus || now - shownAt < showEveryMs) return;
      shownAt = now;
      clear();
      const [first = ''] = hanging(`${marks.going} `, text.replaceAll('\n', ' '), output.columns - 1);
      output.write(ink.quiet(first));
      isShown = true;
    },
  };
}
