// Splits the text of an SQL step into its forward and its backward. Pure: planning and the SQL runner read a file alike.

/** `backward` is `null` where the file has no `-- backward` line, and holds no statement where its section is empty. */
export interface SqlSections {
  readonly forward: string;
  readonly backward: string | null;
}

const markerLine = /^[ \t]*--[ \t]*(forward|backward)[ \t]*:?[ \t]*\r?$/gim;

/** What lies above the first marker belongs to the forward. A marker inside a literal or a block comment is text. */
export function splitSql(text: string): SqlSections {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const candidates = [...body.matchAll(markerLine)];
  // Lexing is only worth its time where there is something to find.
  const markers = candidates.length === 0 ? [] : candidates.filter(isOutsideOf(quotedRanges(body)));
  const forward: string[] = [body.slice(0, markers[0]?.index ?? body.length)];
  const backward: string[] = [];
  for (const [at, marker] of markers.entries()) {
    const section = body.slice(marker.index + marker[0].length, markers[at + 1]?.index ?? body.length);
    (marker[1]?.toLowerCase() === 'forward' ? forward : backward).push(section);
  }
  const hasBackward = markers.some((marker) => marker[1]?.toLowerCase() === 'backward');
  return { forward: forward.join('\n').trim(), backward: hasBackward ? backward.join('\n').trim() : null };
}

/** Whether anything but comments and semicolons is left. */
export function hasStatement(sql: string): boolean {
  return sql.replace(/\/\*[\s\S]*?\*\/|--[^\n]*/g, '').replace(/[\s;]/g, '') !== '';
}

type Range = readonly [start: number, end: number];

function isOutsideOf(ranges: readonly Range[]): (marker: { readonly index: number }) => boolean {
  return ({ index }) => !ranges.some(([start, end]) => index > start && index < end);
}

const quoted = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|\/\*[\s\S]*?\*\/|--[^\n]*/g;

/** Literals, quoted names, dollar quotes and block comments. Line comments are matched so that a quote in one opens nothing. */
function quotedRanges(sql: string): readonly Range[] {
  const ranges: Range[] = [];
  for (const match of sql.matchAll(quoted)) {
    if (!match[0].startsWith('--')) ranges.push([match.index, match.index + match[0].length]);
  }
  return ranges;
}
