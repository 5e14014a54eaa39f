// Definitions as SQLite keeps them, in one wording: comments, white space, quotes, capitals and needless words do not count. Pure.

export interface Token {
  /** In small letters; literals as they are; names without their quotes. */
  readonly text: string;
  readonly kind: 'name' | 'literal' | 'sign';
}

const pattern =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\s+|([xX]?'(?:[^']|'')*')|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(\d[\w.]*|\.\d\w*)|(<>|<=|>=|==|!=|\|\||<<|>>|->>|->|[\s\S])/g;

export function tokensOf(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const [, literal, quoted, word, number, sign] of sql.matchAll(pattern)) {
    if (literal !== undefined) tokens.push({ text: literal, kind: 'literal' });
    else if (quoted !== undefined) tokens.push({ text: unquoted(quoted).toLowerCase(), kind: 'name' });
    else if (word !== undefined) tokens.push({ text: word.toLowerCase(), kind: 'name' });
    else if (number !== undefined) tokens.push({ text: number.toLowerCase(), kind: 'literal' });
    else if (sign !== undefined) tokens.push({ text: sameSign[sign] ?? sign, kind: 'sign' });
  }
  while (tokens.at(-1)?.text === ';') tokens.pop();
  return tokens;
}

const sameSign: Readonly<Record<string, string>> = { '==': '=', '!=': '<>' };

/** As people write it. */
export function textOf(tokens: readonly Token[]): string {
  let text = '';
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1];
    const isTight = before === undefined || before.text === '(' || before.text === '.' || [')', ',', ';', '.'].includes(token.text);
    const isCall = token.text === '(' && before?.kind === 'name';
    text += `${isTight || isCall ? '' : ' '}${token.text}`;
  }
  return text;
}

/** An expression without the brackets around all of it. A default in double quotes is a text: SQLite takes it for one. */
export function expressionOf(sql: string): string {
  const trimmed = sql.trim();
  if (/^"(?:[^"]|"")*"$/.test(trimmed)) return `'${unquoted(trimmed).replaceAll("'", "''")}'`;
  return textOf(withoutBrackets(tokensOf(sql)));
}

export interface TableDefinition {
  /** By column, in small letters: what no PRAGMA tells of it. */
  readonly columns: ReadonlyMap<string, ColumnDefinition>;
  readonly checks: readonly string[];
  readonly isAutoincrement: boolean;
  /** In the order in which they are written, which PRAGMA foreign_key_list turns round. */
  readonly deferrals: readonly (string | null)[];
  /** `on conflict` clauses of constraints. */
  readonly conflicts: readonly string[];
}

interface ColumnDefinition {
  readonly collation: string | null;
  readonly generated: string | null;
}

/** Of a CREATE TABLE statement. */
export function tableDefinition(sql: string): TableDefinition {
  const tokens = tokensOf(sql);
  const open = tokens.findIndex(({ text, kind }) => text === '(' && kind === 'sign');
  const parts = open < 0 ? [] : partsOf(tokens.slice(open + 1, closing(tokens, open)));
  const columns = new Map<string, ColumnDefinition>();
  const checks: string[] = [];
  const deferrals: (string | null)[] = [];
  const conflicts: string[] = [];
  for (const part of parts) {
    const [first] = part;
    const isConstraint =
      first !== undefined && ['constraint', 'primary', 'unique', 'check', 'foreign'].includes(first.text) && columns.size > 0;
    let collation: string | null = null;
    let generated: string | null = null;
    for (let at = 0; at < part.length; at += 1) {
      const [text, next] = [part[at]?.text, part[at + 1]?.text];
      if (text === '(') at = closing(part, at);
      else if (text === 'check' && next === '(') {
        checks.push(textOf(withoutBrackets(part.slice(at + 2, closing(part, at + 1)))));
        at = closing(part, at + 1);
      } else if (text === 'collate') collation = next ?? null;
      else if (text === 'as' && next === '(') {
        const end = closing(part, at + 1);
        generated = `${textOf(withoutBrackets(part.slice(at + 2, end)))} ${part[end + 1]?.text === 'stored' ? 'stored' : 'virtual'}`;
        at = end;
      } else if (text === 'references') deferrals.push(deferralOf(part.slice(at)));
      else if (text === 'on' && next === 'conflict') conflicts.push(`${nameOf(part, isConstraint)}: ${part[at + 2]?.text ?? ''}`);
    }
    if (!isConstraint && first !== undefined) columns.set(first.text, { collation: collation === 'binary' ? null : collation, generated });
  }
  const isAutoincrement = parts.some((part) => part.some(({ text, kind }) => text === 'autoincrement' && kind === 'name'));
  return { columns, checks, isAutoincrement, deferrals, conflicts };
}

/** What stands behind the name of an index, trigger or view: `on users(email) where …`. */
export function definitionBody(sql: string, word: 'on' | 'as' | 'using' | null, name: string): string {
  const tokens = tokensOf(sql);
  const named = tokens.findIndex(({ text, kind }) => text === name.toLowerCase() && kind === 'name');
  const rest = tokens.slice(named + 1);
  const start =
    word === null
      ? 0
      : Math.max(
          0,
          rest.findIndex(({ text }) => text === word),
        );
  return textOf(rest.slice(start).filter(({ text, kind }) => !(kind === 'name' && text === 'asc')));
}

function nameOf(part: readonly Token[], isConstraint: boolean): string {
  if (!isConstraint) return part[0]?.text ?? '';
  const at = part.findIndex(({ text }) => text === '(');
  return textOf(part.slice(0, at < 0 ? 2 : closing(part, at) + 1));
}

function deferralOf(tokens: readonly Token[]): string | null {
  const at = tokens.findIndex(({ text }) => text === 'deferrable');
  if (at < 0 || tokens[at - 1]?.text === 'not') return null;
  return tokens[at + 1]?.text === 'initially' && tokens[at + 2]?.text === 'deferred' ? 'deferrable initially deferred' : null;
}

/** Apart at the commas that stand in no brackets. */
function partsOf(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === 'sign' && token.text === '(') depth += 1;
    if (token.kind === 'sign' && token.text === ')') depth -= 1;
    if (token.kind === 'sign' && token.text === ',' && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token?.kind !== 'sign') continue;
    if (token.text === '(') depth += 1;
    if (token.text === ')' && --depth === 0) return at;
  }
  return tokens.length;
}

function withoutBrackets(tokens: readonly Token[]): readonly Token[] {
  return tokens[0]?.text === '(' && closing(tokens, 0) === tokens.length - 1 ? withoutBrackets(tokens.slice(1, -1)) : tokens;
}

function unquoted(text: string): string {
  const quote = text.charAt(0);
  const inner = text.slice(1, -1);
  return quote === '[' ? inner : inner.replaceAll(quote + quote, quote);
}
