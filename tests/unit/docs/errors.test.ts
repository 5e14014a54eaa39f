import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { failures } from '../../../src/model/failure.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const codes = Object.keys(failures).toSorted();
const page = readFileSync(path.join(repository, 'docs/errors.md'), 'utf8');
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [/^\S+/.exec(section)?.[0] ?? '', section]),
);

test('every code of the registry has its heading, and every heading is a code', () => {
  expect([...sections.keys()].toSorted()).toEqual(codes);
});

test('no code has two headings', () => {
  expect(page.match(/^### /gm)).toHaveLength(sections.size);
});

test.each([...sections])('%s says what has happened to the installation and what to do', (_, section) => {
  expect(section).toMatch(/^- Installation: \S.*\.$/m);
  expect(section).toMatch(/^- Do: \S.*\.$/m);
});

test('every code is used by something that can fail with it', () => {
  const sources = globSync(['src/**/*.ts', 'phases/**/*.ts'], { cwd: repository }).filter(
    (file) => !file.startsWith(path.join('src', 'model', 'failures')) && !file.endsWith('exit-codes.ts'),
  );
  const used = new Set(
    sources.flatMap((file) => readFileSync(path.join(repository, file), 'utf8').match(/(?<=')[A-Z][A-Z_]+(?=')/g) ?? []),
  );
  expect(codes.filter((code) => !used.has(code))).toEqual([]);
});
