// Backups that somebody made to do harm, each checksum right: headers that say two things, numbers that no system knows, bombs. Each is refused by verify, by restore
// and by import, and the installation and its backups are to the last bit what they were. `distrust.test.ts` has the damaged ones, and paths that lead out.
import { existsSync, linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, utimesSync, lutimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { manifestFrame } from '../../../src/backup/exported-file.ts';
import { padding } from '../../../src/backup/tar-header.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';
import { snapshot } from '../../unit/discover/tree.ts';
import { edit, forge, headers, sha256, sign, type Loose } from './forge.ts';
import { run, scratch, type Scratch } from './installation.ts';

const victim = 'd/file';

async function made(): Promise<{ readonly one: Scratch; readonly backup: BackupRecord }> {
  const one = scratch();
  const { root, write, create } = one;
  write(victim, 'contents');
  write('first', 'linked');
  linkSync(join(root, 'first'), join(root, 'hard'));
  write('other', 'other');
  symlinkSync('other', join(root, 'link'));
  // Whole seconds need no extended header.
  for (const path of [victim, 'first', 'other', 'd', '']) utimesSync(join(root, path), 1_600_000_000, 1_600_000_000);
  lutimesSync(join(root, 'link'), 1_600_000_000, 1_600_000_000);
  const backup = await create();
  forge(backup, () => undefined);
  await one.store.verify(backup);
  return { one, backup };
}

/** The plain header with some bytes changed and its checksum right again. */
function changed(plain: Buffer, change: (block: Buffer) => void): Buffer {
  const block = Buffer.from(plain);
  change(block);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function record(text: string): string {
  let length = text.length + 3;
  while (`${length} ${text}\n`.length !== length) length = `${length} ${text}\n`.length;
  return `${length} ${text}\n`;
}

/** An extended header in front of the plain one. */
function pax(plain: Buffer, text: string, { type = 'x', claimed = text.length } = {}): Buffer {
  const header = headers.encode({ path: 'x', type: 'File', mode: 0o600, uid: 0, gid: 0, size: claimed, mtime: '0', target: '' });
  const body = Buffer.from(text, 'latin1');
  return Buffer.concat([changed(header, (block) => block.write(type, 156)), body, Buffer.alloc(padding(body.length)), plain]);
}

const recordsThatOverride = [
  'path=../evil',
  'path=/etc/passwd',
  'path=d/file\0x',
  'path=',
  'path=d',
  'linkpath=/etc/passwd',
  'size=0',
  'size=9999999',
  'size=-1',
  'size=abc',
  'size=18446744073709551616',
  'uid=4294967296',
  'gid=x',
  'mtime=never',
  'mtime=1600000000.5',
  'GNU.sparse.name=../evil',
  'GNU.sparse.realsize=1000000000000000',
  'SCHILY.xattr.security.capability=x',
];

const forgedHeaders: Readonly<Record<string, (plain: Buffer) => Buffer>> = {
  ...Object.fromEntries(
    recordsThatOverride.map((text) => [`an extended header with ${JSON.stringify(text)}`, (plain: Buffer) => pax(plain, record(text))]),
  ),
  'a record that is longer than its header': (plain) => pax(plain, '999 path=x\n'),
  'a record of no length': (plain) => pax(plain, '0 path=x\n'),
  'a record of a negative length': (plain) => pax(plain, '-9 path=x\n'),
  'a record that does not end': (plain) => pax(plain, '11 path=xyz'),
  'a record without a name': (plain) => pax(plain, '5 xx\n'),
  'an extended header of 16 MiB': (plain) => pax(plain, `${16 << 20} comment=${'x'.repeat(100)}`, { claimed: 16 << 20 }),
  'an extended header that claims 8 GiB': (plain) => pax(plain, record('path=x'), { claimed: 2 ** 33 - 1 }),
  'a header for all that follow': (plain) => pax(plain, record('path=../evil'), { type: 'g' }),
  ...Object.fromEntries(
    [...'3467DKLMNSV'].map((type) => [
      `a header of type ${type}`,
      (plain: Buffer) => changed(plain, (block) => void block.write(type, 156)),
    ]),
  ),
  'a header whose checksum is wrong': (plain) => {
    const block = Buffer.from(plain);
    block.write('7', 150);
    return block;
  },
  'a size of 2^62': (plain) =>
    changed(plain, (block) => block.fill(0, 124, 136).writeUInt32BE(0x80000000, 124) && block.writeUInt32BE(0x40000000, 128)),
  'a negative size': (plain) => changed(plain, (block) => void block.fill(0xff, 124, 136)),
  'a size that is no number': (plain) => changed(plain, (block) => void block.write('zzzzzzzzzzz\0', 124)),
  'setuid that is not listed': (plain) => changed(plain, (block) => void block.write('0004755\0', 100)),
  'another owner than listed': (plain) => changed(plain, (block) => void block.write('0000001\0', 108)),
};

/** Changes the entry of the victim, or that of another path. */
const entry =
  (change: (one: Loose) => void, path = victim) =>
  (backup: BackupRecord) =>
    edit(backup, ({ entries }) => change(entries.find((one: Loose) => one.path === path)));
const head = (change: (manifest: Loose) => void) => (backup: BackupRecord) => edit(backup, change);
const renamed = (path: string) => entry((one) => void (one.path = path), 'other');

const forgedManifests: Readonly<Record<string, (backup: BackupRecord) => void>> = {
  'another format': head((manifest) => void (manifest.format = 'other')),
  'format 0': head((manifest) => void (manifest.formatVersion = 0)),
  'a format that is no number': head((manifest) => void (manifest.formatVersion = '2')),
  'no format': head((manifest) => delete manifest.formatVersion),
  'a name longer than 255 bytes': renamed('x'.repeat(256)),
  'a name longer than 255 bytes, though not letters': renamed('é'.repeat(128)),
  'a path longer than any': renamed(`${'x/'.repeat(3000)}x`),
  'a path of a million folders': renamed(`${'x/'.repeat(1_000_000)}x`),
  'the owner -1': entry((one) => void (one.uid = 2 ** 32 - 1)),
  'a group beyond all': entry((one) => void (one.gid = 2 ** 40)),
  'a link to nothing': entry((one) => void (one.target = ''), 'link'),
  'a link with a NUL': entry((one) => void (one.target = 'a\0b'), 'link'),
  'a file of a million gigabytes, all holes': entry((one) => Object.assign(one, { size: 2 ** 50, sparse: true, pieces: [] })),
  'pieces that lie over each other': entry((one) =>
    Object.assign(one, {
      pieces: [
        [0, 4],
        [2, 4],
      ],
    }),
  ),
  'pieces behind the end': entry((one) =>
    Object.assign(one, {
      pieces: [
        [0, 2],
        [100, 2],
      ],
    }),
  ),
  'a hard link to itself': entry((one) => void (one.target = 'hard'), 'hard'),
  'a hard link to a link': entry((one) => void (one.target = 'link'), 'hard'),
  'a hard link to a folder': entry((one) => void (one.target = 'd'), 'hard'),
  'a hard link to what comes later': entry((one) => void (one.target = 'other'), 'hard'),
  'a mode beyond all': entry((one) => void (one.mode = 0o100644)),
  'a mode that is no whole number': entry((one) => void (one.mode = 1.5)),
  'a size below nothing': entry((one) => void (one.size = -1)),
  'attributes of no kind that there is': entry((one) => void (one.xattrs = { 'evil\n# file: /etc/passwd\nuser.x': '' })),
  'keys that objects inherit': (backup) =>
    edit(backup, (manifest) => {
      const at = manifest.entries.findIndex(({ path }: Loose) => path === victim);
      manifest.entries[at] = JSON.parse(JSON.stringify(manifest.entries[at]).replace('{', '{"__proto__":{"path":"../evil"},'));
    }),
  'lists in lists, a hundred thousand deep': (backup) => {
    const text = readFileSync(backup.manifest, 'utf8');
    const deep = text.replace(/"warnings": \[\]/, `"warnings": ${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect(deep).not.toBe(text);
    const signed = deep.slice(0, deep.lastIndexOf('  "sha256"'));
    writeFileSync(backup.manifest, `${signed}  "sha256": "${sha256(signed)}"\n}\n`);
  },
  'another number of entries': head((manifest) => void (manifest.totals.entries += 1)),
  'a source that leads out': head((manifest) => void (manifest.sources[0].path = '../..')),
  'a place of a database that is no absolute path': head((manifest) => void (manifest.sources[0].location = 'etc/passwd')),
  'an archive of another backup that leads out': head(
    (manifest) => void (manifest.archives = [{ ...manifest.archive, id: 'B0', file: '../../B0.tar.zst' }]),
  ),
  'the same archive twice': head((manifest) => {
    const archive = { file: 'B0.tar.zst', sha256: sha256(''), bytes: 1, tarBytes: 1, frames: [[1, 1]], id: 'B0' };
    manifest.archives = [archive, archive];
  }),
  'many empty parts': (backup) => {
    const manifest: Loose = JSON.parse(readFileSync(backup.manifest, 'utf8'));
    manifest.archive.frames = [...manifest.archive.frames, ...Array.from({ length: 50_000 }, () => [0, 0])];
    sign(backup, manifest);
  },
};

/** What is packed, in place of the archive. */
const forgedArchives: Readonly<Record<string, (tar: Buffer) => Buffer>> = {
  'a part that is cut off': (tar) => zstdCompressSync(tar).subarray(0, -5),
  'a part that unpacks to less': (tar) => zstdCompressSync(tar.subarray(0, -512)),
  'a part that unpacks to a thousand times as much': (tar) => zstdCompressSync(Buffer.concat([tar, Buffer.alloc(64 << 20)])),
  'a second end, and an entry behind it': (tar) =>
    zstdCompressSync(Buffer.concat([tar.subarray(0, -1024), Buffer.alloc(512), tar.subarray(0, 512)])),
};

const cases: readonly (readonly [string, (backup: BackupRecord, one: Scratch) => void])[] = [
  ...Object.entries(forgedHeaders).map(
    ([what, raw]) =>
      [
        what,
        (backup: BackupRecord) =>
          forge(backup, ({ tar }) => {
            const at = tar.findIndex(({ header }) => header.path === victim);
            const present = tar[at];
            if (present !== undefined) tar[at] = { ...present, raw: raw(headers.encode(present.header)) };
          }),
      ] as const,
  ),
  ...Object.entries(forgedManifests).map(([what, harm]) => [`a manifest with ${what}`, harm] as const),
  ...Object.entries(forgedArchives).map(
    ([what, pack]) =>
      [
        `an archive with ${what}`,
        (backup: BackupRecord) => {
          const manifest: Loose = JSON.parse(readFileSync(backup.manifest, 'utf8'));
          const tar = Buffer.from(run('zstd', ['-dc', backup.path]).output, 'latin1');
          const packed = pack(tar);
          writeFileSync(backup.path, packed);
          Object.assign(manifest.archive, { sha256: sha256(packed), bytes: packed.length, frames: [[packed.length, tar.length]] });
          sign(backup, manifest);
        },
      ] as const,
  ),
];

const failureOf = (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => null,
    (reason: unknown) => reason,
  );

function send({ path, manifest }: BackupRecord, to: string): void {
  writeFileSync(to, Buffer.concat([readFileSync(path), manifestFrame(readFileSync(manifest))]));
}

test('an extended header that says the same is no harm: what is refused is what differs', async () => {
  const { one, backup } = await made();
  forge(backup, ({ tar }) => {
    const at = tar.findIndex(({ header }) => header.path === victim);
    const present = tar[at];
    if (present !== undefined) tar[at] = { ...present, raw: pax(headers.encode(present.header), record(`path=${victim}`)) };
  });
  await one.store.verify(backup);
});

test.for(cases)('%s', async ([, harm]) => {
  const { one, backup } = await made();
  const { root, dir, store, aside } = one;
  const other = scratch();
  other.write(victim, 'of its own');
  harm(backup, one);
  send(backup, join(dir, 'sent'));
  writeFileSync(join(root, victim), 'changed since');
  mkdirSync(aside, { recursive: true });
  // State and backups too.
  const [before, beforeThere] = [snapshot(dir), snapshot(other.dir)];
  for (const action of [
    () => store.verify(backup),
    () => store.restore(backup, { asideDir: aside, differences: [{ path: victim, kind: 'differs', why: 'content' }] }),
    () => other.store.importFrom(join(dir, 'sent'), () => false),
  ]) {
    const error = await failureOf(action());
    expect(error).toBeInstanceOf(UpgradeError);
    expect(error).toMatchObject({ failures: [{ code: expect.stringMatching(/^BACKUP_(CORRUPT|FORMAT_NEWER)$/) }] });
  }
  expect(withoutStaging(snapshot(dir), one)).toEqual(withoutStaging(before, one));
  expect(snapshot(other.dir)).toEqual(beforeThere);
  expect(existsSync(other.config.backup.dir)).toBe(false);
});

/** What a restore was going to stage is noted in its own folder before anything is read; folders in which something was staged have another change time. */
function withoutStaging(lines: readonly string[], { root, dir }: Scratch): readonly string[] {
  return lines
    .filter((line) => !line.includes('/aside'))
    .map((line) => (existsSync(join(dir, line.split(' ')[0] ?? '')) && isFolder(line) ? line.split(' ').toSpliced(3, 2).join(' ') : line))
    .filter((line) => line !== root);
}

function isFolder(line: string): boolean {
  return (Number(line.split(' ')[1]) & 0o170000) === 0o040000;
}

test('cut off anywhere, neither archive, manifest nor exported file is taken for whole', async () => {
  const { one, backup } = await made();
  const { dir, store } = one;
  const there = scratch();
  const sent = join(dir, 'sent');
  for (const file of [backup.path, backup.manifest, sent]) {
    send(backup, sent);
    const whole = readFileSync(file);
    // The manifest ends with a line break, which says nothing.
    const end = whole.length - (file === backup.manifest ? 2 : 1);
    const places = [...new Set([...Array.from({ length: 40 }, (_, index) => Math.floor((end * index) / 40)), end])];
    for (const place of places) {
      truncateSync(file, place);
      const error = await failureOf(file === sent ? there.store.importFrom(file, () => false) : store.verify(backup));
      expect(error, `${file} of ${place} bytes`).toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
      writeFileSync(file, whole);
    }
  }
  await store.verify(backup);
  expect(existsSync(there.config.backup.dir)).toBe(false);
});
