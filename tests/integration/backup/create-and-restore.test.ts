// A backup, a wrecked installation, a restore: judged by find, sha256sum, tar and sqlite3, never by the code under test.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dump, fingerprint, scratch, setTimes, sqlite } from './installation.ts';

test('what was changed, removed and created since comes back as it was', async () => {
  const { root, store, create, aside, write } = scratch();
  write('VERSION', '0.1.0\n');
  write('config/app.yaml', '# comment\nport: 1\n');
  write('data/uploads/a.txt', 'a');
  symlinkSync('../config/app.yaml', join(root, 'data/link'));
  mkdirSync(join(root, 'data/empty'));
  sqlite(join(root, 'data/app.db'), "PRAGMA journal_mode = wal; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users (name) VALUES ('Ada'), (NULL), ('')").close();
  const rows = dump(join(root, 'data/app.db'));
  setTimes(root);
  const before = fingerprint(root);

  const backup = await create();
  expect(await store.compare(backup)).toEqual({ differences: [], compared: 10 });

  writeFileSync(join(root, 'config/app.yaml'), 'port: 2\n');
  chmodSync(join(root, 'VERSION'), 0o600);
  rmSync(join(root, 'data/uploads'), { recursive: true });
  write('data/new/file', 'new');
  sqlite(join(root, 'data/app.db'), "ALTER TABLE users ADD COLUMN email TEXT; DELETE FROM users WHERE id = 1; UPDATE users SET name = 'x'").close();

  const { differences } = await store.compare(backup);
  expect(differences).toEqual([
    { path: 'VERSION', kind: 'differs', why: 'mode' },
    { path: 'config/app.yaml', kind: 'differs', why: 'size' },
    { path: 'data/app.db', kind: 'differs', why: 'schema, rows of users' },
    { path: 'data/uploads', kind: 'missing', why: 'missing' },
    { path: 'data/uploads/a.txt', kind: 'missing', why: 'missing' },
    { path: 'data/new', kind: 'created', why: 'created since' },
  ]);
  const report = await store.restore(backup, { differences, asideDir: aside });
  expect(report).toEqual({ restored: ['VERSION', 'config/app.yaml', 'data/app.db', 'data/uploads', 'data/uploads/a.txt'], removed: ['data/new'], unchanged: 5 });
  expect(fingerprint(root)).toEqual(before);
  expect(dump(join(root, 'data/app.db'))).toBe(rows);
  expect(readFileSync(join(aside, 'data/new/file'), 'utf8')).toBe('new');
  expect(readFileSync(join(aside, 'config/app.yaml'), 'utf8')).toBe('port: 2\n');
});
