// Archives and manifests that are damaged, or made to do harm: refused with what is wrong, before anything is written.
import {
  appendFileSync,
  existsSync,
  linkSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { manifestFrame } from '../../../src/backup/exported-file.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';
import { edit, forge, plain, rename, sha256, sign, type Loose } from './forge.ts';
import { fingerprint, scratch, type Scratch } from './installation.ts';

/** Of the forged archive: the record still tells the size of the one that it took the place of. */
function sizeOf(file: string): number {
  return statSync(file).size;
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(file, bytes);
}

const cases: readonly {
  readonly what: string;
  readonly harm: (backup: BackupRecord, one: Scratch) => void;
  readonly code?: string;
  readonly says: RegExp;
}[] = [
  { what: 'an archive that is cut off', harm: ({ path }) => truncateSync(path, sizeOf(path) - 20), says: /bytes instead of/ },
  { what: 'an archive that is empty', harm: ({ path }) => truncateSync(path, 0), says: /bytes instead of/ },
  { what: 'an archive with one bit changed at its start', harm: ({ path }) => flip(path, 2), says: /cannot be trusted/ },
  { what: 'an archive with one bit changed in its middle', harm: ({ path }) => flip(path, sizeOf(path) >> 1), says: /cannot be trusted/ },
  { what: 'an archive with one bit changed at its end', harm: ({ path }) => flip(path, sizeOf(path) - 1), says: /cannot be trusted/ },
  { what: 'an archive with something appended', harm: ({ path }) => appendFileSync(path, 'x'), says: /bytes instead of/ },
  { what: 'an archive that is gone', harm: ({ path }) => rmSync(path), code: 'BACKUP_MISSING', says: /tar\.zst is missing/ },
  { what: 'a manifest that is gone', harm: ({ manifest }) => rmSync(manifest), code: 'BACKUP_MISSING', says: /manifest\.json is missing/ },
  { what: 'a manifest that is cut off', harm: ({ manifest }) => truncateSync(manifest, 100), says: /no JSON/ },
  {
    what: 'a manifest that was edited',
    harm: ({ manifest }) => writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"mode": ?420/, '"mode": 511')),
    says: /not as it was written/,
  },
  {
    what: 'a manifest of a later format',
    harm: (backup) => edit(backup, (manifest) => void (manifest.formatVersion = 3)),
    code: 'BACKUP_FORMAT_NEWER',
    says: /format 3/,
  },
  {
    what: 'a manifest of another shape',
    harm: (backup) => edit(backup, (manifest) => void (manifest.entries[1].mode = 'rwx')),
    says: /entries\.1\.mode/,
  },
  { what: 'a manifest with an unknown key', harm: (backup) => edit(backup, (manifest) => void (manifest.command = 'rm')), says: /damaged/ },
  {
    what: 'a manifest of another backup',
    harm: (backup) => edit(backup, (manifest) => void (manifest.id = 'B2')),
    says: /belongs to backup B2/,
  },
  {
    what: 'a manifest that names another archive',
    harm: (backup) => edit(backup, (manifest) => void (manifest.forgedArchive = { file: '../../x.tar.zst' })),
    says: /another archive/,
  },
  ...['../evil', '/etc/evil', 'd/../../evil', 'd//evil', './evil', 'd/.', 'evil\0', ''].map((path) => ({
    what: `the path ${JSON.stringify(path)}`,
    harm: (backup: BackupRecord) => forge(backup, (forgery) => rename(forgery, 'd/file', path)),
    says: path === '' ? /listed twice/ : /leads out of the root/,
  })),
  {
    what: 'a path in the state folder',
    harm: (backup) => forge(backup, (forgery) => rename(forgery, 'd/file', '.upgrade')),
    says: /keeps its own state/,
  },
  { what: 'a path listed twice', harm: (backup) => forge(backup, (forgery) => rename(forgery, 'link', 'other')), says: /listed twice/ },
  {
    what: 'a path behind a link that leads out',
    harm: (backup, { dir }) =>
      forge(backup, (forgery) => {
        const at = forgery.manifest.entries.findIndex(({ path }: Loose) => path === 'd');
        const { path, uid, gid, mtime } = forgery.manifest.entries[at];
        forgery.manifest.entries[at] = { path, mode: 0o777, uid, gid, mtime, type: 'link', target: dir };
        for (const { header } of forgery.tar) if (header.path === 'd') Object.assign(header, { type: 'SymbolicLink', target: dir });
      }),
    says: /does not lie in folders/,
  },
  {
    what: 'a path whose folder is not listed',
    harm: (backup) => forge(backup, (forgery) => rename(forgery, 'd/file', 'nowhere/file')),
    says: /does not lie in folders/,
  },
  {
    what: 'a hard link to a file outside',
    harm: (backup) =>
      forge(backup, ({ manifest }) => void (manifest.entries.find(({ path }: Loose) => path === 'hard').target = '/etc/passwd')),
    says: /no file of this backup/,
  },
  {
    what: 'a database for a file that is none of ours',
    harm: (backup) =>
      forge(backup, (forgery) => {
        rename(forgery, 'd/file', '.rungs-outside/app');
        const entry = forgery.manifest.entries.find(({ path }: Loose) => path === '.rungs-outside/app');
        delete entry.seen;
        delete entry.sparse;
        Object.assign(entry, {
          type: 'database',
          name: 'app',
          location: '/etc/passwd',
          logical: { schema: sha256(''), tables: {}, digest: sha256('') },
        });
      }),
    code: 'BACKUP_DATABASE_ELSEWHERE',
    says: /outside of its installation/,
  },
  {
    what: 'a place in the archive that does not exist',
    harm: (backup) =>
      forge(backup, ({ manifest, tar }) => {
        tar.splice(
          tar.findIndex(({ header }) => header.path === 'other'),
          1,
        );
        manifest.entries.find(({ path }: Loose) => path === 'other').at = 1e12;
      }),
    says: /lies nowhere/,
  },
  {
    what: 'a frame that claims a terabyte',
    harm: (backup) => edit(backup, (manifest) => void (manifest.forgedArchive = { tarBytes: 2 ** 40, frames: [[1, 2 ** 40]] })),
    says: /larger than any/,
  },
  {
    what: 'a frame that unpacks to more than it says',
    harm: (backup) => {
      const bomb = zstdCompressSync(Buffer.alloc(256 << 20));
      writeFileSync(backup.path, bomb);
      const manifest: Loose = JSON.parse(readFileSync(backup.manifest, 'utf8'));
      manifest.archive = {
        ...manifest.archive,
        sha256: sha256(bomb),
        bytes: bomb.length,
        frames: [[bomb.length, manifest.archive.tarBytes]],
      };
      sign(backup, manifest);
    },
    says: /cannot be trusted/,
  },
  {
    what: 'contents other than listed',
    harm: (backup) =>
      forge(backup, ({ tar }) => {
        for (const { header, content } of tar) if (header.path === 'd/file') content.fill('z');
      }),
    says: /contents of "d\/file"/,
  },
  {
    what: 'a mode other than listed',
    harm: (backup) =>
      forge(backup, ({ tar }) => {
        for (const { header } of tar) if (header.path === 'd/file') Object.assign(header, { mode: 0o4777 });
      }),
    says: /not what the manifest lists/,
  },
  {
    what: 'an entry more than listed',
    harm: (backup) => forge(backup, ({ tar }) => void tar.push(plain('evil', 'x'))),
    says: /more than the manifest/,
  },
  {
    what: 'an entry with a path out of the root, not listed',
    harm: (backup) => forge(backup, ({ tar }) => void tar.splice(1, 0, plain('../evil', 'x'))),
    says: /"..\/evil" is not what/,
  },
  { what: 'an entry less than listed', harm: (backup) => forge(backup, ({ tar }) => void tar.pop()), says: /ends before "other"/ },
  {
    what: 'entries in another order',
    harm: (backup) => forge(backup, ({ tar }) => void tar.push(...tar.splice(1, 1))),
    says: /not what the manifest lists/,
  },
];

test.each(cases)('$what is refused, and nothing is written', async ({ harm, code = 'BACKUP_CORRUPT', says }) => {
  const one = scratch();
  const { root, dir, store, create, aside, write } = one;
  write('d/file', 'contents');
  write('first', 'linked');
  linkSync(join(root, 'first'), join(root, 'hard'));
  write('other', 'other');
  symlinkSync('other', join(root, 'link'));
  const backup = await create();
  forge(backup, () => undefined);
  await store.verify(backup);
  harm(backup, one);

  writeFileSync(join(root, 'd/file'), 'changed since');
  const before = [...fingerprint(root), ...readdirSync(dir)];
  for (const action of [
    ...(isForeign(says) ? [] : [() => store.verify(backup)]),
    () => store.restore(backup, { asideDir: aside, differences: [{ path: 'd/file', kind: 'differs', why: 'content' }] }),
    () => store.restore(backup, { asideDir: aside }),
  ]) {
    const error: unknown = await action().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(UpgradeError);
    expect(error).toMatchObject({ failures: [{ code }] });
    expect(String(error)).toMatch(says);
  }
  expect([...fingerprint(root), ...readdirSync(dir)]).toEqual(before);
});

/** Sound, but of another installation: to be read and not to be restored. */
function isForeign(says: RegExp): boolean {
  return /outside of its installation|keeps its own state/.test(says.source);
}

/** Whole and consistent under its other name: as a file of its own it is a backup like any other. */
const isOnlyRenamed = (what: string): boolean => what === 'a manifest of another backup';

test.each(cases.filter(({ code, what }) => code === undefined && !isOnlyRenamed(what)))(
  '$what, sent as one file, is not taken in',
  async ({ harm }) => {
    const [one, other] = [scratch(), scratch()];
    const { root, write, dir } = one;
    write('d/file', 'contents');
    write('first', 'linked');
    linkSync(join(root, 'first'), join(root, 'hard'));
    write('other', 'other');
    symlinkSync('other', join(root, 'link'));
    const backup = await one.create();
    forge(backup, () => undefined);
    const send = (): void =>
      writeFileSync(join(dir, 'sent'), Buffer.concat([readFileSync(backup.path), manifestFrame(readFileSync(backup.manifest))]));
    send();
    const sound = scratch();
    await sound.store.importFrom(join(dir, 'sent'), () => false);
    harm(backup, one);
    send();
    other.write('d/file', 'of its own');
    const before = [...fingerprint(other.root), ...readdirSync(other.dir)];
    const error: unknown = await other.store
      .importFrom(join(dir, 'sent'), () => false)
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(error).toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
    expect([...fingerprint(other.root), ...readdirSync(other.dir)]).toEqual(before);
    expect(existsSync(other.config.backup.dir)).toBe(false);
  },
);

test.each([
  { size: 'small', contents: () => Buffer.alloc(9 << 20, 'large') },
  // Of this, a part is read back by a thread of its own before the rest is written.
  { size: 'large', contents: () => randomBytes(80 << 20) },
])('a $size archive that is written wrongly is found by reading it back, and nothing of it is left', async ({ contents }) => {
  const { create, write, withConfig, config, store } = scratch();
  const good = await create();
  write('large', contents());
  // The disk changes a byte between the writing and the reading: `onProgress` runs while the second frame is packed.
  const partial = join(config.backup.dir, 'B2.tar.zst.partial');
  let damaged = false;
  const progress = (done: number): void => {
    if (damaged || done < 8 << 20) return;
    flip(partial, 40);
    damaged = true;
  };
  await expect(withConfig({}).create({ id: 'B2', runId: null, version: null, extraPaths: [], onProgress: progress })).rejects.toMatchObject(
    { failures: [{ code: 'BACKUP_CORRUPT' }] },
  );
  expect(damaged).toBe(true);
  expect(readdirSync(config.backup.dir).toSorted()).toEqual(['B1.manifest.json', 'B1.tar.zst']);
  await store.verify(good);
});
