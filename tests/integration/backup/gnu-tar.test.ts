// What GNU tar writes, read entry by entry by the reader of our own archives; the other way round, `trees.test.ts` has GNU tar read ours.
import {
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { expect } from 'vitest';
import { createTarReader } from '../../../src/backup/archive-reader.ts';
import { testNeeding } from '../../support/needs.ts';
import { run, scratch, setTimes, type Scratch } from './installation.ts';

const test = testNeeding('tar', 'zstd', 'getfattr');

function filled(): Scratch {
  const one = scratch();
  const { root, write } = one;
  write('a file', 'contents');
  write(`${'l'.repeat(120)}/${'m'.repeat(120)}`, 'a long name');
  write('ключ/日本', 'é');
  write('empty', '');
  linkSync(write('first', 'linked'), join(root, 'second'));
  symlinkSync('t'.repeat(150), join(root, 'link'));
  mkdirSync(join(root, 'folder'));
  const holes = openSync(write('holes', ''), 'r+');
  writeSync(holes, 'in the middle', 5_000_000);
  ftruncateSync(holes, 9 << 20);
  closeSync(holes);
  run('setfattr', ['-n', 'user.comment', '-v', 'kept', join(root, 'a file')]);
  setTimes(root);
  return one;
}

/** Packs the root; gives what our reader says of each entry, or what it has against it. */
async function listed({ root, dir }: Scratch, format: string): Promise<readonly string[]> {
  const file = join(dir, `${format}.tar.zst`);
  const flags = [`--format=${format}`, ...(format === 'posix' ? ['--sparse', '--xattrs'] : []), '--sort=name', '--numeric-owner'];
  const { code, output } = run('tar', [...flags, '--zstd', '-cf', file, '.'], { cwd: root });
  expect(code, output).toBe(0);
  const tarBytes = zstdDecompressSync(readFileSync(file)).length;
  const handle = await open(file);
  const reader = await createTarReader(handle, [[statSync(file).size, tarBytes]]);
  try {
    const lines: string[] = [];
    for (let entry = await reader.next(); entry !== null; entry = await reader.next()) {
      const { path, type, mode, uid, gid, size, realSize = size, mtime, target, xattrs = {} } = entry;
      await reader.body(size, () => undefined);
      const about = [type, mode.toString(8), `${uid}:${gid}`, realSize, mtime, target, JSON.stringify(xattrs)];
      lines.push([path, ...about].join(' | '));
    }
    await reader.expectZeros(tarBytes);
    return lines;
  } finally {
    await reader.close();
    await handle.close();
  }
}

test('a POSIX archive of GNU tar is listed with all that it holds', async () => {
  const one = filled();
  const { root } = one;
  const types: Readonly<Record<string, string>> = { d: 'Directory', f: 'File', l: 'SymbolicLink' };
  const found = run('find', ['.', '-printf', '%p\\t%y\\t%m\\t%U:%G\\t%s\\t%T@\\t%l\\0'], { cwd: root });
  const expected = Buffer.from(found.output, 'latin1')
    .toString('utf8')
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const [path = '', type = '', mode, owner, size = '', time = '', target = ''] = line.split('\t');
      const isSecond = path === './second';
      const [seconds = '', fraction = ''] = time.split('.');
      const nanoseconds = `${seconds}${fraction.slice(0, 9)}`;
      const attributes = path === './a file' ? { 'user.comment': Buffer.from('kept').toString('base64') } : {};
      return [
        path === '.' ? '' : path,
        isSecond ? 'Link' : types[type],
        mode,
        owner,
        type === 'f' && !isSecond ? size : 0,
        nanoseconds,
        isSecond ? './first' : target,
        JSON.stringify(attributes),
      ].join(' | ');
    });
  expect((await listed(one, 'posix')).toSorted()).toEqual(expected.toSorted());
});

test('formats of GNU’s own are refused by the name of what is not known', async () => {
  const one = filled();
  await expect(listed(one, 'gnu')).rejects.toThrow(/it holds a NextFileHasLong/);
  const other = scratch();
  other.write('plain', 'x');
  expect(await listed(other, 'ustar')).toHaveLength(2);
});

test('no archive of another program is taken for an exported backup', async () => {
  const one = filled();
  await listed(one, 'posix');
  await expect(one.store.importFrom(join(one.dir, 'posix.tar.zst'), () => false)).rejects.toMatchObject({
    failures: [{ code: 'BACKUP_CORRUPT', message: expect.stringContaining('it is no exported backup') }],
  });
  expect(existsSync(one.config.backup.dir)).toBe(false);
});
