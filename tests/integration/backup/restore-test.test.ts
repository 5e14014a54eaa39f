// `restoreTest: true`: a backup counts only when its databases could be restored from it; `verify --deep` tries the same later.
import { existsSync, linkSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { testRestore } from '../../../src/backup/restore-test.ts';
import { createKeyRing } from '../../../src/backup/age/key-ring.ts';
import { openManifest } from '../../../src/backup/manifest-file.ts';
import { startPostgres, testWithPostgres } from '../../support/postgres.ts';
import { testAsRoot } from '../../support/needs.ts';
import { fingerprint, run, scratch, setTimes, sqlite } from './installation.ts';

describe('the tree', () => {
  testAsRoot('mount')('is restored whole into the state folder; where that fails the backup does not count', async () => {
    const { root, config, dir, create, withConfig, write } = scratch();
    for (let index = 0; index < 60; index += 1) write(`many/${index}`, `file ${index}`);
    const store = withConfig({ backup: { ...config.backup, dir: join(dir, 'backups'), restoreTest: true } });
    const good = await create(store);
    expect(readdirSync(config.state)).toEqual([]);
    // Room for less files than there are.
    expect(run('mount', ['-t', 'tmpfs', '-o', 'size=4m,nr_inodes=40', 'tmpfs', config.state]).code).toBe(0);
    onTestFinished(() => void run('umount', ['-l', config.state]));
    await expect(create(store, 'B2')).rejects.toMatchObject({
      failures: [{ code: 'RESTORE_TEST_FAILED', message: expect.stringMatching(/its files could not be restored.*many\/.*ENOSPC/) }],
    });
    // Without databases a deep look needs no room.
    await store.verify(good, { isDeep: true });
    expect(readdirSync(config.state)).toEqual([]);
    expect(readdirSync(join(dir, 'backups')).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
    expect(readdirSync(root).toSorted()).toEqual(['.upgrade', 'many']);
  });

  test('comes back with all that it is made of, links and holes too, and nothing live is touched', async () => {
    const { root, config, create, withConfig, write } = scratch();
    symlinkSync('a', join(root, 'link'));
    linkSync(write('a', 'a'), join(root, 'b'));
    write('zeros', Buffer.alloc(3 << 20));
    setTimes(root);
    const before = fingerprint(root);
    const store = withConfig({ backup: { ...config.backup, restoreTest: true } });
    await store.verify(await create(store), { isDeep: true });
    const withoutRoot = (lines: readonly string[]): readonly string[] => lines.filter((line) => !line.startsWith(' d '));
    expect(withoutRoot(fingerprint(root))).toEqual(withoutRoot(before));
  });
});

describe('SQLite', () => {
  test('is restored into a scratch folder, of which nothing is left', async () => {
    const { root, config, create, withConfig } = scratch();
    sqlite(join(root, 'data/app.db'), 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)').close();
    const store = withConfig({ backup: { ...config.backup, restoreTest: true } });
    const backup = await create(store);
    await store.verify(backup, { isDeep: true });
    expect(existsSync(join(config.state, 'restore-test'))).toBe(false);
  });

  test('that is not what was saved, or damaged, is told of', async () => {
    const { root, config, create } = scratch();
    sqlite(join(root, 'data/app.db'), 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)').close();
    const backup = await create();
    const tested = { ...backup, keys: createKeyRing(config.state, []) };
    const manifest = await openManifest(backup);
    const entries = [...manifest.entries].map((entry) =>
      entry.type === 'database' ? { ...entry, logical: { ...entry.logical, digest: '0'.repeat(64) } } : entry,
    );
    await expect(testRestore(tested, { ...manifest, entries }, config, { isWhole: false })).rejects.toMatchObject({
      failures: [{ code: 'RESTORE_TEST_FAILED', message: expect.stringContaining('"app"') }],
    });
    expect(existsSync(join(config.state, 'restore-test'))).toBe(false);
  });
});

describe('PostgreSQL', () => {
  testWithPostgres('is restored into a scratch database, which is dropped; where that cannot be, the backup does not count', async () => {
    const server = await startPostgres();
    const url = await server.database();
    await server.query(url, 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2), (3)');
    const { config, create, withConfig } = scratch();
    const backup = { ...config.backup, restoreTest: true };
    const databases = { main: { kind: 'postgres' as const, url, attempts: 1, backoffMs: 1 } };
    const store = withConfig({ databases, backup });
    const record = await create(store);
    await store.verify(record, { isDeep: true });
    const names = (await server.query(url, 'SELECT datname FROM pg_database')).map(({ datname }) => String(datname));
    expect(names.toSorted()).toEqual([...new Set(['postgres', 'template0', 'template1', new URL(url).pathname.slice(1)])].toSorted());
    expect(readdirSync(config.backup.dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
  });
});
