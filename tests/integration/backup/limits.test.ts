// What the machine does to a backup: full disks, files that change, files that may not be read, memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { geteuid } from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { pack } from '../../../src/backup/archive-writer.ts';
import { createFrameWriter } from '../../../src/backup/frame-writer.ts';
import { loadTarHeaders, type TarEntry } from '../../../src/backup/tar-header.ts';
import { walk } from '../../../src/backup/walk.ts';
import { bundleWorker } from './bundled-worker.ts';
import { clock } from './clock.ts';
import { fingerprint, run, scratch, sqlite } from './installation.ts';

const worker = join(import.meta.dirname, 'worker.ts');
const isRoot = geteuid?.() === 0;

test('a disk that becomes full half-way leaves no half backup and every older one', async ({ skip }) => {
  const { root, config, withConfig, write } = scratch();
  const dir = join(root, '.upgrade/small');
  mkdirSync(dir, { recursive: true });
  if (run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dir]).code !== 0) skip('a small file system cannot be mounted (needs root)');
  onTestFinished(() => void run('umount', ['-l', dir]));
  const store = withConfig({ backup: { ...config.backup, dir } });
  write('a', 'a');
  const request = { runId: null, version: null, extraPaths: [] };
  const older = await store.create({ ...request, id: 'B1' });
  const noise = Buffer.alloc(8 << 20);
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE(Math.floor(Math.random() * 2 ** 32), at);
  write('noise', noise);
  await expect(store.create({ ...request, id: 'B2' })).rejects.toMatchObject({ failures: [{ code: 'BACKUP_NO_SPACE' }] });
  expect(readdirSync(dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
  // The same for the copy of a database.
  truncateSync(join(root, 'noise'), 0);
  sqlite(
    join(root, 'data/app.db'),
    'CREATE TABLE t (a); INSERT INTO t SELECT randomblob(1000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) SELECT i FROM n)',
  ).close();
  await expect(store.create({ ...request, id: 'B3' })).rejects.toMatchObject({ failures: [{ code: 'BACKUP_NO_SPACE' }] });
  expect(readdirSync(dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
  await store.verify(older);
});

test('a disk that becomes full during a restore leaves the installation readable, and the restore ends when there is room', async ({
  skip,
}) => {
  const { dir } = scratch();
  const small = join(dir, 'small');
  mkdirSync(small);
  if (run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', small]).code !== 0)
    skip('a small file system cannot be mounted (needs root)');
  onTestFinished(() => void run('umount', ['-l', small]));
  const { openScratch } = await import('./installation.ts');
  const { root, write, config, withConfig } = openScratch(small);
  const store = withConfig({ backup: { ...config.backup, dir: join(dir, 'backups') } });
  write('large', Buffer.alloc(5 << 20, 'old'));
  const backup = await store.create({ id: 'B1', runId: null, version: null, extraPaths: [] });
  write('large', Buffer.alloc(5 << 20, 'new'));
  write('filler', Buffer.alloc(5 << 20, 'x'));
  const before = fingerprint(root);
  const restore = (): Promise<unknown> => store.restore(backup, { asideDir: join(root, '.upgrade/aside') });
  await expect(restore()).rejects.toMatchObject({ failures: [{ code: 'RESTORE_FAILED', message: expect.stringContaining('large') }] });
  // The folder's own time tells that something was staged in it.
  expect(fingerprint(root).filter((line) => !line.startsWith(' d '))).toEqual(before.filter((line) => !line.startsWith(' d ')));
  truncateSync(join(root, 'filler'), 0);
  await restore();
  expect(readFileSync(join(root, 'large')).subarray(0, 3).toString()).toBe('old');
});

const request = { id: 'B1', runId: null, version: null, extraPaths: [] };

function touch(file: string, text: string): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, text, 1000);
  closeSync(descriptor);
}

test('a file that changes each time it is read is reported, with every other such file', async () => {
  const { root, config, store, write } = scratch();
  for (const name of ['a', 'b']) write(name, Buffer.alloc(24 << 20, 'x'));
  write('still', 'x');
  let round = 0;
  const create = store.create({
    ...request,
    onProgress: () => ['a', 'b'].forEach((name) => touch(join(root, name), String((round += 1)))),
  });
  await expect(create).rejects.toMatchObject({ failures: [{ code: 'BACKUP_FILE_CHANGED', message: expect.stringContaining(': a, b.') }] });
  expect(readdirSync(config.backup.dir)).toEqual([]);
  expect(statSync(join(root, 'a')).size).toBe(24 << 20);
});

test('a large file that changed while it was read is read again, and only its last contents are in the archive', async () => {
  const { root, store, write } = scratch();
  write('A-before', 'before');
  const file = write('log', Buffer.alloc(24 << 20, 'x'));
  write('z-after', 'after');
  let changes = 0;
  const backup = await store.create({
    ...request,
    onProgress: (done) => {
      if (done > 10 << 20 && changes === 0) touch(file, `changed ${(changes += 1)}`);
    },
  });
  expect(changes).toBe(1);
  await store.verify(backup);
  // The state folder, made since, changed the time of the root.
  expect(run('tar', ['--zstd', '--compare', '-f', backup.path, '-C', root]).output.replaceAll(/.*\.: Mod time differs\n/g, '')).toBe('');
  expect(run('tar', ['--zstd', '-tf', backup.path]).output.split('\n')).toEqual(['./', 'A-before', 'log', 'z-after', '']);
});

test.each([
  { how: 'is written to', change: (file: string) => writeFileSync(file, 'late!') },
  { how: 'grows', change: (file: string) => writeFileSync(file, 'much longer') },
  { how: 'shrinks', change: (file: string) => writeFileSync(file, '') },
])('a small file that $how while it is read is read again', async ({ change }) => {
  const { dir, root, write } = scratch();
  const file = write('a', 'early');
  const { found } = walk({ root, sources: [{ path: 'a', kind: 'tree', name: null, location: null }], exclude: [], never: [] });
  const archive = await open(join(dir, 'archive'), 'w+');
  const writer = createFrameWriter(archive, archive);
  const headers = await loadTarHeaders();
  let changes = 0;
  // The header is made between the first look at the file and the reading.
  const meddling = {
    ...headers,
    encode: (entry: TarEntry) => {
      if ((changes += 1) === 1) change(file);
      return headers.encode(entry);
    },
  };
  const items = [...found].map((one) => ({ found: one, earlier: null, isUntouched: false, xattrs: undefined, pieces: undefined }));
  const entries = pack(items, {
    root,
    copies: new Map(),
    headers: meddling,
    writer,
    sleep: clock.sleep,
    signal: undefined,
    onBytes: () => undefined,
    settledMs: 0,
  });
  const packed: unknown[] = [];
  for await (const entry of entries) packed.push(entry);
  await writer.append(Buffer.alloc(1024));
  await writer.finish(async () => archive);
  await writer.settle();
  await archive.close();
  expect(changes).toBe(2);
  expect(packed).toMatchObject([{ path: 'a', size: statSync(file).size }]);
  expect(run('tar', ['--zstd', '-xOf', join(dir, 'archive')]).output).toBe(readFileSync(file, 'utf8'));
});

test('everything that may not be read is named at once', async ({ skip }) => {
  if (!isRoot) skip('only root can become somebody else');
  const { dir, root, write } = scratch();
  for (const path of ['open', 'closed-1', 'folder/closed-2', 'closed-folder/x']) write(path, path);
  for (const path of ['closed-1', 'folder/closed-2', 'closed-folder']) chmodSync(join(root, path), 0o000);
  mkdirSync(join(root, '.upgrade'));
  for (const path of [root, join(root, '.upgrade'), join(root, 'open'), join(root, 'folder')]) chownSync(path, 65_534, 65_534);
  chmodSync(dir, 0o755);
  const child = spawn(process.execPath, [worker, dir, 'create'], { uid: 65_534, gid: 65_534, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (text: Buffer) => void (output += text.toString()));
  await once(child, 'close');
  if (/EACCES.*worker/.test(output)) skip('the sources are in a folder that others may not read');
  expect(output).toContain(
    'BACKUP_UNREADABLE: The backup cannot read 3 paths: closed-1 (EACCES: permission denied), closed-folder (EACCES: permission denied), folder/closed-2 (EACCES: permission denied).',
  );
});

test('memory stays flat on a tree of 300 MB', async () => {
  const { dir, root, write } = scratch();
  const noise = Buffer.alloc(100 << 20);
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE((Math.imul(at, 2654435761) ^ (at >>> 9)) >>> 0, at);
  write('noise', noise);
  write('text', Buffer.alloc(150 << 20, 'some text that is compressed '));
  for (let index = 0; index < 6000; index += 1) write(`many/${index % 50}/${index}`, noise.subarray(index * 64, index * 64 + 8192));
  const bundle = await bundleWorker(dir);
  const peaks: Record<string, number> = {};
  for (const action of ['create', 'compare', 'verify', 'restore']) {
    if (action === 'restore') for (const path of ['noise', 'text']) writeFileSync(join(root, path), 'gone');
    const { code, output } = run(process.execPath, [bundle, dir, action]);
    expect(code, output).toBe(0);
    peaks[action] = Math.round(JSON.parse(output.slice(output.indexOf('{'))).peakBytes / 1e6);
  }
  expect(peaks['create'], 'this system tells no peak').toBeGreaterThan(30);
  for (const [action, megabytes] of Object.entries(peaks)) expect(megabytes, `${action} of ${JSON.stringify(peaks)}`).toBeLessThan(150);
});

test('a backup that is cancelled leaves nothing', async () => {
  const { config, store, write } = scratch();
  write('large', Buffer.alloc(30 << 20, 'x'));
  const controller = new AbortController();
  const wish = new Error('the user pressed a key');
  const create = store.create({
    id: 'B1',
    runId: null,
    version: null,
    extraPaths: [],
    signal: controller.signal,
    onProgress: () => controller.abort(wish),
  });
  await expect(create).rejects.toBe(wish);
  expect(readdirSync(config.backup.dir)).toEqual([]);
});
