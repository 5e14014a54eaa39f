// Names of any bytes, and tar headers of any entry, come back exactly.
import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { byPath, bytesOf, foldersAbove, isWithin, nameOf, namesIn } from '../../../src/backup/names.ts';
import { settable } from '../../../src/backup/stage.ts';
import { loadTarHeaders, parseRecords, type TarEntry } from '../../../src/backup/tar-header.ts';

const headers = await loadTarHeaders();

test('every sequence of bytes has a name of its own, and comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(bytesOf(nameOf(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(nameOf(Buffer.from(text))).toBe(text);
    }),
  );
});

test('names in a folder are the bytes that are there, in one order', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rungs-names-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const names = ['b', 'B', 'ä', '\ufffd', '\udcff\udcfe'];
  for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), bytesOf(name)]), '');
  expect(namesIn(dir)).toEqual(['B', 'b', 'ä', '\udcff\udcfe', '\ufffd']);
});

test('parents come before what is in them, and siblings stay together', () => {
  const paths = ['a', 'a b', 'a b/x', 'a-', 'a.txt', 'a/b', 'a/b/c', 'a/b.c', ''];
  expect(
    paths
      .map((path) => ({ path }))
      .toSorted(byPath)
      .map(({ path }) => path),
  ).toEqual(['', 'a', 'a/b', 'a/b/c', 'a/b.c', 'a b', 'a b/x', 'a-', 'a.txt']);
  expect(foldersAbove('a/b/c')).toEqual(['a', 'a/b']);
  expect(foldersAbove('')).toEqual([]);
  expect([isWithin('a/b', 'a'), isWithin('ab', 'a'), isWithin('a', 'a'), isWithin('a', '')]).toEqual([true, false, true, true]);
});

const part = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 200 }),
  fc.constantFrom('é', '\udcff', 'new\nline', '5 path=x'),
);
const path = fc
  .array(
    part.filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..'),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join('/'));
const entry: fc.Arbitrary<TarEntry> = fc
  .record({
    path,
    type: fc.constantFrom('File' as const, 'Directory' as const, 'SymbolicLink' as const, 'Link' as const),
    mode: fc.nat(0o7777),
    uid: fc.oneof(fc.nat(70_000), fc.nat(4_294_967_294)),
    gid: fc.oneof(fc.nat(70_000), fc.nat(4_294_967_294)),
    size: fc.oneof(fc.nat(100_000), fc.nat(2 ** 45)),
    mtime: fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }).map(String),
    target: path,
  })
  .map((one) => ({ ...one, size: one.type === 'File' ? one.size : 0, target: one.type.endsWith('Link') ? one.target : '' }));

function decode(bytes: Buffer): unknown {
  let records: ReadonlyMap<string, Buffer> = new Map();
  for (let at = 0; ;) {
    const found = headers.decode(bytes.subarray(at, at + 512), records);
    at += 512;
    if (found.type !== 'Records') return at === bytes.length ? found : 'something follows';
    records = parseRecords(bytes.subarray(at, at + found.size));
    at += Math.ceil(found.size / 512) * 512;
  }
}

test('the header of any entry reads as it was written', () => {
  fc.assert(
    fc.property(entry, (one) => {
      expect(decode(headers.encode(one))).toEqual(one);
    }),
    { numRuns: 4000 },
  );
});

test('a header with one bit changed is not taken for another entry', () => {
  const one: TarEntry = { path: 'a', type: 'File', mode: 0o644, uid: 0, gid: 0, size: 3, mtime: '5000000000', target: '' };
  const block = headers.encode(one);
  for (let bit = 0; bit < 512 * 8; bit += 1) {
    const changed = Buffer.from(block);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    let found: unknown = null;
    try {
      found = headers.decode(changed, new Map());
    } catch {
      continue;
    }
    expect(found, `bit ${bit}`).toEqual(one);
  }
});

test.each(['5 a=b\n', '99 path=x\n', 'path=x\n', '9 path=x', '0 path=x\n', '-3 p=x\n'])('damaged records are refused: %j', (text) => {
  expect(() => parseRecords(Buffer.from(text))).toThrow(TypeError);
});

test.each(['1700000000123456789', '1700000000999999999', '1700000000000000000', '-1500000000', '-1500000001', '4102444800250000000', '1'])(
  'a time of %s ns is set to the nearest that Node can set, and never to an earlier one',
  (time) => {
    const dir = mkdtempSync(join(tmpdir(), 'rungs-times-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    utimesSync(dir, settable(time), settable(time));
    const off = statSync(dir, { bigint: true }).mtimeNs - BigInt(time);
    expect(off >= 0n && off < (time.startsWith('-') ? 1_000_000n : 1000n), `${off} ns off`).toBe(true);
  },
);

test('GNU tar lists what we write', ({ skip }) => {
  if (!spawnSync('tar', ['--version']).stdout?.toString().includes('GNU tar')) skip('GNU tar is not installed (package tar)');
  const one: TarEntry = {
    path: `${'d'.repeat(150)}/é\nx`,
    type: 'SymbolicLink',
    mode: 0o777,
    uid: 3_000_000_000,
    gid: 5,
    size: 0,
    mtime: '1000000000123456789',
    target: 'to '.repeat(60),
  };
  const { stdout } = spawnSync('tar', ['-tvf', '-', '--numeric-owner', '--full-time', '--quoting-style=literal'], {
    input: Buffer.concat([headers.encode(one), Buffer.alloc(1024)]),
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  });
  expect(stdout.toString()).toBe(`lrwxrwxrwx 3000000000/5      0 2001-09-09 01:46:40.123456789 ${one.path} -> ${one.target}\n`);
});
