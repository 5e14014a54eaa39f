// What `ctx.batches` is asked for, looked at before any database is: a table or one SELECT, with a size, and nothing that paging could not keep exact.
import type { SqlValue } from '../../step-api.ts';
import { splitStatements } from './sql-statements.ts';

export interface BatchCall {
  /** `null`: the only one. */
  readonly database: string | null;
  readonly source:
    | { readonly kind: 'table'; readonly table: string; readonly columns: readonly string[] | null; readonly where: string | null }
    /** Without its semicolon. */
    | { readonly kind: 'select'; readonly sql: string };
  readonly parameters: readonly SqlValue[];
  /** `null`: to be found out. */
  readonly key: readonly string[] | null;
  readonly name: string | null;
}

/** What is wrong with a call, in words that end a sentence. */
export type Refuse = (problem: string) => never;

const known = new Set(['database', 'table', 'sql', 'where', 'parameters', 'columns', 'key', 'name']);

export function readBatchQuery(query: unknown, refuse: Refuse): BatchCall {
  if (typeof query === 'string') return { database: null, source: select(query, refuse), parameters: [], key: null, name: null };
  if (!isRecord(query)) return refuse('the query is neither a text nor an object');
  const strange = Object.keys(query).find((name) => !known.has(name));
  if (strange !== undefined) refuse(`the query has an unknown property "${strange}"`);
  const { table, sql } = query;
  if ((table === undefined) === (sql === undefined)) refuse('the query needs either "table" or "sql"');
  const parameters = query['parameters'] ?? [];
  if (!Array.isArray(parameters)) return refuse('"parameters" is not a list');
  const name = text(query, 'name', refuse);
  if (name?.startsWith('#') === true) refuse('"name" begins with "#"');
  return {
    database: text(query, 'database', refuse),
    source: typeof sql === 'string' ? select(sql, refuse, query) : fromTable(query, refuse),
    parameters: parameters as readonly SqlValue[],
    key: names(query, 'key', refuse),
    name,
  };
}

function fromTable(query: Readonly<Record<string, unknown>>, refuse: Refuse): BatchCall['source'] {
  const table = text(query, 'table', refuse);
  if (table === null) return refuse('"table" is not a text');
  return { kind: 'table', table, columns: names(query, 'columns', refuse), where: text(query, 'where', refuse) };
}

function select(sql: string, refuse: Refuse, query: Readonly<Record<string, unknown>> = {}): BatchCall['source'] {
  for (const other of ['where', 'columns']) if (query[other] !== undefined) refuse(`"${other}" goes with "table", not with "sql"`);
  const [statement, more] = splitStatements(sql);
  if (statement === undefined) return refuse('the query is empty');
  if (more !== undefined) refuse('the query is more than one statement');
  if (!/^(?:SELECT|WITH|VALUES)\b/.test(statement.head)) refuse(`the query is no SELECT, but ${statement.head.split(' ', 1)[0] ?? ''}`);
  const limiting = outerWords(statement.text).find(({ word }) => ['LIMIT', 'OFFSET', 'FETCH'].includes(word));
  // It would count anew in each page, among the rows that are left then.
  if (limiting !== undefined) refuse(`the query has its own ${limiting.word}`);
  return { kind: 'select', sql: withoutOrder(statement.text.replace(/;$/, '')) };
}

/** The order is that of the key anyhow, and PostgreSQL would sort everything anew for each page. */
function withoutOrder(sql: string): string {
  const words = outerWords(sql);
  const order = words.findLast(({ word }, index) => word === 'ORDER' && words[index + 1]?.word === 'BY');
  const isNeeded = words.some(({ word, at }) => word === 'DISTINCT' || (order !== undefined && at > order.at && word === 'FOR'));
  return order === undefined || isNeeded ? sql : sql.slice(0, order.at);
}

const token =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|[A-Za-z_][\w$]*|[()]/g;

/** Words outside of all parentheses, in capitals. */
function outerWords(sql: string): readonly { readonly word: string; readonly at: number }[] {
  const words: { readonly word: string; readonly at: number }[] = [];
  let depth = 0;
  for (const { 0: found, index } of sql.matchAll(token)) {
    if (found === '(') depth += 1;
    else if (found === ')') depth -= 1;
    else if (depth === 0 && /^\w/.test(found)) words.push({ word: found.toUpperCase(), at: index });
  }
  return words;
}

function text(query: Readonly<Record<string, unknown>>, property: string, refuse: Refuse): string | null {
  const value = query[property];
  if (value === undefined) return null;
  if (typeof value !== 'string' || value.trim() === '') return refuse(`"${property}" is not a text, or is empty`);
  return value;
}

function names(query: Readonly<Record<string, unknown>>, property: string, refuse: Refuse): readonly string[] | null {
  const value = query[property];
  if (value === undefined) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const found = list.filter((name) => typeof name === 'string' && name !== '');
  if (found.length === 0 || found.length < list.length) return refuse(`"${property}" is neither a name nor a list of names`);
  return found as readonly string[];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
