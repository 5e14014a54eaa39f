// Trees of many kinds: backed up, wrecked, restored, and judged by find, sha256sum, rsync, GNU tar and sqlite3.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  lchownSync,
  mkdirSync,
  openSync,
  closeSync,
  ftruncateSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { geteuid } from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { dump, fingerprint, has, run, scratch, setTimes, sqlite, type Scratch } from './installation.ts';

const isRoot = geteuid?.() === 0;
const long = 'l'.repeat(120);

interface Kind {
  readonly kind: string;
  readonly build: (scratch: Scratch) => unknown;
  /** Beside what is done to every tree. */
  readonly wreck?: (scratch: Scratch) => unknown;
  readonly needsRoot?: boolean;
}

const kinds: readonly Kind[] = [
  { kind: 'an empty root', build: () => undefined },
  {
    kind: 'empty files and folders',
    build: ({ root, write }) => [write('a', ''), mkdirSync(join(root, 'e/f/g'), { recursive: true })],
    wreck: ({ root }) => rmSync(join(root, 'e'), { recursive: true }),
  },
  {
    kind: 'every permission bit, mode 0 and setuid',
    build: ({ root, write }) => {
      for (const mode of [0o000, 0o400, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o6711])
        chmodSync(write(`m${mode.toString(8)}`, String(mode)), mode);
      mkdirSync(join(root, 'sticky'));
      chmodSync(join(root, 'sticky'), 0o1777);
      mkdirSync(join(root, 'shared'));
      chmodSync(join(root, 'shared'), 0o2750);
    },
    wreck: ({ root }) => [
      chmodSync(join(root, 'm4755'), 0o755),
      chmodSync(join(root, 'shared'), 0o700),
      writeFileSync(join(root, 'm4755'), 'other'),
      unlinkSync(join(root, 'm6711')),
    ],
    needsRoot: true,
  },
  {
    kind: 'owners, those beyond 2^21 included',
    build: ({ root, write }) => {
      chownSync(write('d/a', 'a'), 1000, 1001);
      chownSync(write('d/b', 'b'), 3_000_000_000, 2_097_152);
      chownSync(join(root, 'd'), 12, 13);
      symlinkSync('a', join(root, 'd/l'));
      lchownSync(join(root, 'd/l'), 77, 78);
    },
    wreck: ({ root }) => [
      chownSync(join(root, 'd/a'), 0, 0),
      chownSync(join(root, 'd'), 0, 0),
      unlinkSync(join(root, 'd/b')),
      lchownSync(join(root, 'd/l'), 0, 0),
    ],
    needsRoot: true,
  },
  {
    kind: 'links: dangling, absolute, to folders, upwards, very long',
    build: ({ root, write }) => {
      write('d/file', 'x');
      symlinkSync('nowhere', join(root, 'dangling'));
      symlinkSync('/etc/hostname', join(root, 'absolute'));
      symlinkSync('d', join(root, 'folder'));
      symlinkSync('../../..', join(root, 'd/up'));
      symlinkSync(`${long}/${long}/${long}`, join(root, 'far'));
      symlinkSync('é ü\n"\\', join(root, 'odd'));
    },
    wreck: ({ root }) => [
      unlinkSync(join(root, 'dangling')),
      unlinkSync(join(root, 'far')),
      unlinkSync(join(root, 'absolute')),
      symlinkSync('/etc/passwd', join(root, 'absolute')),
      unlinkSync(join(root, 'folder')),
      mkdirSync(join(root, 'folder')),
    ],
  },
  {
    kind: 'hard links, across folders, wrecked each in its own way',
    build: ({ root, write }) => {
      for (const name of ['edited', 'parted', 'gone', 'merged']) {
        linkSync(write(`a/${name}`, name), join(root, `a/${name}2`));
        mkdirSync(join(root, 'z'), { recursive: true });
        linkSync(join(root, `a/${name}`), join(root, `z/${name}3`));
      }
      write('a/merged-other', 'merged');
    },
    wreck: ({ root }) => {
      writeFileSync(join(root, 'a/edited2'), 'changed through another name');
      const text = readFileSync(join(root, 'a/parted2'));
      unlinkSync(join(root, 'a/parted2'));
      writeFileSync(join(root, 'a/parted2'), text);
      unlinkSync(join(root, 'a/gone'));
      unlinkSync(join(root, 'a/merged-other'));
      linkSync(join(root, 'a/merged'), join(root, 'a/merged-other'));
    },
  },
  {
    kind: 'names longer than 100, and paths longer than 255 and 1000',
    build: ({ write }) => [
      write(long, '1'),
      write(`${long}2/${long}`, '2'),
      write(Array.from({ length: 10 }, () => long).join('x/'), '3'),
      write('é'.repeat(127), '4'),
      write(`p/${'n'.repeat(255)}`, '5'),
    ],
    wreck: ({ root }) => rmSync(join(root, `${long}x`), { recursive: true }),
  },
  {
    kind: 'odd characters',
    build: ({ write }) =>
      [
        ' lead',
        'trail ',
        'new\nline',
        'tab\t',
        'quote"\'',
        'back\\slash',
        '*glob?[x]',
        '-dash',
        '$HOME',
        'ключ',
        '日本',
        '🎉',
        'e\u0301',
        'é',
        ';',
        'con.',
        '%2e',
      ].map((name) => write(`odd/${name}/${name}`, name)),
    wreck: ({ root }) => rmSync(join(root, 'odd'), { recursive: true }),
  },
  {
    kind: 'names that are not UTF-8',
    build: ({ root, write }) => {
      write('raw/ok', '');
      for (const name of [
        Buffer.from([0xff, 0xfe]),
        Buffer.from('caf\xe9', 'latin1'),
        Buffer.from([0xed, 0xb2, 0x80]),
        Buffer.from('caf\u{fffd}'),
      ]) {
        writeFileSync(Buffer.concat([Buffer.from(join(root, 'raw/')), name]), name);
        symlinkSync(name, Buffer.concat([Buffer.from(join(root, 'raw/link-')), name]));
      }
    },
    wreck: ({ root }) => rmSync(join(root, 'raw'), { recursive: true }),
  },
  {
    kind: 'a large file, sizes around the frames, and 300 small ones',
    build: ({ write }) => {
      const noise = Buffer.alloc(50 << 20);
      for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE((Math.imul(at, 2654435761) ^ (at >>> 7)) >>> 0, at);
      write('large', noise);
      for (const size of [
        511,
        512,
        513,
        4095,
        (1 << 20) - 1,
        1 << 20,
        (2 << 20) - 16384,
        (2 << 20) - 16383,
        (2 << 20) - 1,
        2 << 20,
        (2 << 20) + 1,
        4 << 20,
      ])
        write(`sizes/${size}`, noise.subarray(0, size));
      for (let index = 0; index < 300; index += 1) write(`many/${index % 7}/${index}`, String(index));
    },
    wreck: ({ root }) => {
      const descriptor = openSync(join(root, 'large'), 'r+');
      writeSync(descriptor, 'x', 40 << 20);
      closeSync(descriptor);
      truncateSync(join(root, 'sizes/2097152'), 2097151);
      rmSync(join(root, 'many/3'), { recursive: true });
    },
  },
  {
    kind: 'a sparse file',
    build: ({ write }) => {
      const descriptor = openSync(write('sparse', 'start'), 'r+');
      writeSync(descriptor, 'middle', 10_000_001);
      ftruncateSync(descriptor, 60 << 20);
      closeSync(descriptor);
    },
    wreck: ({ root }) => unlinkSync(join(root, 'sparse')),
  },
  {
    kind: 'files with holes at their start, at their end, everywhere, many of them, and none',
    build: ({ write }) => {
      const shapes: Readonly<Record<string, readonly number[]>> = {
        start: [5 << 20],
        end: [0],
        everywhere: [],
        many: Array.from({ length: 400 }, (_, index) => index * 65_536 + 4096),
        unaligned: [1_000_001, 3_333_333],
      };
      for (const [name, places] of Object.entries(shapes)) {
        const descriptor = openSync(write(`holes/${name}`, ''), 'r+');
        for (const place of places) writeSync(descriptor, `data at ${place}`, place);
        ftruncateSync(descriptor, 40 << 20);
        closeSync(descriptor);
      }
      write('holes/none', Buffer.alloc(2 << 20, 'full'));
    },
    wreck: ({ root }) => [
      rmSync(join(root, 'holes/many')),
      rmSync(join(root, 'holes/start')),
      rmSync(join(root, 'holes/end')),
      writeFileSync(join(root, 'holes/everywhere'), 'filled'),
      truncateSync(join(root, 'holes/unaligned'), 100),
    ],
  },
  {
    kind: 'extended attributes and ACLs, on names of all kinds',
    build: ({ root, write }) => {
      for (const name of ['plain', 'new\nline', 'back\\slash', 'equals=sign', 'é']) {
        write(`x/${name}`, name);
        run('setfattr', ['-n', 'user.comment', '-v', `"${name.length} letters"`, join(root, 'x', name)]);
      }
      run('setfattr', ['-n', 'user.binary', '-v', '0x00ff0a3d5c', join(root, 'x/plain')]);
      run('setfattr', ['-n', 'user.empty', join(root, 'x/plain')]);
      run('setfacl', ['-m', 'u:1234:rw,g:77:r', join(root, 'x/plain')]);
      mkdirSync(join(root, 'shared'));
      run('setfacl', ['-m', 'u:1234:rwx,d:u:1234:rwx', join(root, 'shared')]);
    },
    wreck: ({ root, write }) => [
      run('setfattr', ['-x', 'user.comment', join(root, 'x/é')]),
      run('setfattr', ['-n', 'user.comment', '-v', 'other', join(root, 'x/equals=sign')]),
      unlinkSync(join(root, 'x/new\nline')),
      rmSync(join(root, 'x/plain')),
      write('x/back\\slash', 'changed'),
      rmSync(join(root, 'shared'), { recursive: true }),
    ],
    needsRoot: true,
  },
  {
    kind: 'a folder of 3,000 names, a deep one of 300 levels',
    build: ({ write }) => {
      for (let index = 0; index < 3000; index += 1) write(`wide/${index}`, String(index % 10));
      write(`${'d/'.repeat(300)}bottom`, 'deep');
    },
    wreck: ({ root }) => [rmSync(join(root, 'd'), { recursive: true }), rmSync(join(root, 'wide/77'))],
  },
  {
    kind: 'names that sort in ways of their own',
    build: ({ write }) =>
      ['a/x', 'a.b', 'a-b/y', 'a b', 'a/.h', 'A/x', 'a0', 'a//z'.replace('//', '/'), 'ab/c'].map((path) => write(path, path)),
    wreck: ({ root }) => [rmSync(join(root, 'a'), { recursive: true }), rmSync(join(root, 'a.b'))],
  },
  {
    kind: 'files of others that only their owner may read, in folders closed to all',
    build: ({ root, write }) => {
      chownSync(write('closed/secret', 's'), 1000, 1000);
      chmodSync(join(root, 'closed/secret'), 0o400);
      chmodSync(join(root, 'closed'), 0o000);
    },
    wreck: ({ root }) => rmSync(join(root, 'closed'), { recursive: true }),
    needsRoot: true,
  },
  {
    kind: 'contents that are archives, compressed, and all of one byte',
    build: ({ dir, root, write }) => {
      write('zeros', Buffer.alloc(5 << 20));
      write('text', 'the same line\n'.repeat(100_000));
      run('tar', ['--zstd', '-cf', join(root, 'inner.tar.zst'), '-C', dir, 'root/text']);
    },
    wreck: ({ root }) => [rmSync(join(root, 'zeros')), rmSync(join(root, 'inner.tar.zst'))],
  },
  {
    kind: 'types that changed',
    build: ({ root, write }) => {
      write('file-to-folder', 'f');
      write('folder-to-file/deep/x', 'd');
      write('folder-to-link/deep/y', 'l');
      write('file-to-link', 'f');
      symlinkSync('file-to-link', join(root, 'link-to-file'));
      symlinkSync('folder-to-file', join(root, 'link-to-folder'));
      write('file-to-fifo', 'p');
    },
    wreck: ({ root, write, dir }) => {
      for (const name of [
        'file-to-folder',
        'folder-to-file',
        'folder-to-link',
        'file-to-link',
        'link-to-file',
        'link-to-folder',
        'file-to-fifo',
      ])
        rmSync(join(root, name), { recursive: true });
      write('file-to-folder/inside', 'i');
      write('folder-to-file', 'x');
      mkdirSync(join(dir, 'elsewhere/deep'), { recursive: true });
      writeFileSync(join(dir, 'elsewhere/deep/y'), 'not ours');
      symlinkSync(join(dir, 'elsewhere'), join(root, 'folder-to-link'));
      symlinkSync('/etc/passwd', join(root, 'file-to-link'));
      write('link-to-file', 'x');
      write('link-to-folder/a/b', 'x');
      run('mkfifo', [join(root, 'file-to-fifo')]);
    },
  },
  {
    kind: 'sockets and FIFOs, which are left alone',
    build: async ({ root, write }) => {
      write('run/pid', '1');
      run('mkfifo', [join(root, 'run/fifo')]);
      const server = createServer().listen(join(root, 'run/socket'));
      await once(server, 'listening');
      onTestFinished(() => void server.close());
    },
  },
  {
    kind: 'names that differ only in their case, or look the same',
    build: ({ write }) =>
      ['Readme', 'README', 'readme', 'Dir/a', 'dir/a', 'DIR/A', 'straße', 'STRASSE', 'ﬁle', 'file', '\u0430', 'a'].map((path) =>
        write(path, path),
      ),
    wreck: ({ root }) => [
      renameSync(join(root, 'README'), join(root, 'ReadMe')),
      rmSync(join(root, 'dir'), { recursive: true }),
      writeFileSync(join(root, '\u0430'), 'the other one'),
    ],
  },
  {
    kind: 'attributes of links, of the system and of programs',
    build: ({ root, write }) => {
      write('bin/ping', '#!/bin/sh\n');
      chmodSync(join(root, 'bin/ping'), 0o755);
      symlinkSync('ping', join(root, 'bin/link'));
      run('setfattr', ['-h', '-n', 'trusted.of', '-v', '"the link"', join(root, 'bin/link')]);
      run('setfattr', ['-n', 'trusted.of', '-v', '"the folder"', join(root, 'bin')]);
      // cap_net_raw, as setcap writes it.
      run('setfattr', ['-n', 'security.capability', '-v', '0x0100000200200000000000000000000000000000', join(root, 'bin/ping')]);
    },
    wreck: ({ root }) => [
      run('setfattr', ['-h', '-x', 'trusted.of', join(root, 'bin/link')]),
      run('setfattr', ['-x', 'trusted.of', join(root, 'bin')]),
      writeFileSync(join(root, 'bin/ping'), 'other'),
    ],
    needsRoot: true,
  },
  {
    kind: 'attributes and ACLs that came since, on what else is as it was',
    build: ({ root, write }) => {
      for (const name of ['attributed', 'shared', 'left']) write(`x/${name}`, name);
      symlinkSync('left', join(root, 'x/link'));
      run('setfattr', ['-n', 'user.kept', '-v', 'kept', join(root, 'x/attributed')]);
    },
    wreck: ({ root }) => [
      run('setfattr', ['-n', 'user.added', '-v', 'new', join(root, 'x/attributed')]),
      run('setfacl', ['-m', 'u:1234:rw', join(root, 'x/shared')]),
      // Whatever is made in it from now on inherits this.
      run('setfacl', ['-m', 'd:u:1234:rwx', join(root, 'x')]),
      run('setfattr', ['-h', '-n', 'trusted.added', '-v', 'new', join(root, 'x/link')]),
      unlinkSync(join(root, 'x/left')),
    ],
    needsRoot: true,
  },
  {
    kind: 'files that swapped their names, folders that moved into each other',
    build: ({ write }) => ['a/one', 'a/deep/er/two', 'b/one', 'c', 'd'].map((path) => write(path, `this was ${path}`)),
    wreck: ({ root }) => {
      const move = (from: string, to: string): void => renameSync(join(root, from), join(root, to));
      move('c', 'e');
      move('d', 'c');
      move('e', 'd');
      move('a', 'x');
      move('b', 'a');
      move('x', 'a/x');
      move('a/x/deep', 'b');
    },
  },
  {
    kind: 'everything read-only, and a tree of which nothing is left',
    build: ({ root, write }) => {
      for (const path of ['ro/a', 'ro/sub/b', 'gone/c', 'gone/sub/d']) chmodSync(write(path, path), 0o444);
      for (const path of ['ro/sub', 'ro', 'gone/sub']) chmodSync(join(root, path), 0o555);
    },
    wreck: ({ root, write }) => {
      for (const path of ['ro', 'gone', 'always/kept']) rmSync(join(root, path), { recursive: true });
      write('something/else', 'entirely');
    },
  },
  {
    kind: 'times before 1970 and after 2038',
    build: ({ root, write }) => [
      write('old', 'o'),
      write('far', 'f'),
      setTimes(root),
      utimesSync(join(root, 'old'), new Date(-86_400_500), new Date(-86_400_500)),
      utimesSync(join(root, 'far'), 5_000_000_000, 5_000_000_000),
    ],
    wreck: ({ root }) => [unlinkSync(join(root, 'old')), unlinkSync(join(root, 'far'))],
  },
];

test.for(kinds)('$kind', async ({ build, wreck, needsRoot = false }, { skip }) => {
  if (needsRoot && !isRoot) skip('only root may give files to others');
  const one = scratch();
  const { root, create, store, aside, dir, write } = one;
  write('always/kept', 'kept');
  write('always/edited', 'before');
  write('always/removed', 'removed');
  await build(one);
  if (!existsSync(join(root, 'old'))) setTimes(root);
  const before = fingerprint(root);
  run('cp', ['-a', root, join(dir, 'original')]);

  const backup = await create();
  expect(statSync(backup.path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(backup.path)).mode & 0o777).toBe(0o700);
  expect(readdirSync(dirname(backup.path)).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
  expect((await store.compare(backup)).differences).toEqual([]);
  // What was only read is as it was (the state folder apart).
  utimesSync(root, statSync(join(dir, 'original')).atime, statSync(join(dir, 'original')).mtime);
  expect(fingerprint(root)).toEqual(before);

  writeFileSync(join(root, 'always/edited'), 'after!');
  rmSync(join(root, 'always/removed'));
  write('always/new/deep', 'new');
  write('new', 'new');
  await wreck?.(one);
  const report = await store.restore(backup, { asideDir: aside });
  expect(report.removed).toEqual(expect.arrayContaining(['always/new', 'new']));
  expect(fingerprint(root)).toEqual(before);
  expect((await store.compare(backup)).differences).toEqual([]);
  if (has('rsync'))
    expect(run('rsync', ['-aHAXni', '--checksum', '--delete', '--exclude=/.upgrade', `${join(dir, 'original')}/`, `${root}/`]).output).toBe(
      '',
    );
  const elsewhere = join(dir, 'elsewhere/deep/y');
  expect(existsSync(elsewhere) ? readFileSync(elsewhere, 'utf8') : 'not ours').toBe('not ours');
  // A second restore has nothing to do.
  expect(await store.restore(backup, { asideDir: aside })).toMatchObject({ restored: [], removed: [] });

  // GNU tar opens it: the same contents, modes, owners and times, and nothing of ours beside them.
  if (run('tar', ['--version']).output.includes('GNU tar')) {
    expect(run('tar', ['--zstd', '--compare', '-f', backup.path, '-C', join(dir, 'original')])).toEqual({ code: 0, output: '' });
    const extracted = join(dir, 'extracted');
    mkdirSync(extracted);
    expect(run('tar', ['--zstd', '-xpf', backup.path, '-C', extracted, '--numeric-owner', '--warning=no-timestamp'])).toEqual({
      code: 0,
      output: '',
    });
    const withoutSpecials = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => !/ [sp] 0/.test(line)).map((line) => line.replace(/^(run d .*) \S+$/, '$1'));
    expect(withoutSpecials(fingerprint(extracted))).toEqual(withoutSpecials(before));
  }
});

const sqliteKinds: readonly { readonly kind: string; readonly sql: string; readonly wreck: string }[] = [
  {
    kind: 'of all types of values, with views, triggers, indexes, generated columns and checks',
    sql: `CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v, twice AS (v || v) STORED, CHECK (v IS NOT 'bad'));
          INSERT INTO t (v) VALUES (NULL), (''), ('a''b'), (x'00ff'), (1.5), (-9223372036854775808), ('ü🎉'), (1e300), (zeroblob(100000));
          CREATE INDEX i ON t (v) WHERE v IS NOT NULL; CREATE VIEW w AS SELECT v FROM t;
          CREATE TABLE log (what); CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO log VALUES (OLD.id); END`,
    wreck: 'DROP VIEW w; DELETE FROM t WHERE id > 3; DROP INDEX i',
  },
  {
    kind: 'strict, without row ids, with full-text search and an R-tree',
    sql: `CREATE TABLE s (a TEXT PRIMARY KEY, b ANY) STRICT, WITHOUT ROWID; INSERT INTO s VALUES ('x', 1), ('y', x'01');
          CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('the quick brown fox'), ('jumps');
          CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 0.5, 1.5)`,
    wreck: "DELETE FROM f; DROP TABLE r; INSERT INTO s VALUES ('z', 2)",
  },
  {
    kind: 'of 20,000 rows in a WAL, in another page size and encoding',
    sql: `PRAGMA page_size = 16384; PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = wal; CREATE TABLE n (i INTEGER PRIMARY KEY, t TEXT);
          INSERT INTO n (t) SELECT 'row é ' || i FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000) SELECT i FROM c)`,
    wreck: 'DELETE FROM n WHERE i % 3 = 0; VACUUM',
  },
];

test.for(sqliteKinds)('a SQLite database $kind is by .dump what it was', async ({ sql, wreck }) => {
  const { root, dir, create, store, aside } = scratch();
  const file = join(root, 'data/app.db');
  sqlite(file, sql).close();
  const before = dump(file);
  const backup = await create();
  expect(dump(file)).toBe(before);
  sqlite(file, wreck).close();
  expect(dump(file)).not.toBe(before);
  await store.restore(backup, { asideDir: aside });
  expect(dump(file)).toBe(before);
  // Plain tar takes out the same.
  expect(run('tar', ['--zstd', '-xf', backup.path, '-C', dir, 'data/app.db']).code).toBe(0);
  expect(dump(join(dir, 'data/app.db'))).toBe(before);
});

test('the version that was there and what was created since are kept aside, also when a restore is repeated', async () => {
  const { root, create, store, aside, write } = scratch();
  write('a', 'first');
  const backup = await create();
  for (const text of ['second', 'third!']) {
    writeFileSync(join(root, 'a'), text);
    write('new', text);
    await store.restore(backup, { asideDir: aside });
  }
  expect(['a', 'a~2', 'new', 'new~2'].map((name) => readFileSync(join(aside, name), 'utf8'))).toEqual([
    'second',
    'third!',
    'second',
    'third!',
  ]);
});

test('a sparse file comes back sparse', async ({ skip }) => {
  const { root, create, store, aside, write } = scratch();
  truncateSync(write('sparse', ''), 200 << 20);
  if (statSync(join(root, 'sparse')).blocks > 1000) skip('this file system keeps no sparse files');
  const backup = await create();
  unlinkSync(join(root, 'sparse'));
  await store.restore(backup, { asideDir: aside });
  expect(statSync(join(root, 'sparse'))).toMatchObject({ size: 200 << 20, blocks: 0 });
});

test('only the paths that were asked for are restored, folders above them included', async () => {
  const { root, create, store, aside, write } = scratch();
  for (const path of ['a/b/c', 'a/d', 'e']) write(path, path);
  const backup = await create();
  for (const path of ['a', 'e']) rmSync(join(root, path), { recursive: true });
  write('e/new', 'x');
  expect(await store.restore(backup, { asideDir: aside, paths: ['./a/b/'] })).toEqual({
    restored: ['a', 'a/b', 'a/b/c'],
    removed: [],
    unchanged: 0,
  });
  expect(existsSync(join(root, 'a/d'))).toBe(false);
  expect(readFileSync(join(root, 'e/new'), 'utf8')).toBe('x');
  await expect(store.restore(backup, { asideDir: aside, paths: ['../x'] })).rejects.toMatchObject({
    failures: [{ code: 'RESTORE_PATH_UNKNOWN' }],
  });
});

test('the sources of the config are taken and nothing else; databases and the version file always are', async () => {
  const { root, dir, config, withConfig, write, aside } = scratch();
  for (const path of ['VERSION', 'config/a', 'data/uploads/u', 'data/cache/c', 'data/x.log', 'other/o', 'named-by-step/s'])
    write(path, path);
  sqlite(join(root, 'data/app.db'), 'CREATE TABLE t (a)').close();
  sqlite(join(dir, 'outside/far.db'), 'CREATE TABLE far (a); INSERT INTO far VALUES (1)').close();
  symlinkSync('data/uploads', join(root, 'current'));
  const store = withConfig({
    backup: { ...config.backup, include: ['config', 'current/u', 'not-yet'], exclude: ['data/cache', '**/*.log'] },
    databases: {
      ...config.databases,
      far: { kind: 'sqlite', file: join(dir, 'outside/far.db') },
      later: { kind: 'sqlite', file: join(root, 'data/later.db') },
      away: { kind: 'sqlite', file: join(dir, 'outside/away.db') },
    },
  });
  const request = { id: 'B1', runId: null, version: null, extraPaths: ['data/../named-by-step'] };
  expect(await store.estimate(request.extraPaths)).toMatchObject({
    files: 6,
    sources: [
      'config',
      'current',
      'data/uploads/u',
      'not-yet',
      'named-by-step',
      'VERSION',
      'database:app',
      'database:far',
      'database:later',
      'database:away',
    ],
  });
  expect(existsSync(join(root, '.upgrade'))).toBe(false);
  const backup = await store.create(request);
  expect(
    run('tar', ['--zstd', '-tf', backup.path])
      .output.split('\n')
      .filter((line) => line !== ''),
  ).toEqual([
    '.rungs-outside/far',
    'VERSION',
    'config/',
    'config/a',
    'current',
    'data/',
    'data/app.db',
    'data/uploads/',
    'data/uploads/u',
    'named-by-step/',
    'named-by-step/s',
  ]);

  write('not-yet/file', 'made by a step');
  sqlite(join(root, 'data/later.db'), 'PRAGMA journal_mode = wal; CREATE TABLE l (a)').close();
  sqlite(join(dir, 'outside/far.db'), 'DELETE FROM far').close();
  sqlite(join(dir, 'outside/away.db'), '').close();
  write('other/o', 'not ours to judge');
  expect((await store.compare(backup)).differences.map(({ path, kind, why }) => ({ path, kind, why }))).toEqual([
    { path: 'database:away', kind: 'created', why: 'created since' },
    { path: 'database:far', kind: 'differs', why: 'rows of far' },
    { path: 'data/later.db', kind: 'created', why: 'created since' },
    { path: 'not-yet', kind: 'created', why: 'created since' },
  ]);
  expect(await store.restore(backup, { asideDir: aside, paths: ['database:far'] })).toMatchObject({
    restored: ['database:far'],
    removed: [],
  });
  expect(dump(join(dir, 'outside/far.db'))).toContain('INSERT INTO far VALUES(1)');
  expect(await store.restore(backup, { asideDir: aside })).toMatchObject({
    restored: [],
    removed: ['database:away', 'data/later.db', 'not-yet'],
  });
  expect(readdirSync(join(dir, 'outside'))).toEqual(['far.db']);
});

test.each([
  { what: 'rows that are only in the WAL of a process that was killed', sql: 'PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;' },
  {
    what: 'rows in a database that a living process holds open',
    sql: 'PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;',
    stays: true,
  },
  { what: 'rows in a database in rollback mode', sql: 'PRAGMA journal_mode = delete;' },
])('a database: $what are in the backup, and no stale WAL is played into the restored one', async ({ sql, stays = false }) => {
  const { root, create, store, aside } = scratch();
  const file = join(root, 'data/app.db');
  mkdirSync(dirname(file));
  const hold = async (statements: string): Promise<() => Promise<void>> => {
    const code =
      "const d = new (require('node:sqlite').DatabaseSync)(process.argv[1]); d.exec(process.argv[2]); process.stdout.write('ready'); setInterval(() => {}, 1000)";
    const child = spawn(process.execPath, ['-e', code, file, statements], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return async () => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    };
  };
  const kill = await hold(
    `${sql} CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO t (v) VALUES (NULL), (''), (x'00'), (1.5), ('in the WAL')`,
  );
  if (!stays) await kill();
  chmodSync(file, 0o640);
  const backup = await create();
  expect((await store.compare(backup)).differences).toEqual([]);
  if (stays) await kill();
  cpSync(root, `${root}-copy`, { recursive: true });
  const before = dump(join(`${root}-copy`, 'data/app.db'));

  await (
    await hold("DELETE FROM t; INSERT INTO t (v) VALUES ('new'); CREATE TABLE u (a); PRAGMA user_version = 9")
  )();
  expect((await store.compare(backup)).differences.map(({ path, kind, why }) => ({ path, kind, why }))).toEqual([
    { path: 'data/app.db', kind: 'differs', why: 'schema, rows of sqlite_sequence, t, u' },
  ]);
  await store.restore(backup, { asideDir: aside });
  expect(readdirSync(dirname(file))).toEqual(['app.db']);
  expect(statSync(file).mode & 0o777).toBe(0o640);
  expect(dump(file)).toBe(before);
  // What was there can still be opened, with its WAL.
  expect(dump(join(aside, 'data/app.db'))).toContain("'new'");

  for (const wreck of [
    () => writeFileSync(file, 'no database'),
    () => writeFileSync(file, ''),
    () => unlinkSync(file),
    () => [unlinkSync(file), mkdirSync(file)],
    () => renameSync(file, join(root, 'elsewhere')),
  ]) {
    wreck();
    await store.restore(backup, { asideDir: aside });
    expect(dump(file)).toBe(before);
  }
});
