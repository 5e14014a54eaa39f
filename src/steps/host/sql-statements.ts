// Cuts SQL text into statements as SQLite does: literals, comments and the bodies of triggers are respected.

export interface SqlStatement {
  readonly text: string;
  /** Where the first word stands in the text, from 0. */
  readonly offset: number;
  /** The first words in capitals, without comments: `CREATE TRIGGER`, `BEGIN`, `ROLLBACK TO`. */
  readonly head: string;
}

// What counts for nothing (the first group), then what may hold a semicolon that ends nothing, then words, then single characters.
const token =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\s+)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|[A-Za-z_][\w$]*|[\s\S]/g;
const trigger = /^CREATE (?:TEMP |TEMPORARY )?TRIGGER\b/;

export function splitStatements(sql: string): readonly SqlStatement[] {
  const statements: SqlStatement[] = [];
  let start = -1;
  let words: string[] = [];
  let isTrigger = false;
  let beforeLast = ''; // The last two tokens that count, in a trigger: it ends at `; END ;`.
  let last = '';
  const finish = (end: number): void => {
    if (start >= 0) statements.push({ text: sql.slice(start, end), offset: start, head: words.join(' ') });
    start = -1;
    words = [];
    isTrigger = false;
    beforeLast = '';
    last = '';
  };
  for (const { 0: text, 1: blank, index } of sql.matchAll(token)) {
    if (blank !== undefined) continue;
    if (text === ';') {
      if (start < 0) continue;
      if (!isTrigger || (last === 'END' && beforeLast === ';')) {
        finish(index + 1);
        continue;
      }
    } else if (start < 0) {
      start = index;
    }
    if (words.length < 4) {
      words.push(text.toUpperCase());
      isTrigger ||= words[0] === 'CREATE' && trigger.test(words.join(' '));
    }
    if (!isTrigger) continue;
    beforeLast = last;
    last = text.toUpperCase();
  }
  finish(sql.length);
  return statements;
}

/** The word that begins or ends a transaction, where the statement is one of those. `ROLLBACK TO` and savepoints stay inside. */
export function transactionWord({ head }: SqlStatement): string | null {
  const [first = '', second = '', third = ''] = head.split(' ');
  if (first === 'ROLLBACK' && (second === 'TO' || third === 'TO')) return null;
  return ['BEGIN', 'COMMIT', 'END', 'ROLLBACK'].includes(first) ? first : null;
}

/** `PRAGMA foreign_keys = …`, which SQLite ignores inside a transaction; `null` for anything else. */
export function foreignKeysPragma({ text }: SqlStatement): 'on' | 'off' | null {
  const found = /^PRAGMA\s+(?:main\s*\.\s*)?foreign_keys\s*(?:=\s*|\(\s*)(\w+)/i.exec(text)?.[1]?.toLowerCase();
  if (found === undefined) return null;
  return ['1', 'on', 'true', 'yes'].includes(found) ? 'on' : 'off';
}

/** Line of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
