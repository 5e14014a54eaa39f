// `restoreTest: true`: a backup counts only when its databases could be restored from it; `verify --deep` tries the same later.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testRestore } from '../../../src/backup/restore-test.ts';
import { createKeyRing } from '../../../src/backup/age/key-ring.ts';
import { openManifest } from '../../../src/backup/manifest-file.ts';
import { startPostgres, testWithPostgres } from '../../support/postgres.ts';
import { scratch, sqlite } from './installation.ts';

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
    await expect(testRestore(tested, { ...manifest, entries }, config)).rejects.toMatchObject({
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
