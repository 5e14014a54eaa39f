// A backup, a wrecked installation, a restore: judged by find, sha256sum, tar and sqlite3, never by the code under test.
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dump, fingerprint, run, scratch, setTimes, sqlite } from './installation.ts';

test('what was changed, removed and created since comes back as it was', async () => {
  const { root, store, create, aside, write } = scratch();
  write('VERSION', '0.1.0\n');
  write('config/app.yaml', '# comment\nport: 1\n');
  write('data/uploads/a.txt', 'a');
  symlinkSync('../config/app.yaml', join(root, 'data/link'));
  mkdirSync(join(root, 'data/empty'));
  sqlite(
    join(root, 'data/app.db'),
    "PRAGMA journal_mode = wal; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users (name) VALUES ('Ada'), (NULL), ('')",
  ).close();
  const rows = dump(join(root, 'data/app.db'));
  setTimes(root);
  const before = fingerprint(root);

  const backup = await create();
  expect(await store.compare(backup)).toEqual({ differences: [], compared: 10 });

  writeFileSync(join(root, 'config/app.yaml'), 'port: 2\n');
  chmodSync(join(root, 'VERSION'), 0o600);
  rmSync(join(root, 'data/uploads'), { recursive: true });
  write('data/new/file', 'new');
  sqlite(
    join(root, 'data/app.db'),
    "ALTER TABLE users ADD COLUMN email TEXT; DELETE FROM users WHERE id = 1; UPDATE users SET name = 'x'",
  ).close();

  const { differences } = await store.compare(backup);
  expect(differences.map(({ path, kind, why }) => ({ path, kind, why }))).toEqual([
    { path: 'VERSION', kind: 'differs', why: 'mode' },
    { path: 'config/app.yaml', kind: 'differs', why: 'size' },
    { path: 'data/app.db', kind: 'differs', why: 'schema, rows of users' },
    { path: 'data/new', kind: 'created', why: 'created since' },
    { path: 'data/uploads', kind: 'missing', why: 'missing' },
    { path: 'data/uploads/a.txt', kind: 'missing', why: 'missing' },
  ]);
  const report = await store.restore(backup, { differences, asideDir: aside });
  expect(report).toEqual({
    restored: ['VERSION', 'config/app.yaml', 'data/app.db', 'data/uploads', 'data/uploads/a.txt'],
    removed: ['data/new'],
    unchanged: 5,
  });
  expect(fingerprint(root)).toEqual(before);
  expect(dump(join(root, 'data/app.db'))).toBe(rows);
  expect(readFileSync(join(aside, 'data/new/file'), 'utf8')).toBe('new');
  expect(readFileSync(join(aside, 'config/app.yaml'), 'utf8')).toBe('port: 2\n');
});

test('an export is one file that plain tar opens, that carries its manifest, and that overwrites nothing', async () => {
  const { dir, root, store, create, write } = scratch();
  write('a', 'contents');
  const backup = await create();
  const file = join(dir, 'export.tar.zst');
  await store.exportTo(backup, file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(run('tar', ['--zstd', '-xOf', file, 'a'])).toEqual({ code: 0, output: 'contents' });
  expect(readFileSync(file).includes(readFileSync(backup.manifest))).toBe(true);
  await expect(store.exportTo(backup, file)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_EXPORT_EXISTS' }] });
  await expect(store.exportTo(backup, join(dir, 'nowhere/x'))).rejects.toMatchObject({ failures: [{ code: 'BACKUP_WRITE_FAILED' }] });
  expect(readdirSync(dir).toSorted()).toEqual(['export.tar.zst', 'root']);
  expect(existsSync(root)).toBe(true);
});

test('a backup that was finished before its run was killed is taken up again, unless the installation has changed since', async () => {
  const { root, store, create, write } = scratch();
  write('a', 'contents');
  const backup = await create();
  const { mtimeNs } = statSync(backup.path, { bigint: true });
  expect(await create()).toEqual(backup);
  expect(statSync(backup.path, { bigint: true }).mtimeNs).toBe(mtimeNs);
  writeFileSync(join(root, 'a'), 'changed');
  await expect(create()).rejects.toMatchObject({ failures: [{ code: 'BACKUP_EXISTS' }] });
  await store.verify(backup);
});

test('removing a backup removes its two files and nothing else, however often; what killed runs left goes with the next backup', async () => {
  const { config, store, create, write } = scratch();
  write('a', 'contents');
  const [first, second] = [await create(store, 'B1'), await create(store, 'B2')];
  await store.remove(first);
  await store.remove(first);
  await store.verify(second);
  for (const name of ['B7.tar.zst.partial', 'B7.manifest.json.partial', 'B7.0.db.partial', 'B8.manifest.json', 'notes.txt', 'mine.partial'])
    writeFileSync(join(config.backup.dir, name), 'x');
  await create(store, 'B3');
  expect(readdirSync(config.backup.dir).toSorted()).toEqual([
    'B2.manifest.json',
    'B2.tar.zst',
    'B3.manifest.json',
    'B3.tar.zst',
    'mine.partial',
    'notes.txt',
  ]);
});

test('a damaged database stops the backup before anything is written', async () => {
  const { root, config, create, write } = scratch();
  write('a', 'contents');
  mkdirSync(join(root, 'data'));
  writeFileSync(join(root, 'data/app.db'), 'this is no database at all, and never was');
  await expect(create()).rejects.toMatchObject({ failures: [{ code: 'DATABASE_CORRUPT' }] });
  expect(readdirSync(config.backup.dir)).toEqual([]);
});
