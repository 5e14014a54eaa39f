// `upgrade backup …`: the documents exactly as the contract has them, and what they do.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { makeSmall } from './installation.ts';

const made = {
  id: expect.stringMatching(/^[0-9A-Z]{26}$/),
  path: expect.any(String),
  manifest: expect.any(String),
  bytes: expect.any(Number),
  files: expect.any(Number),
  verified: true,
};

test('create, list, verify and export', async () => {
  const { upgrade, root, dir } = makeSmall();
  expect(JSON.parse((await upgrade(['backup', 'list', '--json'])).stdout)).toEqual([]);
  expect(existsSync(path.join(root, '.upgrade'))).toBe(false);
  const created = await upgrade(['backup', 'create', '--json']);
  expect(created.code).toBe(0);
  const record = JSON.parse(created.stdout);
  expect(record).toEqual(made);
  expect(existsSync(record.path)).toBe(true);
  expect(existsSync(record.manifest)).toBe(true);
  expect(JSON.parse((await upgrade(['--json', 'backup', 'list'])).stdout)).toEqual([
    // No service is stopped for it: nobody can say that it is of one moment.
    { ...record, createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), runId: null, simultaneous: false },
  ]);
  expect((await upgrade(['backup', 'list'])).stdout).toMatch(/ \*\n.*\* Not of one moment/s);
  expect(JSON.parse((await upgrade(['backup', 'verify', '--json'])).stdout)).toEqual(record);
  expect((await upgrade(['backup', 'list'])).stdout).toContain(record.id);
  const file = path.join(dir, 'copy.tar.zst');
  const exported = await upgrade(['backup', 'export', record.id, '../copy.tar.zst', '--json']);
  expect(JSON.parse(exported.stdout)).toEqual({ id: record.id, file });
  expect(existsSync(file)).toBe(true);
  const again = await upgrade(['backup', 'export', record.id, file, '--json']);
  expect(again.code).toBe(3);
  expect(JSON.parse(again.stdout)).toMatchObject({ failure: { code: 'BACKUP_EXPORT_EXISTS' } });
  writeFileSync(record.path, readFileSync(record.path).subarray(0, 200));
  const damaged = await upgrade(['backup', 'verify', record.id, '--json']);
  expect(damaged.code).toBe(3);
  expect(JSON.parse(damaged.stdout)).toMatchObject({ failure: { code: 'BACKUP_CORRUPT' } });
});

test('restore: a dry run tells the same and changes nothing, paths are honoured, all of it sets all back', async () => {
  const { upgrade, root } = makeSmall();
  const { id } = JSON.parse((await upgrade(['backup', 'create', '--json'])).stdout);
  const before = snapshot(path.join(root, 'data/deep'));
  writeFileSync(path.join(root, 'config/app.yaml'), 'name: changed\n');
  writeFileSync(path.join(root, 'config/new.yaml'), 'created since\n');
  rmSync(path.join(root, 'data/deep/file.txt'));

  const changed = snapshot(root);
  const dry = await upgrade(['backup', 'restore', id, 'config', '--dry-run', '--json']);
  expect(dry.code).toBe(0);
  expect(snapshot(root)).toEqual(changed);
  const some = await upgrade(['backup', 'restore', id, 'config', '--json']);
  expect(JSON.parse(some.stdout)).toEqual({ restored: ['config/app.yaml'], removed: ['config/new.yaml'], unchanged: expect.any(Number) });
  expect(JSON.parse(dry.stdout)).toEqual({
    ...JSON.parse(some.stdout),
    diff: [
      { path: 'config/app.yaml', change: 'changed', why: 'size' },
      { path: 'config/new.yaml', change: 'removed', why: 'created since' },
    ],
  });
  expect(readFileSync(path.join(root, 'config/app.yaml'), 'utf8')).toBe('name: small # a comment\n');
  expect(existsSync(path.join(root, 'data/deep/file.txt'))).toBe(false);

  const whole = JSON.parse((await upgrade(['backup', 'restore', id, '--json'])).stdout);
  expect(whole).toEqual({ restored: ['data/deep/file.txt'], removed: [], unchanged: expect.any(Number) });
  expect(whole.unchanged).toBeGreaterThan(3);
  expect(snapshot(path.join(root, 'data/deep')).map((line) => line.split(' ')[0])).toEqual(before.map((line) => line.split(' ')[0]));
  expect(JSON.parse((await upgrade(['backup', 'restore', id, '--json'])).stdout)).toMatchObject({ restored: [], removed: [] });
});

test.each([
  ['nowhere', []],
  ['nowhere', ['--dry-run']],
  ['../other', []],
  ['../other', ['--dry-run']],
])('restoring %s %j, which the backup does not have', async (wanted, flags) => {
  const { upgrade, root } = makeSmall();
  const { id } = JSON.parse((await upgrade(['backup', 'create', '--json'])).stdout);
  writeFileSync(path.join(root, 'config/app.yaml'), 'name: changed\n');
  const { code, stdout } = await upgrade(['backup', 'restore', id, wanted, ...flags, '--json']);
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ failure: { code: 'RESTORE_PATH_UNKNOWN' } });
  expect(readFileSync(path.join(root, 'config/app.yaml'), 'utf8')).toBe('name: changed\n');
});
