// Lints the SQL steps of transitions and ladders, each in the dialect of its database. TypeScript steps are not looked into.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { Finding, Step } from '../model/plan.ts';
import { blankOtherSections, hasStatement } from '../model/sql-sections.ts';
import type { SqlSource } from '../sql-lint/lint.ts';

export interface StepFolder {
  readonly dir: string;
  readonly steps: readonly Step[];
  /** All its steps run in one transaction. */
  readonly isGroup: boolean;
}

export async function sqlWarnings({ databases }: Pick<Config, 'databases'>, folders: readonly StepFolder[]): Promise<readonly Finding[]> {
  const sources = folders.flatMap(({ dir, steps, isGroup }) =>
    steps.flatMap((step) => {
      const dialect = databases[step.database ?? '']?.kind;
      if (step.kind !== 'sql' || dialect === undefined) return [];
      return halvesOf(dir, step).map((half): SqlSource => ({
        ...half,
        dialect,
        step: step.id,
        hasBackward: step.hasBackward,
        isInTransaction: step.transaction || isGroup,
      }));
    }),
  );
  if (sources.length === 0) return [];
  const { lintSql } = await import('../sql-lint/lint.ts');
  const findings: Finding[] = [];
  for (const source of sources) findings.push(...(await lintSql(source)));
  return findings;
}

export type SqlHalf = Pick<SqlSource, 'text' | 'file' | 'section'>;

/** Each with what is not of it as blanks, so that places are those of the file. */
export function halvesOf(dir: string, { forwardFile, backwardFile }: Step): readonly SqlHalf[] {
  const file = path.join(dir, forwardFile);
  const { forward, backward } = blankOtherSections(readFileSync(file, 'utf8'));
  const halves: SqlHalf[] = [{ text: forward, file, section: 'forward' }];
  if (backward !== null) halves.push({ text: backward, file, section: 'backward' });
  if (backwardFile !== null && backwardFile !== forwardFile) {
    const other = path.join(dir, backwardFile);
    halves.push({ text: readFileSync(other, 'utf8').replace(/^\uFEFF/, ''), file: other, section: 'backward' });
  }
  return halves.filter(({ text }) => hasStatement(text) || /rungs[-_ ]allow/i.test(text));
}
