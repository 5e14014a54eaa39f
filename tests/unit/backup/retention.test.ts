// Which backups may go.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toPrune } from '../../../src/backup/retention.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';

const now = '2026-03-10T12:00:00.000Z';

function backup(id: string, verified = true, createdAt = ''): BackupRecord {
  return { id, verified, path: '', manifest: '', bytes: 0, files: 0, createdAt, runId: null, version: null };
}

test.each([
  { why: 'nothing goes below the number to keep', all: ['c', 'b', 'a'], keep: 3, gone: [] },
  { why: 'the oldest go first', all: ['d', 'c', 'b', 'a'], keep: 2, gone: ['b', 'a'] },
  { why: 'a protected one stays however old', all: ['d', 'c', 'b', 'a'], keep: 1, protectedIds: ['a'], gone: ['c', 'b'] },
  { why: 'the newest verified one stays even where none is to be kept', all: ['d?', 'c?', 'b', 'a'], keep: 0, gone: ['d', 'c', 'a'] },
  { why: 'the newest verified one stays behind newer ones that are not', all: ['d?', 'c?', 'b', 'a'], keep: 2, gone: ['a'] },
])('$why', ({ all, keep, protectedIds = [], gone }) => {
  const records = all.map((name) => backup(name.replace('?', ''), !name.endsWith('?')));
  expect(toPrune(records, { keep, keepDays: null, now, protectedIds }).map(({ id }) => id)).toEqual(gone);
});

test('whatever is asked, the newest verified backup and the protected ones stay', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), fc.integer({ min: -3, max: 30 }), fc.array(fc.nat(20)), (verified, keep, chosen) => {
      const records = verified.map((is, index) => backup(String(index), is));
      const gone = toPrune(records, { keep, keepDays: null, now, protectedIds: chosen.map(String) }).map(({ id }) => id);
      expect(gone).not.toContain(records.find((record) => record.verified)?.id);
      for (const id of chosen) expect(gone).not.toContain(String(id));
      expect(records.length - gone.length).toBeGreaterThanOrEqual(Math.min(records.length, Math.max(0, keep)));
    }),
  );
});

test.each([
  { why: 'younger ones stay beyond the number', keep: 1, keepDays: 7, days: [1, 3, 6, 8, 30], gone: [8, 30] },
  { why: 'the number stays beyond the age', keep: 3, keepDays: 2, days: [1, 9, 10, 11], gone: [11] },
  { why: 'one from a clock that was ahead is young', keep: 1, keepDays: 1, days: [1, 2, -400], gone: [2] },
])('$why', ({ keep, keepDays, days, gone }) => {
  const at = (age: number): string => new Date(Date.parse(now) - age * 86_400_000 + 1000).toISOString();
  const records = days.map((age) => backup(String(age), true, at(age)));
  expect(toPrune(records, { keep, keepDays, now }).map(({ id }) => Number(id))).toEqual(gone);
});

test('an age that cannot be told keeps a backup', () => {
  const records = ['c', 'b', 'a'].map((id) => backup(id, true, 'at noon'));
  expect(toPrune(records, { keep: 1, keepDays: 3, now })).toEqual([]);
});

test('what a kept one cannot be read without stays, however many lie between', () => {
  const needs: Readonly<Record<string, readonly string[]>> = { f: ['d'], d: ['a'], c: ['b'] };
  const records = ['f', 'e', 'd', 'c', 'b', 'a'].map((id) => ({ ...backup(id), needs: needs[id] ?? [] }));
  expect(toPrune(records, { keep: 1, keepDays: null, now }).map(({ id }) => id)).toEqual(['e', 'c', 'b']);
});
