// Cuts SQL text into statements as PostgreSQL's own lexer and psql do: nested comments, E'' strings, dollar quotes, bodies of functions and rules. Pure.
// dbgate-query-splitter was tried: it ends a statement in nested comments, in E'it\'s;', in BEGIN ATOMIC and in the brackets of a rule.

export interface PostgresStatement {
  /** Without the semicolon. */
  readonly text: string;
  /** Where the first word stands in the text, from 0. */
  readonly offset: number;
  /** The first words in capitals, without comments: `CREATE UNIQUE INDEX CONCURRENTLY`, `BEGIN`. */
  readonly head: string;
}

/** What psql understands and a server does not: `\copy …`, `:'name'`, `COPY … FROM stdin`. */
export interface PsqlUse {
  readonly kind: 'command' | 'variable' | 'copy';
  readonly text: string;
  readonly offset: number;
}

export interface PostgresScript {
  readonly statements: readonly PostgresStatement[];
  readonly psql: readonly PsqlUse[];
  /** A literal, a quoted name or a comment does not end: whatever is put behind it would become part of it. */
  readonly isOpen: boolean;
}

const token =
  /--[^\n\r]*|\/\*|[eE]'(?:[^'\\]|''|\\[\s\S])*'?|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[0-9]+|\s+|[\s\S]/g;
const commentEdge = /\/\*|\*\//g;
const headWords = 6;
// Not a cast (`::`), not an assignment (`:=`), and not the upper bound of a slice.
const variable = /:(?:'[^'\n]+'|"[^"\n]+"|[A-Za-z_]\w*)/y;

export function splitPostgres(sql: string): PostgresScript {
  const statements: PostgresStatement[] = [];
  const psql: PsqlUse[] = [];
  let isOpen = false;
  let start = -1;
  let words: string[] = [];
  let parens = 0;
  let brackets = 0;
  let begins = 0; // Of BEGIN ATOMIC and of the CASEs within.
  const finish = (end: number): void => {
    if (start >= 0) {
      const statement = { text: sql.slice(start, end).trimEnd(), offset: start, head: words.slice(0, headWords).join(' ') };
      statements.push(statement);
      if (/^COPY\b/.test(statement.head) && /\bFROM\s+STDIN\b/i.test(statement.text))
        psql.push({ kind: 'copy', text: 'COPY … FROM stdin', offset: start });
    }
    start = -1;
    words = [];
    parens = 0;
    brackets = 0;
    begins = 0;
  };
  token.lastIndex = 0;
  for (let found = token.exec(sql); found !== null; found = token.exec(sql)) {
    const [text] = found;
    const at = found.index;
    const first = text.charAt(0);
    if (text.startsWith('--') || text.trim() === '') continue;
    if (text === '/*') {
      const end = endOfComment(sql, at);
      if (end === null) isOpen = true;
      token.lastIndex = end ?? sql.length;
      continue;
    }
    if (text === ';' && parens === 0 && begins === 0) {
      finish(at);
      continue;
    }
    if (text === '\\') {
      const line = /^[^\n\r]*/.exec(sql.slice(at))?.[0] ?? text;
      psql.push({ kind: 'command', text: line.trim(), offset: at });
      token.lastIndex = at + line.length;
      continue;
    }
    if (start < 0) start = at;
    if (first === '$' && text.length > 1) {
      const end = sql.indexOf(text, at + text.length);
      if (end < 0) isOpen = true;
      token.lastIndex = end < 0 ? sql.length : end + text.length;
    } else if (first === "'" || first === '"' || /^[eE]'/.test(text)) {
      isOpen ||= !isClosed(text);
    } else if (text === '(') parens += 1;
    else if (text === ')') parens = Math.max(0, parens - 1);
    else if (text === '[') brackets += 1;
    else if (text === ']') brackets = Math.max(0, brackets - 1);
    else if (text === ':' && brackets === 0 && /[\s(,=<>|+*/-]/.test(sql.charAt(at - 1))) {
      variable.lastIndex = at;
      const used = variable.exec(sql);
      if (used !== null) psql.push({ kind: 'variable', text: used[0], offset: at });
    } else if (text === ':' && (sql.charAt(at + 1) === ':' || sql.charAt(at + 1) === '=')) token.lastIndex = at + 2;
    if (!/^[A-Za-z_"\u0080-\uffff]/.test(text)) {
      if (words.length < headWords) words.push(text);
      continue;
    }
    const word = text.toUpperCase();
    if (words.length < headWords) words.push(word);
    if (parens > 0 || !isRoutine(words)) continue;
    if (word === 'BEGIN' || (word === 'CASE' && begins > 0)) begins += 1;
    else if (word === 'END') begins = Math.max(0, begins - 1);
  }
  finish(sql.length);
  const used = isJson(sql) ? psql.filter(({ kind }) => kind !== 'variable') : psql;
  return { statements, psql: used.toSorted((a, b) => a.offset - b.offset), isOpen };
}

/** `JSON_OBJECT('key' :value)` is SQL. */
function isJson(sql: string): boolean {
  return /\bjson_object(?:agg)?\b/i.test(sql);
}

function isRoutine([create, second, third, fourth]: readonly string[]): boolean {
  if (create !== 'CREATE') return false;
  const kind = second === 'OR' && third === 'REPLACE' ? fourth : second;
  return kind === 'FUNCTION' || kind === 'PROCEDURE';
}

function isClosed(text: string): boolean {
  const quote = text.charAt(0) === '"' ? '"' : "'";
  const from = text.indexOf(quote) + 1;
  return (
    text.length > from &&
    text.endsWith(quote) &&
    !(/^[eE]/.test(text) && /(?:^|[^\\])(?:\\\\)*\\'$/.test(text)) &&
    !isDoubled(text.slice(from), quote)
  );
}

/** `'a''`: the last quote belongs to a doubled one. */
function isDoubled(body: string, quote: string): boolean {
  let count = 0;
  while (count < body.length && body.charAt(body.length - 1 - count) === quote) count += 1;
  return count % 2 === 0;
}

function endOfComment(sql: string, from: number): number | null {
  commentEdge.lastIndex = from;
  let depth = 0;
  for (let edge = commentEdge.exec(sql); edge !== null; edge = commentEdge.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return commentEdge.lastIndex;
  }
  return null;
}
