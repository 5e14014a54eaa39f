// A SQLite database as better-sqlite3 hands it to its users, for steps that were written for another tool: `up(db)` and `down(db)`.
// Everything goes into the step's one transaction, which is committed with its marker; a transaction of the step's own is a savepoint in it.
import type { StatementSync } from 'node:sqlite';
import { splitStatements, transactionWord } from './sql-statements.ts';
import type { Connection } from './connections.ts';

type Values = Parameters<StatementSync['run']>;

export interface SynchronousDatabase {
  readonly exec: (sql: string) => SynchronousDatabase;
  readonly prepare: (sql: string) => SynchronousStatement;
  /** `pragma('user_version', { simple: true })` gives the one value. */
  readonly pragma: (text: string, options?: { readonly simple?: boolean }) => unknown;
  readonly transaction: <Arguments extends readonly unknown[], Result>(
    body: (...values: Arguments) => Result,
  ) => (...values: Arguments) => Result;
  readonly inTransaction: boolean;
}

export interface SynchronousStatement {
  readonly run: (...values: readonly unknown[]) => { readonly changes: number; readonly lastInsertRowid: number | bigint };
  readonly get: (...values: readonly unknown[]) => unknown;
  readonly all: (...values: readonly unknown[]) => readonly unknown[];
  readonly iterate: (...values: readonly unknown[]) => IterableIterator<unknown>;
  /** The first column alone. */
  readonly pluck: () => SynchronousStatement;
}

interface InTransaction {
  readonly begin: () => void;
  readonly exec: (sql: string) => void;
}

export function synchronousDatabase(connection: Connection, { begin, exec }: InTransaction): SynchronousDatabase {
  let depth = 0;
  const database: SynchronousDatabase = {
    exec: (sql) => {
      exec(sql);
      return database;
    },
    prepare: (sql) => {
      const [first] = splitStatements(sql);
      const word = first === undefined ? null : transactionWord(first);
      if (word !== null) throw new Error(`${word} does not work here: the step already runs in a transaction`);
      begin();
      return statementOf(connection.db.prepare(sql), (row) => row);
    },
    pragma: (text, { simple = false } = {}) => {
      // Inside the transaction it has no effect; reading it does.
      if (/^\s*foreign_keys\s*[=(]/i.test(text)) {
        exec(`PRAGMA ${text}`);
        return [];
      }
      const rows = connection.db.prepare(`PRAGMA ${text}`).all();
      return simple ? firstColumn(rows[0]) : rows.map((row) => ({ ...row }));
    },
    transaction: <Arguments extends readonly unknown[], Result>(body: (...values: Arguments) => Result) => {
      const inSavepoint = (...values: Arguments): Result => {
        begin();
        const name = `"rungs ${(depth += 1)}"`;
        connection.db.exec(`SAVEPOINT ${name}`);
        try {
          const result = body(...values);
          connection.db.exec(`RELEASE ${name}`);
          return result;
        } catch (error) {
          // Some errors end the whole transaction, and the savepoint with it.
          if (connection.isInTransaction()) connection.db.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
          throw error;
        } finally {
          depth -= 1;
        }
      };
      // Which lock it takes is settled already: the step has the strongest that there is.
      return Object.assign(inSavepoint, { default: inSavepoint, deferred: inSavepoint, immediate: inSavepoint, exclusive: inSavepoint });
    },
    get inTransaction() {
      return connection.isInTransaction();
    },
  };
  return database;
}

function statementOf(statement: StatementSync, shape: (row: unknown) => unknown): SynchronousStatement {
  return {
    run: (...values) => {
      const { changes, lastInsertRowid } = statement.run(...bound(values));
      return { changes: Number(changes), lastInsertRowid };
    },
    get: (...values) => {
      const row = statement.get(...bound(values));
      return row === undefined ? undefined : shape(row);
    },
    all: (...values) => statement.all(...bound(values)).map(shape),
    *iterate(...values) {
      for (const row of statement.iterate(...bound(values))) yield shape(row);
    },
    pluck: () => statementOf(statement, firstColumn),
  };
}

function firstColumn(row: unknown): unknown {
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
}

/** One by one, as one array, or by name. */
function bound(values: readonly unknown[]): Values {
  const [first] = values;
  return (values.length === 1 && Array.isArray(first) ? first : values) as Values;
}
