// A frame around lines, the first of them its title: what somebody looks for at the end of a long output.
import { cut, padEnd, width, type Ink } from './layout.ts';

/** Lines that do not fit are cut; the frame is as wide as the widest of them, and never wider than `columns`. */
export function boxed(lines: readonly string[], columns: number, ink: Ink): readonly string[] {
  const inner = Math.min(Math.max(...lines.map(width), 20), columns - 4);
  const side = ink.quiet('│');
  const rule = '─'.repeat(inner + 2);
  return [ink.quiet(`╭${rule}╮`), ...lines.map((line) => `${side} ${padEnd(cut(line, inner), inner)} ${side}`), ink.quiet(`╰${rule}╯`)];
}
