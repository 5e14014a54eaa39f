// A file that brings its own BEGIN and COMMIT: says whether they can be taken out, so that all of it runs in the step's own transaction. Pure.
import type { PostgresStatement } from './postgres-statements.ts';

export type OwnTransaction =
  | { readonly kind: 'none' }
  /** One pair and nothing else: all statements but these two. */
  | { readonly kind: 'wrapped'; readonly statements: readonly PostgresStatement[] }
  /** Several transactions, or one that is taken back: `at` is the statement that makes it so. */
  | { readonly kind: 'several'; readonly at: PostgresStatement; readonly word: string };

/** Savepoints stay as they are: they work inside the step's transaction. */
export function ownTransaction(statements: readonly PostgresStatement[]): OwnTransaction {
  const controls = statements.flatMap((statement) => {
    const control = controlOf(statement);
    return control === null ? [] : [{ statement, ...control }];
  });
  const [first, second, third] = controls;
  if (first === undefined) return { kind: 'none' };
  const odd = first.kind !== 'begin' ? first : second === undefined ? first : second.kind === 'commit' ? third : second;
  if (odd !== undefined) return { kind: 'several', at: odd.statement, word: odd.word };
  return { kind: 'wrapped', statements: statements.filter((each) => each !== first.statement && each !== second?.statement) };
}

/** The word that begins or ends a transaction, where the statement does. */
export function postgresTransactionWord(statement: PostgresStatement): string | null {
  return controlOf(statement)?.word ?? null;
}

function controlOf({ head, text }: PostgresStatement): { readonly kind: 'begin' | 'commit' | 'other'; readonly word: string } | null {
  const [first = '', second = '', third = ''] = head.split(' ');
  // A pair with a mode of its own (SERIALIZABLE, READ ONLY) is meant that way, and ours has another.
  if (first === 'BEGIN') return { kind: /^BEGIN(?:\s+(?:WORK|TRANSACTION))?$/i.test(text) ? 'begin' : 'other', word: 'BEGIN' };
  if (first === 'START' && second === 'TRANSACTION')
    return { kind: /^START\s+TRANSACTION$/i.test(text) ? 'begin' : 'other', word: 'START TRANSACTION' };
  if (first === 'COMMIT' || first === 'END') {
    const isPlain = new RegExp(String.raw`^${first}(?:\s+(?:WORK|TRANSACTION))?(?:\s+AND\s+NO\s+CHAIN)?$`, 'i').test(text);
    return { kind: isPlain ? 'commit' : 'other', word: second === 'PREPARED' ? 'COMMIT PREPARED' : first };
  }
  if (first === 'ROLLBACK' || first === 'ABORT') return second === 'TO' || third === 'TO' ? null : { kind: 'other', word: first };
  return first === 'PREPARE' && second === 'TRANSACTION' ? { kind: 'other', word: 'PREPARE TRANSACTION' } : null;
}
