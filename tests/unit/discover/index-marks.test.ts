import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { markInIndex } from '../../../src/discover/index-marks.ts';
import { makeTree } from './tree.ts';

const cases: readonly {
  readonly why: string;
  readonly before: string;
  readonly marks: readonly (readonly [number, boolean])[];
  readonly after: string;
}[] = [
  {
    why: 'an entry that has the mark: only the word changes',
    before:
      '{\n    "metadata": { "keep":  1 },\n    "migrations": [\n        { "id": "00000001", "has_run": false, "x": "has_run" }\n    ]\n}',
    marks: [[1, true]],
    after:
      '{\n    "metadata": { "keep":  1 },\n    "migrations": [\n        { "id": "00000001", "has_run": true, "x": "has_run" }\n    ]\n}',
  },
  {
    why: 'a step that was taken back',
    before: '[{"id":"00000001","has_run":true},{"id":"00000002","has_run":true}]\n',
    marks: [[2, false]],
    after: '[{"id":"00000001","has_run":true},{"id":"00000002","has_run":false}]\n',
  },
  {
    why: 'an entry on lines of its own without the mark gets it on a line of its own',
    before: '[\r\n\t{\r\n\t\t"description": "é",\r\n\t\t"id" : "00000003"\r\n\t}\r\n]',
    marks: [[3, true]],
    after: '[\r\n\t{\r\n\t\t"description": "é",\r\n\t\t"id" : "00000003",\r\n\t\t"has_run": true\r\n\t}\r\n]',
  },
  {
    why: 'an entry without the mark that was not run stays without it',
    before: '[{ "id": "00000003" }]',
    marks: [[3, false]],
    after: '[{ "id": "00000003" }]',
  },
  {
    why: 'a byte order mark, and ids that the index does not have',
    before: '\uFEFF[ {"has_run":false,"id":"00000010"} ]',
    marks: [
      [10, true],
      [11, true],
    ],
    after: '\uFEFF[ {"has_run":true,"id":"00000010"} ]',
  },
  {
    why: 'a key that is given twice: the one that counts',
    before: '[{"id":"00000001","has_run":true,"has_run":false}]',
    marks: [[1, true]],
    after: '[{"id":"00000001","has_run":true,"has_run":true}]',
  },
];

test.each(cases)('$why', async ({ before, marks, after }) => {
  const file = path.join(makeTree({ 'index.json': before }), 'index.json');
  expect(await markInIndex(file, new Map(marks))).toBe(before !== after);
  expect(readFileSync(file, 'utf8')).toBe(after);
  expect(JSON.parse(after.replace(/^\uFEFF/, ''))).toBeTruthy();
});

test('an index that says it already is not written again', async () => {
  const file = path.join(makeTree({ 'index.json': '[{"id":"00000001","has_run":true}]' }), 'index.json');
  const before = statSync(file, { bigint: true });
  expect(await markInIndex(file, new Map([[1, true]]))).toBe(false);
  const after = statSync(file, { bigint: true });
  expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
});

test('an index that has no list is refused, and left as it is', async () => {
  const file = path.join(makeTree({ 'index.json': '{}' }), 'index.json');
  await expect(markInIndex(file, new Map([[1, true]]))).rejects.toThrow(/no array/);
  writeFileSync(file, '{"migrations": [');
  await expect(markInIndex(file, new Map([[1, true]]))).rejects.toThrow();
  expect(readFileSync(file, 'utf8')).toBe('{"migrations": [');
});
