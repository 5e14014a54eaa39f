// One half of an SQL step for PostgreSQL, read and looked through before anything of it runs; and what an answer of the server means for it.
import { basename } from 'node:path';
import { failure, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import { ownTransaction } from '../../model/own-transaction.ts';
import { splitPostgres } from '../../model/postgres-statements.ts';
import type { PostgresStatement } from '../../model/postgres-statements.ts';
import type { HostOrder } from '../host/protocol.ts';
import { lineOf, readScript } from '../host/sql-script.ts';
import type { SqlScript } from '../host/sql-script.ts';
import { lineAt } from '../host/sql-statements.ts';
import { codeOf } from '../../databases/postgres/connect.ts';
import { insteadOf } from './psql-words.ts';

export interface PostgresHalf {
  readonly order: HostOrder;
  readonly script: SqlScript;
  /** What is run: without a BEGIN and COMMIT of its own, which are blanks in `body`, so that all else stays where it stood. */
  readonly statements: readonly PostgresStatement[];
  readonly body: string;
  /** A literal or a comment in it does not end: nothing may be put behind it. */
  readonly isOpen: boolean;
  /** It may leave settings, temporary tables, or locks in the session, or must be the first in its transaction. */
  readonly isAlone: boolean;
}

export function readPostgresHalf(order: HostOrder): PostgresHalf | Failure {
  const script = readScript(order);
  const { statements, psql, isOpen } = splitPostgres(script.section);
  const [used] = psql;
  const place = { step: order.id, direction: order.direction, file: basename(order.file) };
  if (used !== undefined) {
    const line = lineOf(script, { ...used, text: script.section.slice(used.offset, used.offset + 20) });
    return failure(
      'STEP_PSQL',
      { ...place, line, found: used.text, instead: insteadOf(used) },
      { step: order.id, ...placeOf(order, line) },
    );
  }
  const isAlone = statements.some(({ head }) => leavesTraces.test(head)) || sessionFunctions.test(script.section);
  const half = { order, script, isOpen, isAlone };
  if (!order.transaction) return { ...half, statements, body: script.section };
  const own = ownTransaction(statements);
  if (own.kind === 'several') {
    const line = lineOf(script, own.at);
    return failure('STEP_OWN_TRANSACTION', { ...place, line, word: own.word }, { step: order.id, ...placeOf(order, line) });
  }
  if (own.kind === 'none') return { ...half, statements, body: script.section };
  const kept = new Set(own.statements);
  const body = statements
    .filter((statement) => !kept.has(statement))
    .reduce(
      (text, { offset, text: { length } }) => text.slice(0, offset) + ' '.repeat(length) + text.slice(offset + length),
      script.section,
    );
  return { ...half, statements: own.statements, body };
}

const leavesTraces = /^(?:SET|RESET|PREPARE|LISTEN|UNLISTEN|LOAD|DECLARE|DISCARD|CREATE (?:LOCAL |GLOBAL )?TEMP|SELECT .*INTO TEMP)/;
const sessionFunctions = /\b(?:set_config|pg_(?:try_)?advisory_lock\w*|temp|temporary)\b/i;

/** `done`: how many of its statements were. `offset`: where its body stands in what was sent. */
export function statementFailure(half: PostgresHalf, error: unknown, done: number, offset: number, sent: string): Failure {
  const { order, script, statements } = half;
  const line = lineOfError(half, error, done, offset, sent);
  const text = told(error, order);
  const extra = { step: order.id, ...placeOf(order, line) };
  const place = { step: order.id, direction: order.direction, file: basename(order.file), line };
  if (codeOf(error) === '25001' && done < statements.length) return failure('STEP_NEEDS_NO_TRANSACTION', { ...place, error: text }, extra);
  const how = {
    kind: 'statement' as const,
    file: place.file,
    line,
    error: done < statements.length || script.section === '' ? text : `${text} (at its end)`,
  };
  return failure('STEP_FAILED', { step: order.id, direction: order.direction, how }, extra);
}

/** Where the server points to, else where the statement begins that was not done. */
export function lineOfError(
  { script, statements, body }: PostgresHalf,
  error: unknown,
  done: number,
  offset: number,
  sent: string,
): number | null {
  const position = typeof error === 'object' && error !== null && 'position' in error ? Number(error.position) : Number.NaN;
  if (Number.isFinite(position) && position > 0) {
    // The server counts characters, a string counts UTF-16 units.
    const at = [...sent].slice(0, position - 1).join('').length - offset;
    const statement = statements.findLast((each) => each.offset <= at);
    if (at >= 0 && at <= body.length) {
      if (script.sectionOffset >= 0) return lineAt(script.text, script.sectionOffset + at);
      if (statement === undefined) return null;
      const first = lineOf(script, statement);
      return first === null ? null : first + lineAt(statement.text, Math.min(at - statement.offset, statement.text.length)) - 1;
    }
  }
  const statement = statements[done];
  return statement === undefined ? null : lineOf(script, statement);
}

/** The server's message with what it says beside it, and the step's own limit where that was reached. */
export function told(error: unknown, order: HostOrder): string {
  const more = ['detail', 'hint', 'where'].flatMap((key) => {
    const text: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, key) : undefined;
    return key !== 'where' && typeof text === 'string' && text !== '' ? [text] : [];
  });
  if (codeOf(error) === '55P03' && order.lockTimeoutMs !== null) more.push(`lockTimeout of the step: ${order.lockTimeoutMs} ms`);
  if (codeOf(error) === '57014' && order.statementTimeoutMs !== null)
    more.push(`statementTimeout of the step: ${order.statementTimeoutMs} ms`);
  return `${messageOf(error)}${more.length === 0 ? '' : ` (${more.join('; ')})`}`;
}

export function placeOf(order: HostOrder, line: number | null): Pick<Failure, 'place'> {
  return { place: { file: order.file, ...(line === null ? {} : { line }) } };
}

/** For the beginning of a transaction. */
export function limits({ lockTimeoutMs, statementTimeoutMs }: HostOrder): readonly string[] {
  return [
    ...(lockTimeoutMs === null ? [] : [`SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`]),
    ...(statementTimeoutMs === null ? [] : [`SET LOCAL statement_timeout = ${Math.round(statementTimeoutMs)}`]),
  ];
}
