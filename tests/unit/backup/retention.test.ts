// Which backups may go.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toPrune } from '../../../src/backup/retention.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';

function backup(id: string, verified = true): BackupRecord {
  return { id, verified, path: '', manifest: '', bytes: 0, files: 0, createdAt: '', runId: null, version: null };
}

test.each([
  { why: 'nothing goes below the number to keep', all: ['c', 'b', 'a'], keep: 3, gone: [] },
  { why: 'the oldest go first', all: ['d', 'c', 'b', 'a'], keep: 2, gone: ['b', 'a'] },
  { why: 'a protected one stays however old', all: ['d', 'c', 'b', 'a'], keep: 1, protectedIds: ['a'], gone: ['c', 'b'] },
  { why: 'the newest verified one stays even where none is to be kept', all: ['d?', 'c?', 'b', 'a'], keep: 0, gone: ['d', 'c', 'a'] },
  { why: 'the newest verified one stays behind newer ones that are not', all: ['d?', 'c?', 'b', 'a'], keep: 2, gone: ['a'] },
])('$why', ({ all, keep, protectedIds = [], gone }) => {
  const records = all.map((name) => backup(name.replace('?', ''), !name.endsWith('?')));
  expect(toPrune(records, keep, protectedIds).map(({ id }) => id)).toEqual(gone);
});

test('whatever is asked, the newest verified backup and the protected ones stay', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), fc.integer({ min: -3, max: 30 }), fc.array(fc.nat(20)), (verified, keep, chosen) => {
      const records = verified.map((is, index) => backup(String(index), is));
      const gone = toPrune(records, keep, chosen.map(String)).map(({ id }) => id);
      expect(gone).not.toContain(records.find((record) => record.verified)?.id);
      for (const id of chosen) expect(gone).not.toContain(String(id));
      expect(records.length - gone.length).toBeGreaterThanOrEqual(Math.min(records.length, Math.max(0, keep)));
    }),
  );
});
