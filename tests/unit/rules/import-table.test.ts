import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../../..');
const scratches: string[] = [];

afterEach(() => {
  for (const scratch of scratches.splice(0)) rmSync(scratch, { recursive: true, force: true });
});

test.each([
  { file: 'src/plan/wrong.ts', imports: '../config/load-config.ts', why: 'planning imports the model alone' },
  { file: 'src/plan/wrong.ts', imports: 'node:fs', why: 'planning is pure' },
  { file: 'src/steps/host/wrong.ts', imports: '../../backup/store.ts', why: 'adapters never import each other' },
  { file: 'src/model/wrong.ts', imports: '../journal/open.ts', why: 'the model imports schemas alone' },
  { file: 'phases/wrong.ts', imports: '../src/journal/open.ts', why: 'phases reach the world through ports' },
  { file: 'src/report/wrong.ts', imports: '../update-manager.ts', why: 'reporters never steer' },
])('the linter refuses $imports in $file: $why', ({ file, imports }) => {
  expect(lint(file, imports)).toContain('no-restricted-imports');
});

test.each([
  { file: 'src/plan/right.ts', imports: '../model/plan.ts' },
  { file: 'src/steps/host/right.ts', imports: '../../databases/sqlite.ts' },
  { file: 'phases/right.ts', imports: '../src/model/plan.ts' },
])('the linter allows $imports in $file', ({ file, imports }) => {
  expect(lint(file, imports)).not.toContain('no-restricted-imports');
});

function lint(file: string, imports: string): string {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'rungs-lint-'));
  scratches.push(scratch);
  cpSync(path.join(repository, 'oxlint.config.ts'), path.join(scratch, 'oxlint.config.ts'));
  symlinkSync(path.join(repository, 'node_modules'), path.join(scratch, 'node_modules'));
  const written = path.join(scratch, file);
  mkdirSync(path.dirname(written), { recursive: true });
  writeFileSync(written, `import { something } from '${imports}';\nexport const used = something;\n`);
  const { stdout, error } = spawnSync(path.join(repository, 'node_modules/.bin/oxlint'), [file], { cwd: scratch, encoding: 'utf8' });
  if (error !== undefined) throw error;
  return stdout;
}
