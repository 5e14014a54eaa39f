// Backups that continue earlier ones: what has not changed is neither read nor stored again, and everything comes back all the same.
import {
  appendFileSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import type { BackupRecord, BackupStore } from '../../../src/model/ports.ts';
import { fingerprint, has, run, scratch, sqlite, type Scratch } from './installation.ts';

const noise = Buffer.alloc(3 << 20);
for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE((Math.imul(at, 2654435761) ^ (at >>> 7)) >>> 0, at);

function fill({ root, write }: Scratch): void {
  for (let index = 0; index < 200; index += 1) write(`many/${index % 7}/${index}`, noise.subarray(index * 100, index * 100 + 5000));
  write('large', noise);
  write('VERSION', '0.1.0');
  linkSync(write('named/first', 'one inode'), join(root, 'named/second'));
  sqlite(join(root, 'data/app.db'), 'CREATE TABLE t (a); INSERT INTO t VALUES (1)').close();
  mkdirSync(join(root, '.upgrade'));
}

/** Times alone make a file known again: here, as soon as they are read. */
function settled(one: Scratch): BackupStore {
  return one.withConfig({}, { settledMs: 0 });
}

function make(store: BackupStore, id: string, earlier: readonly BackupRecord[], isFull = false): Promise<BackupRecord> {
  return store.create({ id, runId: null, version: null, extraPaths: [], earlier, isFull });
}

async function until(moment: () => boolean): Promise<void> {
  while (!moment()) await new Promise((resolve) => void setTimeout(resolve, 5));
}

/** The kernel's clock goes by ticks: what is written from now on has another time. */
async function tick(one: Scratch): Promise<void> {
  const before = lstatSync(one.write('.upgrade/tick', ''), { bigint: true }).mtimeNs;
  await until(() => lstatSync(one.write('.upgrade/tick', ''), { bigint: true }).mtimeNs > before + 20_000_000n);
}

test('the second stores only what changed, says where the rest lies, and restores everything', async () => {
  const one = scratch();
  const { root, aside, write } = one;
  fill(one);
  await tick(one);
  const store = settled(one);
  const first = await make(store, 'B1', []);
  write('many/0/0', 'changed');
  write('new', 'new');
  rmSync(join(root, 'many/1'), { recursive: true });
  renameSync(join(root, 'many/2/2'), join(root, 'moved'));
  utimesSync(join(root, 'many/3/3'), 1_600_000_000, 1_600_000_000);
  await tick(one);
  const second = await make(store, 'B2', [first]);
  expect(second.needs).toEqual(['B1']);
  expect(second.warnings).toEqual([]);
  expect(second.bytes).toBeLessThan(first.bytes / 20);
  const manifest = await readManifest(second);
  expect(manifest.basis).toEqual({ id: 'B1', depth: 1 });
  const where = new Map(manifest.entries.map((entry) => [entry.path, 'in' in entry ? entry.in : undefined]));
  expect(['large', 'many/3/3', 'named/first', 'named/second', 'data/app.db'].map((path) => where.get(path))).toEqual(Array(5).fill('B1'));
  expect(['many/0/0', 'new', 'moved'].map((path) => where.get(path))).toEqual([undefined, undefined, undefined]);
  await store.verify(second, { isDeep: true });
  // GNU tar opens the archive by itself: what is in it is what changed.
  expect(
    run('tar', ['--zstd', '-tf', second.path])
      .output.split('\n')
      .filter((line) => !line.endsWith('/')),
  ).toEqual(['many/0/0', 'moved', 'new', '']);

  const before = fingerprint(root);
  for (const path of ['many', 'named', 'large', 'new', 'moved']) rmSync(join(root, path), { recursive: true });
  await store.restore(second, { asideDir: aside });
  expect(fingerprint(root).map((line) => line.replace(/\.\d{10} ?$/, ''))).toEqual(before.map((line) => line.replace(/\.\d{10} ?$/, '')));
  expect((await store.compare(second)).differences).toEqual([]);
});

test('a chain of six is continued, the seventh is whole, and so is any that is asked for', async () => {
  const one = scratch();
  fill(one);
  await tick(one);
  const store = settled(one);
  const made: BackupRecord[] = [];
  for (let number = 1; number <= 8; number += 1) {
    one.write(`new-${number}`, String(number));
    made.unshift(await make(store, `B${number}`, made));
  }
  const needs = made.toReversed().map((backup) => (backup.needs ?? []).includes('B1'));
  expect(needs).toEqual([false, true, true, true, true, true, true, false]);
  for (const backup of made) await store.verify(backup, { isDeep: true });
  expect((await make(store, 'whole', made, true)).needs).toEqual([]);
});

test.each([
  { what: 'gone', harm: (file: string) => rmSync(file), says: /missing/ },
  { what: 'cut off', harm: (file: string) => truncateSync(file, 100), says: /bytes instead of/ },
  { what: 'longer', harm: (file: string) => appendFileSync(file, 'x'), says: /bytes instead of/ },
  {
    what: 'damaged all over',
    harm: (file: string) => writeFileSync(file, Buffer.alloc(statSync(file).size, 'x')),
    says: /cannot be trusted/,
  },
])('an earlier archive that is $what is no ground to build on: the next is whole and says so', async ({ harm, says }) => {
  const one = scratch();
  fill(one);
  await tick(one);
  const store = settled(one);
  const first = await make(store, 'B1', []);
  const second = await make(store, 'B2', [first]);
  harm(first.path);
  await expect(store.verify(second)).rejects.toThrow(says);
  const third = await make(store, 'B3', [second, first]);
  expect(third.needs).toEqual([]);
  expect(third.warnings).toEqual([expect.stringMatching(/^Backup B2 cannot be continued/)]);
  await store.verify(third, { isDeep: true });
});

test('what a base holds of a later backup is read when it is verified deeply, and before a restore', async () => {
  const one = scratch();
  fill(one);
  await tick(one);
  const store = settled(one);
  const first = await make(store, 'B1', []);
  const second = await make(store, 'B2', [first]);
  // The first frame holds what comes first; whatever is sampled, a deep look reads it.
  const descriptor = openSync(first.path, 'r+');
  writeSync(descriptor, Buffer.alloc(64, 0x55), 0, 64, 2000);
  closeSync(descriptor);
  await expect(store.verify(second, { isDeep: true })).rejects.toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
  rmSync(join(one.root, 'VERSION'));
  await expect(store.restore(second, { asideDir: one.aside })).rejects.toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
  expect(existsSync(join(one.root, 'VERSION'))).toBe(false);
});

test('a file that was changed behind its own times is found out by the sample, and everything is read again', async ({ skip }) => {
  const one = scratch();
  const { root, dir } = one;
  if (!has('debugfs') || run('sh', ['-c', `truncate -s 16M ${dir}/disk && mkfs.ext4 -q -F ${dir}/disk`]).code !== 0)
    skip('an inode cannot be written to without the kernel (needs e2fsprogs)');
  // Which file of B2 is read again is known beforehand: the same backup always takes the same ones.
  const sampled = Array.from({ length: 400 }, (_, index) => `f${index}`).find((path) => crc32(path, crc32('B2')) % 64 === 0) ?? '';
  const mount = (): void => {
    const { code, output } = run('mount', ['-o', 'loop', join(dir, 'disk'), root]);
    if (code !== 0) skip(`a file system cannot be mounted: ${output}`);
  };
  mount();
  try {
    const store = one.withConfig({ backup: { ...one.config.backup, dir: join(dir, 'backups') } }, { settledMs: 0 });
    one.write(sampled, 'A'.repeat(5000));
    one.write('other', 'other');
    await tick(one);
    const first = await make(store, 'B1', []);
    run('umount', [root]);
    // The block of the file is written on the disk below: no time of the file changes.
    const at = run('grep', ['-obUa', 'AAAAAAAAAAAAAAAA', join(dir, 'disk')]).output.split(':')[0] ?? '';
    const descriptor = openSync(join(dir, 'disk'), 'r+');
    writeSync(descriptor, 'B', Number(at) + 100);
    closeSync(descriptor);
    mount();
    const second = await make(store, 'B2', [first]);
    expect(second.needs).toEqual([]);
    expect(second.warnings).toEqual([expect.stringContaining(`"${sampled}" has other contents than in backup B1`)]);
    await store.verify(second);
  } finally {
    run('umount', ['-l', root]);
  }
});
