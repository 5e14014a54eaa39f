// The scratch installation: what other tests prove rests on it.
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { differencesBetween, digestOf, makeScratch } from './scratch.ts';
import type { Scratch, Snapshot } from './scratch.ts';

let scratch: Scratch;
let first: Snapshot;
const path = (name: string) => join(scratch.root, name);

beforeAll(async () => {
  scratch = await makeScratch();
  first = await scratch.snapshot();
});

afterAll(async () => {
  await scratch.remove();
  expect(existsSync(scratch.dir)).toBe(false);
});

test('seeding gives the same tree and rows every time', async () => {
  const other = await makeScratch();
  const differences = differencesBetween(first, await other.snapshot());
  // The port is each copy's own.
  expect(differences.map((line) => line.split(':')[0])).toEqual(['.env', 'upgrade.yaml']);
  expect(await other.databaseDump()).toBe(await scratch.databaseDump());
  await other.remove();
});

test('the sample holds what makes a restore hard: modes, a link, an empty folder, odd names, an empty file', () => {
  const facts = [...first].map(([name, { type, mode, size }]) => ({ name, type, mode, size }));
  expect(new Set(facts.filter(({ type }) => type === 'file').map(({ mode }) => mode))).toEqual(
    new Set(['444', '600', '640', '644', '755']),
  );
  expect(first.get('data/uploads/latest')).toMatchObject({ type: 'link', target: '2024/ibn8--photo-23.bin' });
  expect(first.get('data/uploads/incoming')).toMatchObject({ type: 'folder', mode: '700' });
  expect([...first.keys()].some((name) => name.startsWith('data/uploads/incoming/'))).toBe(false);
  expect(first.get('data/uploads/2024/nobody--empty.txt')).toMatchObject({ size: 0 });
  expect([...first.keys()]).toContain('data/uploads/2024/with spaces and ünïcode--readme.md');
});

test('looking changes nothing: two snapshots and a dump later, all is equal', async () => {
  await scratch.databaseDump();
  expect(digestOf(await scratch.snapshot())).toBe(digestOf(first));
  expect(existsSync(path('data/app.db-wal'))).toBe(false);
});

test.each([
  {
    what: 'a changed byte',
    change: () => writeFile(path('VERSION'), '0.1.1\n'),
    undo: () => writeFile(path('VERSION'), '0.1.0\n'),
    line: /^VERSION: sha256 /,
  },
  {
    what: 'another mode',
    change: () => chmod(path('.env'), 0o600),
    undo: () => chmod(path('.env'), 0o644),
    line: /^\.env: mode 644 → 600$/,
  },
  {
    what: 'a new empty folder',
    change: () => mkdir(path('data/new')),
    undo: () => rm(path('data/new'), { recursive: true }),
    line: /^created data\/new$/,
  },
  {
    what: 'a new link',
    change: () => symlink('nowhere', path('data/link')),
    undo: () => rm(path('data/link')),
    line: /^created data\/link$/,
  },
])('a snapshot tells $what', async ({ change, undo, line }) => {
  await change();
  expect(differencesBetween(first, await scratch.snapshot())).toEqual([expect.stringMatching(line)]);
  await undo();
  expect(differencesBetween(first, await scratch.snapshot())).toEqual([]);
});

test('a dump tells a changed row, also one that only the WAL of an open connection holds', async () => {
  const before = await scratch.databaseDump();
  const database = new DatabaseSync(path('data/app.db'));
  database.exec("UPDATE users SET city = 'Oslo' WHERE id = 1");
  const during = await scratch.databaseDump();
  database.exec("UPDATE users SET city = 'Cork' WHERE id = 1");
  database.close();
  expect(during).not.toBe(before);
  expect(during).toContain('"city":"Oslo"');
  expect(await scratch.databaseDump()).toBe(before);
});
