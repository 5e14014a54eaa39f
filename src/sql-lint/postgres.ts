// PostgreSQL: what locks a table that is in use, rewrites it, or cannot be taken back. Parsed by PostgreSQL's own parser.
import type { Node, RawStmt, RangeVar } from 'libpg-query';
import { splitPostgres } from '../model/postgres-statements.ts';
import { remarksOnAlterTable } from './postgres-alter.ts';
import { nameOf, namesOf, stringsIn } from './postgres-nodes.ts';
import { createByteIndex, fromCodePoints, skipBlank } from './positions.ts';
import type { LintContext, Linted, Remark, SqlCode } from './rules.ts';

/** What the statements before one have done: who just made a table locks nobody out of it. */
export interface Before {
  readonly created: Set<string>;
  /** `table constraint` of those added without checking the rows. */
  readonly notValid: Set<string>;
  /** Tables of which a constraint was checked. */
  readonly validated: Set<string>;
  isInTransaction: boolean;
}

export interface Statement {
  readonly node: Node;
  readonly start: number;
  /** Where a location of the parser, in bytes, lies in the text; the statement's begin where there is none. */
  readonly at: (location: number | undefined) => number;
  readonly remark: (code: SqlCode, what: string, offset?: number) => Remark;
  /** Where the nth part of an ALTER TABLE begins, from 0. */
  readonly partAt: (index: number, table: RangeVar) => number;
}

type Parser = typeof import('libpg-query');

export async function loadPostgresLint(): Promise<(context: LintContext) => Linted> {
  const parser = await import('libpg-query');
  await parser.loadModule();
  return (context) => lintPostgres(context, parser);
}

function lintPostgres(context: LintContext, parser: Parser): Linted {
  // The parser takes text of C: it would end there unseen.
  const nul = context.text.indexOf('\0');
  if (nul >= 0) return { problem: { message: 'a NUL character', offset: nul } };
  if (context.text.trim() === '') return { remarks: [] };
  let parsed: readonly RawStmt[];
  try {
    parsed = parser.parseSync(context.text).stmts ?? [];
  } catch (error) {
    if (!parser.hasSqlDetails(error)) throw error;
    if (splitPostgres(context.text).psql.length > 0) return { problem: null };
    return { problem: { message: error.message, offset: fromCodePoints(context.text, error.sqlDetails?.cursorPosition ?? 0) } };
  }
  const toIndex = createByteIndex(context.text);
  const before: Before = { created: new Set(), notValid: new Set(), validated: new Set(), isInTransaction: context.isInTransaction };
  const statements = parsed.flatMap(({ stmt, stmt_location: location = 0 }) =>
    stmt === undefined ? [] : [statementOf(stmt, skipBlank(context.text, toIndex(location)), context, toIndex, parser)],
  );
  return {
    remarks: statements.flatMap((statement, index) => {
      const remarks = remarksOn(statement, statements.slice(index + 1), before, context);
      remember(statement.node, before);
      return remarks;
    }),
  };
}

function statementOf(node: Node, start: number, { text }: LintContext, toIndex: (bytes: number) => number, parser: Parser): Statement {
  let parts: readonly number[] | null = null;
  return {
    node,
    start,
    at: (location) => (location === undefined || location < 0 ? start : toIndex(location)),
    remark: (code, what, offset = start) => ({ code, what, offset, statement: start }),
    partAt: (index, table) => {
      const from = toIndex(table.location ?? 0);
      parts ??= partsAfterName(text.slice(from), parser);
      return from + (parts[index] ?? 0);
    },
  };
}

/** Given what begins with the name of a table, where the parts behind it begin, which commas part. */
function partsAfterName(text: string, parser: Parser): readonly number[] {
  const toIndex = createByteIndex(text);
  const tokens = parser.scanSync(text).tokens.filter(({ tokenName }) => !tokenName.endsWith('_COMMENT'));
  let first = 1;
  while (tokens[first]?.text === '.') first += 2;
  if (tokens[first]?.text === '*') first++;
  const parts: number[] = [];
  let depth = 0;
  let isAtBegin = true;
  for (const { text: token, start } of tokens.slice(first)) {
    if (isAtBegin) parts.push(toIndex(start));
    if (token === '(' || token === '[') depth++;
    else if (token === ')' || token === ']') depth--;
    else if (token === ';') break;
    isAtBegin = token === ',' && depth === 0;
  }
  return parts;
}

function remarksOn(statement: Statement, after: readonly Statement[], before: Before, context: LintContext): readonly Remark[] {
  const { node, remark } = statement;
  const isNew = (table: RangeVar | undefined): boolean => before.created.has(nameOf(table)) || table?.relpersistence === 't';
  const outsideOnly = (what: string): readonly Remark[] => (before.isInTransaction ? [remark('SQL_NOT_IN_TRANSACTION', what)] : []);
  if ('AlterTableStmt' in node) {
    const { relation, objtype } = node.AlterTableStmt;
    return objtype !== 'OBJECT_TABLE' || isNew(relation) ? [] : remarksOnAlterTable(node.AlterTableStmt, statement, before, context);
  }
  if ('IndexStmt' in node) {
    const { relation, concurrent, idxname } = node.IndexStmt;
    const what = `CREATE INDEX ${concurrent === true ? 'CONCURRENTLY ' : ''}${idxname === undefined ? '' : `${idxname} `}on ${nameOf(relation)}`;
    if (concurrent === true) return outsideOnly(what);
    // On ONLY a partitioned table nothing is built yet.
    return isNew(relation) || relation?.inh !== true ? [] : [remark('SQL_INDEX_NOT_CONCURRENT', what)];
  }
  if ('ReindexStmt' in node) {
    const { relation, name, params = [], kind } = node.ReindexStmt;
    const isConcurrent = params.some((param) => 'DefElem' in param && param.DefElem.defname === 'concurrently');
    const what = `REINDEX ${isConcurrent ? 'CONCURRENTLY ' : ''}${relation === undefined ? (name ?? '') : nameOf(relation)}`.trimEnd();
    const isWide = kind !== 'REINDEX_OBJECT_INDEX' && kind !== 'REINDEX_OBJECT_TABLE';
    if (isConcurrent) return outsideOnly(what);
    return [...(isNew(relation) ? [] : [remark('SQL_INDEX_NOT_CONCURRENT', what)]), ...(isWide ? outsideOnly(what) : [])];
  }
  if ('DropStmt' in node) return remarksOnDrop(statement, before, context);
  if ('RenameStmt' in node) {
    const { renameType, relationType, relation, subname, newname } = node.RenameStmt;
    const isColumn = renameType === 'OBJECT_COLUMN' && relationType === 'OBJECT_TABLE';
    if (isNew(relation) || !(isColumn || renameType === 'OBJECT_TABLE')) return [];
    const [old, then] = isColumn ? [`column ${nameOf(relation)}.${subname ?? ''}`, newname] : [`table ${nameOf(relation)}`, newname];
    return [remark('SQL_RENAME', `the rename of the ${old} to ${then ?? ''}`)];
  }
  if ('AlterObjectSchemaStmt' in node) {
    const { objectType, relation, newschema } = node.AlterObjectSchemaStmt;
    if (objectType !== 'OBJECT_TABLE' || isNew(relation)) return [];
    return [remark('SQL_RENAME', `the move of the table ${nameOf(relation)} to the schema ${newschema ?? ''}`)];
  }
  if ('TruncateStmt' in node) {
    const tables = (node.TruncateStmt.relations ?? []).flatMap((table) =>
      'RangeVar' in table && !isNew(table.RangeVar) ? [nameOf(table.RangeVar)] : [],
    );
    return tables.length === 0 ? [] : [remark('SQL_TRUNCATE', `TRUNCATE ${tables.join(', ')}`)];
  }
  if ('VacuumStmt' in node && node.VacuumStmt.is_vacuumcmd === true) {
    const isFull = (node.VacuumStmt.options ?? []).some((option) => 'DefElem' in option && option.DefElem.defname === 'full');
    const what = isFull ? 'VACUUM FULL' : 'VACUUM';
    return [...(isFull ? [remark('SQL_LOCKS_TABLE', what)] : []), ...outsideOnly(what)];
  }
  if ('ClusterStmt' in node) return [remark('SQL_LOCKS_TABLE', 'CLUSTER')];
  if ('RefreshMatViewStmt' in node && node.RefreshMatViewStmt.concurrent !== true)
    return [remark('SQL_LOCKS_TABLE', `REFRESH MATERIALIZED VIEW ${nameOf(node.RefreshMatViewStmt.relation)} without CONCURRENTLY`)];
  // From SHARE upwards nobody can write.
  if ('LockStmt' in node && (node.LockStmt.mode ?? 8) >= 5) return [remark('SQL_LOCKS_TABLE', 'LOCK TABLE')];
  if ('CreatedbStmt' in node) return outsideOnly('CREATE DATABASE');
  if ('DropdbStmt' in node) return outsideOnly('DROP DATABASE');
  if ('CreateTableSpaceStmt' in node) return outsideOnly('CREATE TABLESPACE');
  if ('DropTableSpaceStmt' in node) return outsideOnly('DROP TABLESPACE');
  if ('AlterSystemStmt' in node) return outsideOnly('ALTER SYSTEM');
  if ('AlterEnumStmt' in node) {
    const { newVal, oldVal } = node.AlterEnumStmt;
    // PostgreSQL 12 and later add it in a transaction, but it is of use only after the commit.
    const isUsed = oldVal === undefined && newVal !== undefined && after.some((later) => stringsIn(later.node).has(newVal));
    return before.isInTransaction && isUsed ? [remark('SQL_ENUM_VALUE_USED', `the enum value '${newVal}'`)] : [];
  }
  if ('VariableSetStmt' in node || 'SelectStmt' in node)
    return [...remarksOnSettings(statement, after), ...remarksOnRows(statement, isNew)];
  return remarksOnRows(statement, isNew);
}

function remarksOnDrop({ node, remark }: Statement, before: Before, { hasBackward }: LintContext): readonly Remark[] {
  if (!('DropStmt' in node)) return [];
  const { removeType, objects = [], concurrent } = node.DropStmt;
  const names = objects.map(namesOf).filter((name) => !before.created.has(name));
  if (names.length === 0) return [];
  if (removeType === 'OBJECT_INDEX') {
    const what = `DROP INDEX ${concurrent === true ? 'CONCURRENTLY ' : ''}${names.join(', ')}`;
    if (concurrent !== true) return [remark('SQL_INDEX_NOT_CONCURRENT', what)];
    return before.isInTransaction ? [remark('SQL_NOT_IN_TRANSACTION', what)] : [];
  }
  const word = { OBJECT_TABLE: 'TABLE', OBJECT_SCHEMA: 'SCHEMA' }[String(removeType)];
  return word === undefined || hasBackward ? [] : [remark('SQL_DROP_WITHOUT_BACKWARD', `DROP ${word} ${names.join(', ')}`)];
}

function remarksOnSettings({ node, remark }: Statement, after: readonly Statement[]): readonly Remark[] {
  const isResetLater = (name: string): boolean =>
    after.some(({ node: later }) => {
      if (!('VariableSetStmt' in later)) return false;
      const { kind, name: which } = later.VariableSetStmt;
      return kind === 'VAR_RESET_ALL' || ((kind === 'VAR_RESET' || kind === 'VAR_SET_DEFAULT') && which === name);
    });
  if ('VariableSetStmt' in node) {
    const { kind, name = '', is_local: isLocal } = node.VariableSetStmt;
    const lasts = (kind === 'VAR_SET_VALUE' || kind === 'VAR_SET_CURRENT') && isLocal !== true && !isResetLater(name);
    return lasts ? [remark('SQL_SESSION_SETTING', `SET ${name}`)] : [];
  }
  if (!('SelectStmt' in node)) return [];
  return (node.SelectStmt.targetList ?? []).flatMap((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    if (
      value === undefined ||
      !('FuncCall' in value) ||
      namesOf({ List: { items: value.FuncCall.funcname ?? [] } })
        .split('.')
        .at(-1) !== 'set_config'
    )
      return [];
    const [name, , local] = value.FuncCall.args ?? [];
    const setting = name === undefined ? '' : ([...stringsIn(name)][0] ?? '');
    const isLocal = local !== undefined && 'A_Const' in local && local.A_Const.boolval?.boolval === true;
    return isLocal || isResetLater(setting) ? [] : [remark('SQL_SESSION_SETTING', `set_config('${setting}', …, false)`)];
  });
}

/** UPDATE and DELETE, also inside of WITH. */
function remarksOnRows({ node, remark, at }: Statement, isNew: (table: RangeVar | undefined) => boolean): readonly Remark[] {
  const remarks: Remark[] = [];
  const queue: Node[] = [node];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const inner = 'UpdateStmt' in next ? next.UpdateStmt : 'DeleteStmt' in next ? next.DeleteStmt : null;
    if (inner !== null && inner.whereClause === undefined && !isNew(inner.relation)) {
      const word = 'UpdateStmt' in next ? 'UPDATE' : 'DELETE FROM';
      remarks.push(remark('SQL_NO_WHERE', `${word} ${nameOf(inner.relation)}`, next === node ? undefined : at(inner.relation?.location)));
    }
    const withClause =
      inner?.withClause ??
      ('SelectStmt' in next ? next.SelectStmt.withClause : 'InsertStmt' in next ? next.InsertStmt.withClause : undefined);
    for (const cte of withClause?.ctes ?? [])
      if ('CommonTableExpr' in cte && cte.CommonTableExpr.ctequery !== undefined) queue.push(cte.CommonTableExpr.ctequery);
  }
  return remarks;
}

function remember(node: Node, before: Before): void {
  if ('CreateStmt' in node) before.created.add(nameOf(node.CreateStmt.relation));
  else if ('CreateTableAsStmt' in node) before.created.add(nameOf(node.CreateTableAsStmt.into?.rel));
  else if ('SelectStmt' in node && node.SelectStmt.intoClause !== undefined) before.created.add(nameOf(node.SelectStmt.intoClause.rel));
  else if ('IndexStmt' in node && node.IndexStmt.idxname !== undefined) before.created.add(node.IndexStmt.idxname);
  else if ('CreateSchemaStmt' in node) before.created.add(node.CreateSchemaStmt.schemaname ?? '');
  else if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_TABLE') {
    const { relation, newname = '' } = node.RenameStmt;
    if (before.created.delete(nameOf(relation)))
      before.created.add(relation?.schemaname === undefined ? newname : `${relation.schemaname}.${newname}`);
  } else if ('TransactionStmt' in node) {
    const { kind } = node.TransactionStmt;
    if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') before.isInTransaction = true;
    if (kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_ROLLBACK') before.isInTransaction = false;
  }
}
