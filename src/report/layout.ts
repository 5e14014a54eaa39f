// Words and lines for people: durations, sizes, wrapping, and the marks and colours that every text of ours shares.
import picocolors from 'picocolors';

export interface Ink {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly back: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly quiet: (text: string) => string;
}

export function createInk(hasColor: boolean): Ink {
  const { green, red, yellow, bold, dim } = picocolors.createColors(hasColor);
  return { good: green, bad: red, back: yellow, strong: bold, quiet: dim };
}

/** `NO_COLOR` (no-color.org) and `--no-color` win; else a terminal is coloured. */
export function wantsColor(
  isTerminal: boolean,
  { flag, env = process.env }: { readonly flag?: boolean; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): boolean {
  return flag !== false && isTerminal && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

export const marks = {
  done: '✓',
  failed: '✗',
  back: '↩',
  warning: '!',
  going: '▸',
  output: '│',
  arrow: '→',
  note: '·',
  doubt: '?',
} as const;

/** `3 ms`, `1.2 s`, `4 min 10 s`, `2 h 5 min` */
export function duration(ms: number): string {
  if (ms < 1) return '<1 ms';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `123 B`, `1.2 kB`, `45 MB`: decimal, as disks are sold. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** `2026-01-02 03:04:05 UTC` */
export function moment(iso: string): string {
  return iso.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
}

/** Characters as a terminal shows them, without the colours. */
export function width(text: string): number {
  const plain = text.includes('\u001b') ? text.replace(colours, '') : text;
  // Thousands of lines have nothing but letters and our own marks: each of these is one column.
  if (narrow.test(plain)) return plain.length;
  let columns = 0;
  for (const { segment } of segments().segment(plain)) columns += isWide(segment) ? 2 : 1;
  return columns;
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}

/** Lines of at most so many columns, broken between words, and within one only where it alone is too long. Line breaks in the text stay. */
export function wrap(text: string, columns: number): readonly string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, Math.max(columns, 10)));
}

/** The text behind a first part (a mark, a label), its further lines aligned under the first. */
export function hanging(first: string, text: string, columns: number): readonly string[] {
  const indent = width(first);
  const lines = wrap(text, columns - indent);
  return lines.map((line, index) => (index === 0 ? first + line : ' '.repeat(indent) + line).trimEnd());
}

/** `left … right`, the right part at the last column; below each other where both do not fit. */
export function spread(left: string, right: string, columns: number): string {
  if (right === '') return left;
  const gap = columns - width(left) - width(right);
  return gap < 2 ? `${left}  ${right}` : left + ' '.repeat(gap) + right;
}

/** The beginning of a text, with `…` where something is left out. Its colours end where they would have ended. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 0;
  let isFull = false;
  for (const part of text.split(colours)) {
    if (part.startsWith('\u001b')) {
      kept += part;
      continue;
    }
    if (isFull) continue;
    for (const { segment } of segments().segment(part)) {
      const more = isWide(segment) ? 2 : 1;
      if (used + more > columns - 1) {
        isFull = true;
        kept += columns > 0 ? '…' : '';
        break;
      }
      kept += segment;
      used += more;
    }
  }
  return kept;
}

const colours = /(\u001b\[[0-9;]*m)/g;
const narrow = /^[\u0020-\u007e✓✗↩▸│→·…’━─]*$/;
let segmenter: Intl.Segmenter | null = null;

/** Made when it is needed: making it takes longer than most commands print. */
function segments(): Intl.Segmenter {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return segmenter;
}

function wrapLine(line: string, columns: number): readonly string[] {
  if (!line.startsWith(' ') && width(line) <= columns) return [line];
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(between)) {
    if (current !== '' && width(current) + 1 + width(word) > columns) {
      lines.push(current);
      current = '';
    }
    let rest = current === '' ? word : `${current} ${word}`;
    while (width(rest) > columns) {
      const piece = pieceOf(rest, columns);
      lines.push(piece);
      rest = rest.slice(piece.length);
    }
    current = rest;
  }
  return [...lines, current];
}

/** A number stays with its unit. */
const between = /(?<!\d) | (?!(?:ms|s|min|h|[kMGT]?B)(?:\W|$))/;

/** As much of a long word as fits; a path is rather broken behind a slash. */
function pieceOf(word: string, columns: number): string {
  let piece = '';
  let used = 0;
  // A colour is taken whole: half of one would be seen.
  for (const part of word.split(colours)) {
    const characters = part.startsWith('\u001b') ? [part] : [...segments().segment(part)].map(({ segment }) => segment);
    for (const character of characters) {
      used += width(character);
      if (used > columns) return untilSlash(piece, columns);
      piece += character;
    }
  }
  return piece;
}

function untilSlash(piece: string, columns: number): string {
  const slash = piece.lastIndexOf('/') + 1;
  return slash > columns / 2 ? piece.slice(0, slash) : piece;
}

function isWide(segment: string): boolean {
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
    segment,
  );
}

/** `0.1.0 → 0.2.0`; a run of ladders has no way between versions. */
export function wayOf({ from, to }: { readonly from: string | null; readonly to: string | null }): string {
  if (from !== to) return `${from ?? '?'} ${marks.arrow} ${to ?? '?'}`;
  return from === null ? 'ladders' : `ladders at ${from}`;
}

/** `main@23`, the part of a ladder that is climbed, as people say it. */
export function ladderPart(transition: string): string {
  const [, name = transition, height = '', way] = /^(.*)@(\d+)(-down|-fresh)?$/.exec(transition) ?? [];
  return `ladder ${name} ${way === '-fresh' ? `fresh at ${height}` : way === '-down' ? `down from ${height}` : `up to ${height}`}`;
}
