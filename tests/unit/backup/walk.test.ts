// What a walk sees and leaves out, and that what was not touched is believed only where that is exact.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { walk } from '../../../src/backup/walk.ts';
import { resolveSources } from '../../../src/backup/sources.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import { openScratch } from '../../integration/backup/installation.ts';

function tree(...paths: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'rungs-scan-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), path);
  }
  return root;
}

const whole = { path: '', kind: 'tree', name: null, location: null } as const;

test.each([
  { exclude: ['data/cache'], left: ['', 'a.log', 'data', 'data/b.log', 'data/keep', 'data/keep/x'] },
  { exclude: ['./data/cache/'], left: ['', 'a.log', 'data', 'data/b.log', 'data/keep', 'data/keep/x'] },
  { exclude: ['*.log'], left: ['', 'data', 'data/b.log', 'data/cache', 'data/cache/c.log', 'data/keep', 'data/keep/x'] },
  { exclude: ['**/*.log'], left: ['', 'data', 'data/cache', 'data/keep', 'data/keep/x'] },
  { exclude: ['data/{cache,keep}'], left: ['', 'a.log', 'data', 'data/b.log'] },
  { exclude: ['data/**'], left: ['', 'a.log', 'data'] },
  { exclude: ['data/c'], left: ['', 'a.log', 'data', 'data/b.log', 'data/cache', 'data/cache/c.log', 'data/keep', 'data/keep/x'] },
])('excluding $exclude', ({ exclude, left }) => {
  const root = tree('a.log', 'data/b.log', 'data/cache/c.log', 'data/keep/x');
  expect([...walk({ root, sources: [whole], exclude, never: [] }).found].map(({ path }) => path)).toEqual(left);
});

test('what a killed restore staged is told and never part of the tree; names that only look like it are', () => {
  const root = tree('.rungs-restore-01ABC-7', 'a/.rungs-restore-B1-0', '.rungs-restore-notes', '.upgrade/journal.db');
  const { found, leftovers } = walk({ root, sources: [whole], exclude: [], never: [join(root, '.upgrade')] });
  const entries = [...found];
  expect(entries.map(({ path }) => path)).toEqual(['', '.rungs-restore-notes', 'a']);
  expect(leftovers.map((path) => path.slice(root.length + 1)).toSorted()).toEqual(['.rungs-restore-01ABC-7', 'a/.rungs-restore-B1-0']);
});

test('sources that lie outside, also by a link on the way, are all named at once; a PostgreSQL database is a source that is nowhere in the tree', () => {
  const root = tree('x');
  const { config } = openScratch(root);
  symlinkSync('/tmp', join(config.root, 'out'));
  symlinkSync('loop', join(config.root, 'loop'));
  const wanted = {
    ...config,
    backup: { ...config.backup, include: ['../y', 'out/z', '/etc'] },
    databases: { main: { kind: 'postgres' as const, url: '', attempts: 1, backoffMs: 1 } },
  };
  try {
    resolveSources(wanted, ['a/../../b', 'loop/x']);
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    expect(error.failures.map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'BACKUP_SOURCE_OUTSIDE'));
  }
  expect(resolveSources({ ...wanted, backup: config.backup }, [])).toContainEqual({
    path: '.rungs-databases/main.dump',
    kind: 'postgres',
    name: 'main',
    location: null,
  });
});

test.each([
  { what: 'left alone for long enough', settledMs: -60_000, isBelieved: true },
  { what: 'written to just before the backup', settledMs: 60_000, isBelieved: false },
])('a file $what: the comparison believes its inode: $isBelieved', async ({ settledMs, isBelieved }) => {
  const one = openScratch(tree());
  const store = one.withConfig({}, { settledMs });
  const file = one.write('a', 'one');
  const backup = await one.create(store);
  expect((await store.compare(backup)).differences).toEqual([]);
  // A change that keeps size and mtime still changes the ctime.
  const { atime, mtime } = statSync(file);
  writeFileSync(file, 'two');
  utimesSync(file, atime, mtime);
  expect((await store.compare(backup)).differences).toMatchObject([{ path: 'a', kind: 'differs', why: 'content' }]);
  const manifest = JSON.parse((await import('node:fs')).readFileSync(backup.manifest, 'utf8'));
  expect(manifest.entries.find(({ path }: { path: string }) => path === 'a').seen !== null).toBe(isBelieved);
});
