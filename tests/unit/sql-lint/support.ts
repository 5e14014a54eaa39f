// Lints a text as a step of its own, with what most cases have in common.
import { lintSql, type SqlSource } from '../../../src/sql-lint/lint.ts';

export async function codesOf(text: string, options: Partial<SqlSource> & Pick<SqlSource, 'dialect'>): Promise<readonly string[]> {
  return (await findingsOf(text, options)).map(({ code }) => code);
}

export async function findingsOf(text: string, options: Partial<SqlSource> & Pick<SqlSource, 'dialect'>) {
  return lintSql({ text, file: '001_x.sql', step: 'main/001_x', hasBackward: true, isInTransaction: true, section: 'forward', ...options });
}
