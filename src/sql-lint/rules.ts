// What the lint of SQL can say: per code what is wrong, what to write instead, and in which half of a step it matters.

export interface SqlRule {
  /** What follows the statement in the message. */
  readonly says: string;
  readonly hint: string;
  /** A backward puts back what its forward did: what is lost or renamed by it is not news. */
  readonly isForwardOnly?: true;
}

export type SqlCode = keyof typeof sqlRules;

export const sqlRules = {
  SQL_INDEX_NOT_CONCURRENT: {
    says: 'keeps everybody from writing to the table until it is done',
    hint: 'Use CONCURRENTLY, in a step of its own with "transaction: false".',
  },
  SQL_NOT_IN_TRANSACTION: {
    says: 'cannot run in a transaction, and this step runs in one',
    hint: 'Put it into a step of its own with "transaction: false".',
  },
  SQL_ADD_NOT_NULL: {
    says: 'fails on a table that has rows: the column is NOT NULL and has no default',
    hint: 'Give it a constant DEFAULT, or add it without NOT NULL, fill it, and make it NOT NULL in a later step.',
  },
  SQL_ADD_COLUMN_FAILS: {
    says: 'is refused by SQLite on a table that has rows',
    hint: 'Add the column with a constant default or none, and UPDATE it; for a key, a UNIQUE or a STORED column rebuild the table, or make an index.',
  },
  SQL_DEFAULT_REWRITES: {
    says: 'rewrites the whole table, with nobody reading or writing meanwhile: each row gets a value of its own',
    hint: 'Add the column without that default, set the default by ALTER COLUMN, and fill the rows in batches.',
  },
  SQL_SET_NOT_NULL: {
    says: 'reads the whole table with nobody reading or writing meanwhile',
    hint: 'First, in a step before: ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID. Then VALIDATE CONSTRAINT, SET NOT NULL, and drop the constraint.',
  },
  SQL_TYPE_CHANGE: {
    says: 'may rewrite the whole table and its indexes, with nobody reading or writing meanwhile',
    hint: 'Add a column of the new type, fill it in batches, and change over. Where the type is only widened (varchar, numeric) nothing is rewritten: say so in a waiver.',
  },
  SQL_CONSTRAINT_VALIDATES: {
    says: 'checks every row while writing is locked out',
    hint: 'Add it with NOT VALID, and VALIDATE CONSTRAINT in a step after it.',
  },
  SQL_VALIDATED_TOGETHER: {
    says: 'checks every row while the lock of the ADD CONSTRAINT in the same transaction is still held',
    hint: 'Move VALIDATE CONSTRAINT to a step after it.',
  },
  SQL_UNIQUE_BUILDS_INDEX: {
    says: 'builds its index with nobody writing, or even reading, meanwhile',
    hint: 'CREATE UNIQUE INDEX CONCURRENTLY in a step before it, then ADD CONSTRAINT … UNIQUE USING INDEX (or PRIMARY KEY USING INDEX).',
  },
  SQL_RENAME: {
    says: 'breaks every service that still runs with the old name',
    hint: 'Add the new one beside it and drop the old one in a later version; or stop the services that read it ("stopDuringUpgrade: true") and waive this.',
    isForwardOnly: true,
  },
  SQL_DROP_WITHOUT_BACKWARD: {
    says: 'cannot be undone: the step has no backward, so only the backup brings it back',
    hint: 'Write the backward, or rename it now and drop it in a later version.',
    isForwardOnly: true,
  },
  SQL_TRUNCATE: {
    says: 'deletes all rows, and nobody reads or writes meanwhile',
    hint: 'DELETE with a WHERE, in batches; or waive this, if all of it is meant to go.',
  },
  SQL_NO_WHERE: {
    says: 'has no WHERE: it changes every row',
    hint: 'Add a WHERE; "WHERE true" says that every row is meant. A large table is better changed in batches by a TypeScript step.',
  },
  SQL_LOCKS_TABLE: {
    says: 'locks the table until it is done',
    hint: 'Leave it out of an upgrade, or stop the services that use the table ("stopDuringUpgrade: true") and waive this.',
  },
  SQL_ENUM_VALUE_USED: {
    says: 'is used further down in the same transaction, which PostgreSQL refuses',
    hint: 'Add the value in a step before the one that uses it.',
  },
  SQL_SESSION_SETTING: {
    says: 'stays in force for what runs on the connection afterwards',
    hint: 'Use SET LOCAL; or, without a transaction, RESET it at the end. For time limits there are "lock_timeout" and "statement_timeout" in the step’s metadata.',
  },
  SQL_FOREIGN_KEYS_ON: {
    says: 'has foreign keys on while a table is dropped: rows that refer to it are deleted with it, or the step fails',
    hint: 'Leave the step in its transaction and the PRAGMA out: Rungs turns foreign keys off around DROP TABLE, and checks them before it commits.',
  },
  SQL_REBUILD_ORDER: {
    says: 'points foreign keys, triggers and views of other tables at the old table, which is then dropped',
    hint: 'Create the new table under another name, copy the rows, drop the old one, and rename the new one last.',
  },
  SQL_LEGACY_ALTER_TABLE: {
    says: 'leaves foreign keys, triggers and views of other tables with the old name when a table is renamed',
    hint: 'Leave the PRAGMA out.',
  },
  SQL_ATTACH: {
    says: 'opens a database that is neither backed up nor put back with this one',
    hint: 'Use a TypeScript step, with both databases in upgrade.yaml.',
  },
  SQL_UNPARSED: {
    says: 'is not understood by the parser, so none of this half was checked',
    hint: 'The database has the last word. If it takes the statement, waive this.',
  },
  SQL_WAIVER_UNKNOWN: {
    says: 'names no code',
    hint: '"Writing steps" lists the codes: -- rungs-allow: SQL_NO_WHERE every row is meant',
  },
  SQL_WAIVER_NO_REASON: {
    says: 'gives no reason',
    hint: 'Say why it does no harm here: -- rungs-allow: SQL_NO_WHERE every row is meant',
  },
  SQL_WAIVER_UNUSED: {
    says: 'waives nothing: neither its line nor the one after it has such a finding',
    hint: 'Remove it, or move it right above the statement.',
  },
} satisfies Readonly<Record<string, SqlRule>>;

/** What a rule has found, before waivers. Offsets are in UTF-16 units, from 0. */
export interface Remark {
  readonly code: SqlCode;
  /** The statement or the part of it, for people: `DROP INDEX by_day`. */
  readonly what: string;
  readonly offset: number;
  /** Where its statement begins. */
  readonly statement: number;
}

export interface LintContext {
  readonly text: string;
  readonly hasBackward: boolean;
  readonly isInTransaction: boolean;
}

export interface ParseProblem {
  readonly message: string;
  readonly offset: number;
}

/** A problem of `null`: it is written for psql, which the run and the preflight explain. */
export type Linted = { readonly remarks: readonly Remark[] } | { readonly problem: ParseProblem | null };
