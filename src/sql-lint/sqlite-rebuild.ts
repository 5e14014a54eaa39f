// SQLite's way of changing a table is to build it anew: CREATE the new one, copy, DROP the old one, RENAME. What of that is dangerous, and what is a plain DROP.
import type { LintContext, Remark } from './rules.ts';
import { isOn, pragmaName, tableName, type SqliteStatement } from './sqlite-nodes.ts';

export function remarksOnRebuilds(
  statements: readonly SqliteStatement[],
  { isInTransaction, hasBackward }: LintContext,
): readonly Remark[] {
  const remarks: Remark[] = [];
  const created = new Set<string>();
  /** What the file itself has renamed away. */
  const renamed = new Set<string>();
  // Outside a transaction a connection has them on, as in Rungs every connection has.
  let hasForeignKeys = !isInTransaction;
  let pragma: SqliteStatement | null = null;
  let isLegacy = false;
  for (const [index, statement] of statements.entries()) {
    const { node, remark } = statement;
    const after = statements.slice(index + 1);
    if (node.type === 'CreateTableStmt') created.add(tableName(node.tblName));
    else if (node.type === 'PragmaStmt' && node.body !== undefined && pragmaName(node) === 'foreign_keys') {
      hasForeignKeys = isOn(node);
      pragma = hasForeignKeys ? statement : null;
    } else if (node.type === 'PragmaStmt' && node.body !== undefined && pragmaName(node) === 'legacy_alter_table') isLegacy = isOn(node);
    else if (node.type === 'AlterTableStmt' && node.body.type === 'RenameToAlterTableBody') {
      const old = tableName(node.tblName);
      const then = node.body.name.text.toLowerCase();
      if (created.delete(old)) created.add(then);
      else {
        renamed.add(then);
        const isRebuiltAfter = creates(after, old) && drops(after, then);
        if (isRebuiltAfter && !isLegacy)
          remarks.push(remark('SQL_REBUILD_ORDER', `the rename of ${node.tblName.objName.text} before it is built anew`));
      }
    } else if (node.type === 'DropTableStmt') {
      const table = tableName(node.tblName);
      const name = node.tblName.objName.text;
      if (created.has(table)) continue;
      if (hasForeignKeys)
        remarks.push((pragma ?? statement).remark('SQL_FOREIGN_KEYS_ON', pragma === null ? `DROP TABLE ${name}` : 'PRAGMA foreign_keys'));
      if (!hasBackward && !renamed.has(table) && !isReplaced(after, table))
        remarks.push(remark('SQL_DROP_WITHOUT_BACKWARD', `DROP TABLE ${name}`));
    }
  }
  return remarks;
}

function creates(statements: readonly SqliteStatement[], table: string): boolean {
  return statements.some(({ node }) => node.type === 'CreateTableStmt' && tableName(node.tblName) === table);
}

function drops(statements: readonly SqliteStatement[], table: string): boolean {
  return statements.some(({ node }) => node.type === 'DropTableStmt' && tableName(node.tblName) === table);
}

/** Another table takes its name: it was built anew. */
function isReplaced(statements: readonly SqliteStatement[], table: string): boolean {
  return statements.some(
    ({ node }) =>
      node.type === 'AlterTableStmt' && node.body.type === 'RenameToAlterTableBody' && node.body.name.text.toLowerCase() === table,
  );
}
