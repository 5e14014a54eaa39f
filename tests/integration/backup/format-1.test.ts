// A backup that was made before there was a second format, by the code of that time: it is still verified and restored.
import { chmodSync, cpSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recordOf } from '../../../src/backup/create.ts';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import { dump, run, scratch } from './installation.ts';

const fixture = join(import.meta.dirname, '../../fixtures/backup-v1');

test('a backup of format 1 is read as one of format 2, verified, and restored', async () => {
  const { root, store, config, aside } = scratch();
  const { dir } = config.backup;
  mkdirSync(dir, { recursive: true });
  cpSync(fixture, dir, { recursive: true });
  const paths = { archive: join(dir, 'B1.tar.zst'), manifest: join(dir, 'B1.manifest.json') };
  chmodSync(paths.archive, 0o600);
  const manifest = await readManifest({ id: 'B1', manifest: paths.manifest });
  expect(manifest).toMatchObject({ formatVersion: 2, basis: null, archives: [], encryption: null, totals: { entries: 14 } });
  expect(manifest.entries).toHaveLength(14);
  const backup = recordOf(manifest, paths);
  await store.verify(backup);
  await store.restore(backup, { asideDir: aside });
  expect((await store.compare(backup)).differences).toEqual([]);
  const extracted = join(root, '.upgrade/extracted');
  mkdirSync(extracted);
  run('tar', ['--zstd', '-xpf', paths.archive, '-C', extracted]);
  const listing = (folder: string): string =>
    run('find', ['.', '-path', './.upgrade', '-prune', '-o', '!', '-path', './data*', '-type', 'f', '-printf', '%P %m %s %Ts\\n'], {
      cwd: folder,
    })
      .output.split('\n')
      .toSorted()
      .join('\n');
  expect(listing(root)).toBe(listing(extracted));
  expect(readFileSync(Buffer.from(join(root, 'raw/caf\xe9'), 'latin1'), 'utf8')).toBe('latin1');
  expect(statSync(join(root, 'sparse'))).toMatchObject({ size: 3 << 20, blocks: 0 });
  expect(statSync(join(root, 'hard')).ino).toBe(statSync(join(root, 'VERSION')).ino);
  expect(dump(join(root, 'data/app.db'))).toContain("INSERT INTO t VALUES('kept')");
});
