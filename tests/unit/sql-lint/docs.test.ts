import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { failures } from '../../../src/model/failure.ts';
import { sqlRules } from '../../../src/sql-lint/rules.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const page = readFileSync(path.join(repository, 'docs/writing-steps.md'), 'utf8');
const section = page.slice(page.indexOf('\n## SQL that hurts\n'), page.indexOf('\n## What a step is handed\n'));

test('every code of the lint is in "Writing steps", and every code there is one of the lint', () => {
  const named = new Set([...section.matchAll(/`(SQL_[A-Z_]+)`/g)].map(([, code = '']) => code));
  expect([...named].toSorted()).toEqual(Object.keys(sqlRules).toSorted());
});

test('no code of the lint is that of a failure', () => {
  expect(Object.keys(sqlRules).filter((code) => code in failures)).toEqual([]);
});

test('every rule has a case', () => {
  const cases = ['postgres', 'sqlite', 'lint']
    .map((name) => readFileSync(path.join(import.meta.dirname, `${name}.test.ts`), 'utf8'))
    .join('\n');
  expect(Object.keys(sqlRules).filter((code) => !cases.includes(`'${code}'`))).toEqual([]);
});
