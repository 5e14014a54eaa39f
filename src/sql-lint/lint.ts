// Lints one half of an SQL step: what hurts on tables that are in use, with places and waivers heeded. Promises never to throw, whatever the text.
// Each dialect is parsed by its own grammar; a parser is loaded when the first text of its dialect comes.
import { messageOf } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import { createLocator } from './positions.ts';
import { sqlRules, type LintContext, type Linted, type ParseProblem, type Remark, type SqlRule } from './rules.ts';
import { applyWaivers, readWaivers } from './waivers.ts';

export interface SqlSource extends LintContext {
  /** With what is not of this half as blanks, so that places are those of the file. */
  readonly text: string;
  readonly dialect: SqlDialect;
  readonly file: string;
  /** The step's id. */
  readonly step: string;
  readonly section: 'forward' | 'backward';
}

export type SqlDialect = 'sqlite' | 'postgres';

const linters: Readonly<Record<SqlDialect, () => Promise<(context: LintContext) => Linted>>> = {
  postgres: async () => (await import('./postgres.ts')).loadPostgresLint(),
  sqlite: async () => (await import('./sqlite.ts')).lintSqlite,
};

export async function lintSql(source: SqlSource): Promise<readonly Finding[]> {
  const locate = createLocator(source.text);
  const linted = await lint(source);
  const remarks = 'remarks' in linted ? linted.remarks : linted.problem === null ? null : [unparsed(linted.problem)];
  if (remarks === null) return [];
  const wanted = remarks.filter(({ code }) => source.section === 'forward' || !(sqlRules[code] as SqlRule).isForwardOnly);
  return applyWaivers(wanted, readWaivers(source.text), (offset) => locate(offset).line, { isComplete: 'remarks' in linted })
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ code, what, offset }) => ({
      level: 'warn',
      code,
      message: `${source.step}: ${what} ${sqlRules[code].says}.`,
      hint: sqlRules[code].hint,
      place: { file: source.file, ...locate(offset) },
    }));
}

async function lint(source: SqlSource): Promise<Linted> {
  const run = await linters[source.dialect]();
  try {
    return run(source);
  } catch (error) {
    // A parser that gives up, on a nesting of thousands for one.
    return { problem: { message: messageOf(error), offset: 0 } };
  }
}

function unparsed({ message, offset }: ParseProblem): Remark {
  return { code: 'SQL_UNPARSED', what: `the SQL (${message})`, offset, statement: offset };
}
