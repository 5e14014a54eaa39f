// The last lines of a terminal, drawn over and over in place. Given lines that fit its width; promises that only lines that differ are written, each
// drawing in one write that a terminal shows at once, and that a process killed at any moment leaves the terminal as usable as it was.
import { width } from '../layout.ts';
import type { Output } from '../output.ts';

export interface Painter {
  /** Takes the place of what was drawn before. */
  draw(lines: readonly string[]): void;
  /** Writes lines that stay, above what is drawn. */
  print(lines: readonly string[]): void;
  /** The terminal has another width: what is drawn lies there in other rows. */
  resized(): void;
}

// Synchronized output: a terminal that knows it shows everything up to the end at once, others ignore it. The cursor is hidden, and lines are kept
// from wrapping, no longer than a write takes.
const begin = '\u001b[?2026h\u001b[?25l\u001b[?7l';
const end = '\u001b[?7h\u001b[?25h\u001b[?2026l';
const eraseBelow = '\u001b[J';
const eraseLine = '\u001b[K';

/** Below the last drawn line the cursor waits, at the beginning of a line. */
export function createPainter(output: Output): Painter {
  let drawn: readonly string[] = [];
  let isMoved = false;

  /** Terminals break lines that have become too long anew; those that cut them instead have fewer rows, and show an old line more. */
  const rows = (): number => {
    if (!isMoved) return drawn.length;
    const columns = Math.max(1, output.columns);
    return drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)), 0);
  };
  const up = (count: number): string => (count === 0 ? '\r' : `\r\u001b[${count}A`);
  const down = (count: number): string => (count === 0 ? '' : `\u001b[${count}E`);
  /** What is left of an older drawing. Erasing from the very first row, tmux would keep what it erases for scrolling back. */
  const rest = (written: string, before: number): string =>
    written !== '' ? eraseBelow : before === 0 ? '' : `${eraseLine}\n${eraseBelow}${up(1)}`;

  function whole(lines: readonly string[], above: readonly string[]): void {
    // What stays may be longer than a line: somebody else's words are not cut.
    const stays = above.map((line) => `${line}${eraseLine}\n`).join('');
    const text = lines.map((line) => `${line}${eraseLine}\n`).join('');
    output.write(`${begin}${up(rows())}${stays === '' ? '' : `\u001b[?7h${stays}\u001b[?7l`}${text}${rest(stays + text, rows())}${end}`);
    drawn = lines;
    isMoved = false;
  }

  return {
    draw(lines) {
      if (isMoved) return whole(lines, []);
      const first = lines.findIndex((line, at) => line !== drawn[at]);
      if (first < 0 && lines.length === drawn.length) return;
      const from = first < 0 ? lines.length : first;
      let text = up(drawn.length - from);
      let same = 0;
      for (let at = from; at < lines.length; at += 1) {
        const line = lines[at] ?? '';
        if (line === drawn[at]) {
          same += 1;
          continue;
        }
        text += `${down(same)}${line}${eraseLine}\n`;
        same = 0;
      }
      text += down(same);
      if (lines.length < drawn.length) text += rest(lines.length === 0 ? '' : text, drawn.length);
      output.write(begin + text + end);
      drawn = lines;
    },
    print(lines) {
      if (lines.length > 0) whole(drawn, lines);
    },
    resized() {
      isMoved = true;
    },
  };
}
