// What no server or file would take of the SQL steps, told by `upgrade check` rather than by the run that fails on it: the same words by which the
// step itself would refuse.
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import { ownTransaction } from '../model/own-transaction.ts';
import type { Step } from '../model/plan.ts';
import { splitPostgres } from '../model/postgres-statements.ts';
import { lineAt, splitStatements, transactionWord } from '../steps/host/sql-statements.ts';
import { insteadOf } from '../steps/postgres/psql-words.ts';
import { halvesOf, type SqlHalf, type StepFolder } from './sql-warnings.ts';

/** At most one for each half: what comes first is what it would fail on. */
export function sqlProblems({ databases }: Pick<Config, 'databases'>, folders: readonly StepFolder[]): readonly Failure[] {
  return folders.flatMap(({ dir, steps }) =>
    steps.flatMap((step) => {
      const kind = databases[step.database ?? '']?.kind;
      if (step.kind !== 'sql' || kind === undefined) return [];
      const problemOf = kind === 'postgres' ? postgresProblem : sqliteProblem;
      return halvesOf(dir, step).flatMap((half) => problemOf(step, half) ?? []);
    }),
  );
}

function postgresProblem(step: Step, half: SqlHalf): Failure | null {
  const { statements, psql } = splitPostgres(half.text);
  const [used] = psql;
  if (used !== undefined) {
    const { about, place } = placeOf(step, half, used.offset);
    return failure('STEP_PSQL', { ...about, direction: half.section, found: used.text, instead: insteadOf(used) }, place);
  }
  const own = step.transaction ? ownTransaction(statements) : null;
  return own?.kind === 'several' ? transactionProblem(step, half, own.at.offset, own.word) : null;
}

function sqliteProblem(step: Step, half: SqlHalf): Failure | null {
  if (!step.transaction) return null;
  for (const statement of splitStatements(half.text)) {
    const word = transactionWord(statement);
    if (word !== null) return transactionProblem(step, half, statement.offset, word);
  }
  return null;
}

function transactionProblem(step: Step, half: SqlHalf, offset: number, word: string): Failure {
  const { about, place } = placeOf(step, half, offset);
  return failure('STEP_OWN_TRANSACTION', { ...about, word }, place);
}

function placeOf(step: Step, { file, text }: SqlHalf, offset: number) {
  const line = lineAt(text, offset);
  return { about: { step: step.id, file: path.basename(file), line }, place: { step: step.id, place: { file, line } } };
}
