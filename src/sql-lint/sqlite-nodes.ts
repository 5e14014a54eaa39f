// Small readings of SQLite's parse tree.
import type { PragmaStmt, Stmt } from 'sqlite3-parser';
import type { Remark, SqlCode } from './rules.ts';

export interface SqliteStatement {
  readonly node: Stmt;
  readonly start: number;
  readonly remark: (code: SqlCode, what: string, offset?: number) => Remark;
}

/** SQLite's names are the same in capitals and in small letters. */
export function tableName({ objName }: { readonly objName: { readonly text: string } }): string {
  return objName.text.toLowerCase();
}

export function pragmaName({ name }: PragmaStmt): string {
  return name.objName.text.toLowerCase();
}

export function isOn({ body }: PragmaStmt): boolean {
  const value = body?.value;
  if (value === undefined) return false;
  const text = 'value' in value ? value.value : value.type === 'NameExpr' ? value.name.text : value.type === 'Id' ? value.name : '';
  return ['on', 'true', 'yes'].includes(text.toLowerCase()) || Number(text) > 0;
}

export function columnName(table: Parameters<typeof tableName>[0], { text }: { readonly text: string }): string {
  return `${tableName(table)}.${text.toLowerCase()}`;
}
