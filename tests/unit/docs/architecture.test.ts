import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { journalUpgrades } from '../../../src/journal/schema.ts';
import { upgradeMachine } from '../../../src/machine/upgrade.machine.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const page = readFileSync(path.join(repository, 'docs/architecture.md'), 'utf8');

test('the diagram has every state of the machine', () => {
  const diagram = /```mermaid\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const missing = Object.keys(upgradeMachine.states).filter((state) => !new RegExp(`\\b${state}\\b`).test(diagram));
  expect(missing).toEqual([]);
});

test('every table of the journal is described', () => {
  const tables = [...journalUpgrades.join('\n').matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(\w+)/g)].map(([, table = '']) => table);
  expect(tables.filter((table) => !page.includes(`\`${table}\``))).toEqual([]);
});

test('every folder of the import table that the linter enforces has its line', () => {
  const config = readFileSync(path.join(repository, 'oxlint.config.ts'), 'utf8');
  const table = config.slice(config.indexOf('const mayImport'), config.indexOf('\n};'));
  const folders = [...table.matchAll(/^ {2}'?((?:src\/)?\w+)'?: \[.*\],$/gm)].map(([, folder = '']) => folder);
  expect(folders.length).toBeGreaterThan(10);
  expect(folders.filter((folder) => !page.includes(`\`${folder}\``))).toEqual([]);
});
