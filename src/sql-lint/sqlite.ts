// SQLite: what fails on tables with rows, loses data, or does not do in a transaction what it says. Parsed by the grammar of SQLite itself.
import { parse, type AlterTableStmt, type ColumnConstraint, type Expr } from 'sqlite3-parser';
import { skipBlank } from './positions.ts';
import type { LintContext, Linted, Remark } from './rules.ts';
import { isOn, pragmaName, columnName, tableName, type SqliteStatement } from './sqlite-nodes.ts';
import { remarksOnRebuilds } from './sqlite-rebuild.ts';

export function lintSqlite(context: LintContext): Linted {
  const parsed = parse(context.text);
  if (parsed.status === 'error') {
    const [first] = parsed.errors;
    return { problem: { message: first?.message ?? 'syntax error', offset: first?.span.offset ?? 0 } };
  }
  const statements = parsed.root.cmds.flatMap((node): readonly SqliteStatement[] => {
    if (node.type === 'ExplainStmt') return [];
    const start = skipBlank(context.text, node.span.offset);
    return [{ node, start, remark: (code, what, offset = start) => ({ code, what, offset, statement: start }) }];
  });
  /** Tables, and `table.column`, that the file itself has made: nothing of anybody's is in them. */
  const created = new Set<string>();
  const remarks = statements.flatMap((statement) => {
    const found = remarksOn(statement, created, context);
    const { node } = statement;
    if (node.type === 'CreateTableStmt') created.add(tableName(node.tblName));
    if (node.type === 'AlterTableStmt' && node.body.type === 'AddColumnAlterTableBody')
      created.add(columnName(node.tblName, node.body.column.colName));
    return found;
  });
  return { remarks: [...remarks, ...remarksOnRebuilds(statements, context)] };
}

function remarksOn(
  { node, remark }: SqliteStatement,
  created: ReadonlySet<string>,
  { isInTransaction, hasBackward }: LintContext,
): readonly Remark[] {
  switch (node.type) {
    case 'AlterTableStmt':
      return remarksOnAlterTable(node, remark, created, hasBackward);
    case 'UpdateStmt':
    case 'DeleteStmt': {
      // A new column is filled in every row.
      const isFill =
        node.type === 'UpdateStmt' &&
        node.sets.every(({ colNames }) => colNames.every((name) => created.has(columnName(node.tblName, name))));
      if (isFill) return [];
      if (node.whereClause !== undefined || node.limit !== undefined || created.has(tableName(node.tblName))) return [];
      return [remark('SQL_NO_WHERE', `${node.type === 'UpdateStmt' ? 'UPDATE' : 'DELETE FROM'} ${node.tblName.objName.text}`)];
    }
    case 'VacuumStmt':
      return isInTransaction ? [remark('SQL_NOT_IN_TRANSACTION', 'VACUUM')] : [];
    case 'AttachStmt':
      return [remark('SQL_ATTACH', 'ATTACH')];
    case 'PragmaStmt': {
      const name = pragmaName(node);
      const isSet = node.body !== undefined && (name === 'journal_mode' || name === 'synchronous');
      if (isSet && isInTransaction) return [remark('SQL_NOT_IN_TRANSACTION', `PRAGMA ${name}`)];
      return name === 'legacy_alter_table' && isOn(node) ? [remark('SQL_LEGACY_ALTER_TABLE', `PRAGMA ${name}`)] : [];
    }
    default:
      return [];
  }
}

function remarksOnAlterTable(
  { tblName, body }: AlterTableStmt,
  remark: SqliteStatement['remark'],
  created: ReadonlySet<string>,
  hasBackward: boolean,
): readonly Remark[] {
  if (created.has(tableName(tblName))) return [];
  const table = tblName.objName.text;
  if (body.type === 'DropColumnAlterTableBody')
    return hasBackward ? [] : [remark('SQL_DROP_WITHOUT_BACKWARD', `DROP COLUMN ${table}.${body.column.text}`)];
  if (body.type !== 'AddColumnAlterTableBody') return [];
  const { colName, constraints } = body.column;
  const found = constraints.map(({ constraint }) => constraint);
  const given = <T extends ColumnConstraint['type']>(type: T): Extract<ColumnConstraint, { type: T }> | undefined =>
    found.find((constraint): constraint is Extract<ColumnConstraint, { type: T }> => constraint.type === type);
  const what = `ADD COLUMN ${table}.${colName.text}`;
  const fails = (why: string, { span }: ColumnConstraint): Remark => remark('SQL_ADD_COLUMN_FAILS', `${what} ${why}`, span.offset);
  const generated = given('GeneratedColumnConstraint');
  if (generated !== undefined) return generated.typ?.name.toLowerCase() === 'stored' ? [fails('as a STORED column', generated)] : [];
  const key = given('PrimaryKeyColumnConstraint') ?? given('UniqueColumnConstraint');
  if (key !== undefined) return [fails(key.type === 'UniqueColumnConstraint' ? 'with UNIQUE' : 'as a PRIMARY KEY', key)];
  const value = given('DefaultColumnConstraint');
  const isNull = value === undefined || bare(value.expr).type === 'NullLiteral';
  const notNull = given('NotNullColumnConstraint');
  if (notNull !== undefined && !notNull.nullable && isNull) return [remark('SQL_ADD_NOT_NULL', what, notNull.span.offset)];
  if (value !== undefined && !isConstant(value.expr)) return [fails('with a default that is no constant', value)];
  const foreign = given('ForeignKeyColumnConstraint');
  return foreign !== undefined && !isNull ? [fails('with REFERENCES and a default that is not NULL', foreign)] : [];
}

function bare(expr: Expr): Expr {
  const [only] = expr.type === 'ParenthesizedExpr' && expr.exprs.length === 1 ? expr.exprs : [];
  return only === undefined ? expr : bare(only);
}

// What SQLite's ALTER TABLE takes for one: literals, also with a sign; no CURRENT_TIMESTAMP and nothing that is calculated.
function isConstant(expr: Expr): boolean {
  const inner = bare(expr);
  if (inner.type === 'UnaryExpr') return isConstant(inner.expr);
  return ['NumericLiteral', 'StringLiteral', 'BlobLiteral', 'NullLiteral', 'Id', 'NameExpr', 'KeywordLiteral'].includes(inner.type);
}
