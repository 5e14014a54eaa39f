// Splits the text of an SQL step into its forward and its backward. Pure: planning and the SQL runner read a file alike.

/** `backward` is `null` where the file has no `-- backward` line, and holds no statement where its section is empty. */
export interface SqlSections {
  readonly forward: string;
  readonly backward: string | null;
}

const markerLine = /^[ \t]*--[ \t]*(forward|backward)[ \t]*:?[ \t]*\r?$/gim;

/** What lies above the first marker belongs to the forward. A marker inside a literal or a block comment is text. */
export function splitSql(text: string): SqlSections {
  const { body, markers } = markersIn(text);
  const forward: string[] = [body.slice(0, markers[0]?.index ?? body.length)];
  const backward: string[] = [];
  for (const [at, marker] of markers.entries()) {
    const section = body.slice(marker.index + marker[0].length, markers[at + 1]?.index ?? body.length);
    (marker[1]?.toLowerCase() === 'forward' ? forward : backward).push(section);
  }
  const hasBackward = markers.some((marker) => marker[1]?.toLowerCase() === 'backward');
  return { forward: forward.join('\n').trim(), backward: hasBackward ? backward.join('\n').trim() : null };
}

/** Like `splitSql`, but all that is not in the section is blanks, so that lines and columns are those of the file. */
export function blankOtherSections(text: string): SqlSections {
  const { body, markers } = markersIn(text);
  const blanks = body.replace(/[^\r\n]/g, ' ');
  const parts = { forward: body.slice(0, markers[0]?.index ?? body.length), backward: blanks.slice(0, markers[0]?.index ?? body.length) };
  for (const [at, marker] of markers.entries()) {
    const [start, end] = [marker.index + marker[0].length, markers[at + 1]?.index ?? body.length];
    const isForward = marker[1]?.toLowerCase() === 'forward';
    parts.forward += blanks.slice(marker.index, start) + (isForward ? body : blanks).slice(start, end);
    parts.backward += blanks.slice(marker.index, start) + (isForward ? blanks : body).slice(start, end);
  }
  return { ...parts, backward: markers.some((marker) => marker[1]?.toLowerCase() === 'backward') ? parts.backward : null };
}

function markersIn(text: string): { readonly body: string; readonly markers: readonly RegExpExecArray[] } {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const candidates = [...body.matchAll(markerLine)];
  // Lexing is only worth its time where there is something to find.
  return { body, markers: candidates.length === 0 ? [] : candidates.filter(isOutsideOf(quotedRanges(body))) };
}

/** Whether anything but comments and semicolons is left. */
export function hasStatement(sql: string): boolean {
  const bare = /--|\/\*/.test(sql) ? sql.replace(comments, '') : sql;
  return /[^\s;]/.test(bare);
}

type Range = readonly [start: number, end: number];

function isOutsideOf(ranges: readonly Range[]): (marker: { readonly index: number }) => boolean {
  return ({ index }) => !ranges.some(([start, end]) => index > start && index < end);
}

// PostgreSQL's comments may hold comments, SQLite's may not: where the inner ones do not end, it is one of SQLite's.
const comment = [1, 2, 3].reduce(
  (inner) => String.raw`\/\*(?:[^*/]|\*(?!\/)|\/(?!\*)|${inner})*\*\/`,
  String.raw`\/\*(?:[^*/]|\*(?!\/)|\/(?!\*))*\*\/`,
);
const quoted = new RegExp(
  String.raw`(?<!\w)[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\u0060(?:[^\u0060]|\u0060\u0060)*\u0060|(?<!\w)\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|${comment}|\/\*[\s\S]*?\*\/|--[^\n]*`,
  'g',
);

const comments = new RegExp(String.raw`${comment}|\/\*[\s\S]*?\*\/|--[^\n]*`, 'g');

/** Literals, quoted names, dollar quotes and block comments. Line comments are matched so that a quote in one opens nothing. */
function quotedRanges(sql: string): readonly Range[] {
  const ranges: Range[] = [];
  for (const match of sql.matchAll(quoted)) {
    if (!match[0].startsWith('--')) ranges.push([match.index, match.index + match[0].length]);
  }
  return ranges;
}
