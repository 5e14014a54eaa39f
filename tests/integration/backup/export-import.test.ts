// A backup goes to another host in one file: plain tar opens it, and there it is taken in whole or not at all.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';
import { testNeeding } from '../../support/needs.ts';
import { fingerprint, run, scratch, setTimes, sqlite, type Scratch } from './installation.ts';

const test = testNeeding('age', 'tar', 'zstd');

function filled(): Scratch {
  const one = scratch();
  one.write('VERSION', '0.1.0\n');
  one.write('config/app.yaml', 'a: 1\n');
  one.write('data/large', Buffer.alloc(5 << 20, 'large'));
  one.write('data/ünïcode', 'x');
  sqlite(join(one.root, 'data/app.db'), 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)').close();
  setTimes(one.root);
  return one;
}

const none = (): boolean => false;
const listOf = (one: Scratch): readonly string[] =>
  existsSync(one.config.backup.dir) ? readdirSync(one.config.backup.dir).toSorted() : [];

function keys(one: Scratch): { readonly recipient: string; readonly identity: string } {
  const identity = join(one.dir, 'key.txt');
  run('age-keygen', ['-o', identity]);
  return { identity, recipient: run('age-keygen', ['-y', identity]).output.trim() };
}

describe('an exported backup', () => {
  test('is taken in on another host, listed, verified and restored there', async () => {
    const [here, there] = [filled(), scratch()];
    const expected = fingerprint(here.root);
    const file = join(here.dir, 'backup.tar.zst');
    await here.store.exportTo(await here.create(), file);
    const record = await there.store.importFrom(file, none);
    expect(record).toMatchObject({ id: 'B1', runId: null, verified: true });
    await there.store.verify(record);
    expect(listOf(there)).toEqual(['B1.manifest.json', 'B1.tar.zst']);
    for (const name of listOf(there)) expect(statSync(join(there.config.backup.dir, name)).mode & 0o777).toBe(0o600);
    await there.store.restore(record, { asideDir: there.aside });
    expect(fingerprint(there.root)).toEqual(expected);
  });

  test('holds what lies in the archives of earlier ones too, and needs none of them', async () => {
    const [here, there] = [filled(), scratch()];
    const { root, write, config, withConfig, dir } = here;
    // Holes, a second name, attributes: each is stored in a way of its own.
    const holes = openSync(write('data/holes', ''), 'r+');
    writeSync(holes, 'in the middle', 5_000_000);
    ftruncateSync(holes, 9 << 20);
    closeSync(holes);
    linkSync(join(root, 'data/large'), join(root, 'data/again'));
    run('setfattr', ['-n', 'user.comment', '-v', 'kept', join(root, 'config/app.yaml')]);
    symlinkSync('app.yaml', join(root, 'config/link'));
    setTimes(root);
    const store = withConfig({}, { settledMs: 0 });
    const create = async (id: string, earlier: readonly BackupRecord[]): Promise<BackupRecord> =>
      store.create({ id, runId: null, version: null, extraPaths: [], earlier });
    const first = await create('B1', []);
    // Owner and mode have changed since the contents were stored.
    chmodSync(join(root, 'data/large'), 0o600);
    write('config/more.yaml', 'b: 2\n');
    setTimes(root);
    const second = await create('B2', [first]);
    write('config/more.yaml', 'b: 3\n');
    setTimes(root);
    const third = await create('B3', [second, first]);
    expect(third.needs).toEqual(['B1']);
    expect(third.bytes).toBeLessThan(first.bytes);
    const expected = fingerprint(root);

    const file = join(dir, 'exported');
    await store.exportTo(third, file);
    expect(readdirSync(dir).filter((name) => name.startsWith('exported'))).toEqual(['exported']);
    rmSync(config.backup.dir, { recursive: true });
    const out = join(dir, 'out');
    mkdirSync(out);
    expect(run('tar', ['--zstd', '--xattrs', '-xpf', file, '-C', out])).toEqual({ code: 0, output: '' });
    expect(fingerprint(out)).toEqual(expected);
    expect(run('tar', ['--zstd', '--compare', '-f', file, '-C', root, '--exclude=data/app.db'])).toEqual({ code: 0, output: '' });
    const taken = await there.store.importFrom(file, none);
    expect(taken).toMatchObject({ id: 'B3', needs: [], files: third.files });
    await there.store.verify(taken, { isDeep: true });
    await there.store.restore(taken, { asideDir: there.aside });
    expect(fingerprint(there.root)).toEqual(expected);
    expect(run('getfattr', ['--absolute-names', '--only-values', '-n', 'user.comment', join(there.root, 'config/app.yaml')]).output).toBe(
      'kept',
    );
    expect(statSync(join(there.root, 'data/holes')).blocks).toBeLessThan(100);
  });

  test('of which an earlier archive is damaged is not written', async () => {
    const { store, write, dir, config } = filled();
    const first = await store.create({ id: 'B1', runId: null, version: null, extraPaths: [] });
    write('config/more.yaml', 'b: 2\n');
    const second = await store.create({ id: 'B2', runId: null, version: null, extraPaths: [], earlier: [first] });
    expect(second.needs).toEqual(['B1']);
    const bytes = readFileSync(first.path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(first.path, bytes);
    await expect(store.exportTo(second, join(dir, 'exported'))).rejects.toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
    expect(readdirSync(dir).filter((name) => name.startsWith('exported'))).toEqual([]);
    expect(readdirSync(config.backup.dir)).toHaveLength(4);
  });

  test('is opened by plain tar', async () => {
    const here = filled();
    const expected = fingerprint(here.root);
    const [file, out] = [join(here.dir, 'backup.tar.zst'), join(here.dir, 'out')];
    await here.store.exportTo(await here.create(), file);
    mkdirSync(out);
    expect(run('tar', ['--zstd', '-xpf', file, '-C', out])).toEqual({ code: 0, output: '' });
    expect(fingerprint(out)).toEqual(expected);
  });

  test('stays encrypted on its way, and where it arrives', async () => {
    const [here, there] = [filled(), scratch()];
    const expected = fingerprint(here.root);
    const { recipient, identity } = keys(here);
    const store = here.withConfig({ backup: { ...here.config.backup, recipients: [recipient] } });
    const record = await here.create(store);
    const file = join(here.dir, 'backup.age');
    await store.exportTo(record, file);
    await store.forgetKeys(new Set());
    expect(readFileSync(file).includes('rungs-backup')).toBe(false);
    const out = join(here.dir, 'out');
    mkdirSync(out);
    const opened = spawnSync('sh', ['-c', 'age -d -i "$1" "$2" | tar --zstd -xp -C "$3"', 'sh', identity, file, out], { encoding: 'utf8' });
    expect(opened.stderr).toBe('');
    expect(fingerprint(out)).toEqual(expected);

    await expect(there.store.importFrom(file, none)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_ENCRYPTED' }] });
    expect(listOf(there)).toEqual([]);
    const withKey = there.withConfig({}, { identities: [identity] });
    const taken = await withKey.importFrom(file, none);
    expect(listOf(there)).toEqual(['B1.manifest.json', 'B1.manifest.json.age', 'B1.tar.zst.age']);
    for (const name of listOf(there)) expect(readFileSync(join(there.config.backup.dir, name)).includes('config/app.yaml')).toBe(false);
    await expect(there.store.verify(taken)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_ENCRYPTED' }] });
    expect(await there.store.verifySealed(taken)).toBe(true);
    await withKey.restore(taken, { asideDir: there.aside });
    expect(fingerprint(there.root)).toEqual(expected);
  });

  test('with a database that lay outside of the root is taken in where it lies at the same place, and refused where it does not', async () => {
    const [here, there] = [filled(), scratch()];
    const outside = (one: Scratch, name: string): Scratch['config']['databases'] => ({
      ...one.config.databases,
      far: { kind: 'sqlite', file: join(one.dir, name) },
    });
    sqlite(join(here.dir, 'far.db'), "CREATE TABLE t (a); INSERT INTO t VALUES ('far')").close();
    const file = join(here.dir, 'exported');
    const store = here.withConfig({ databases: outside(here, 'far.db') });
    const backup = await here.create(store);
    await store.exportTo(backup, file);

    const elsewhere = there.withConfig({ databases: outside(there, 'moved.db') });
    await expect(elsewhere.importFrom(file, none)).rejects.toMatchObject({
      failures: [
        {
          code: 'BACKUP_DATABASE_ELSEWHERE',
          message: expect.stringContaining(join(there.dir, 'moved.db')),
          hint: expect.stringContaining('far.db'),
        },
      ],
    });
    // A host whose upgrade.yaml knows no such database would write somebody's file.
    await expect(there.store.importFrom(file, none)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_CORRUPT' }] });
    expect(readdirSync(there.dir)).toEqual(['root']);
    expect(readdirSync(there.root)).toEqual([]);

    const same = there.withConfig({ databases: { ...there.config.databases, far: { kind: 'sqlite', file: join(here.dir, 'far.db') } } });
    const taken = await same.importFrom(file, none);
    sqlite(join(here.dir, 'far.db'), 'DELETE FROM t').close();
    await same.restore(taken, { asideDir: there.aside });
    expect(run('sqlite3', [join(here.dir, 'far.db'), 'SELECT a FROM t']).output).toBe('far\n');
    // A backup that was restored under another configuration is refused just so.
    await expect(elsewhere.restore(taken, { asideDir: there.aside })).rejects.toMatchObject({
      failures: [{ code: 'BACKUP_DATABASE_ELSEWHERE' }],
    });
  });

  test('never takes the place of another file, and is not taken in twice', async () => {
    const here = filled();
    const file = here.write('../out', 'mine');
    const backup = await here.create();
    await expect(here.store.exportTo(backup, file)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_EXPORT_EXISTS' }] });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await here.store.exportTo(backup, `${file}2`);
    await expect(here.store.importFrom(`${file}2`, (id) => id === 'B1')).rejects.toMatchObject({
      failures: [{ code: 'BACKUP_IMPORT_EXISTS' }],
    });
    const other = here.withConfig({ product: 'another' });
    await expect(other.importFrom(`${file}2`, none)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_IMPORT_FOREIGN' }] });
  });
});

describe('a file that is no sound exported backup is refused before anything is written:', () => {
  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file);
    bytes[at] = (bytes[at] ?? 0) ^ 0x20;
    writeFileSync(file, bytes);
  };
  const tail = 'rungs-manifest-1'.length;
  const cases: Readonly<Record<string, (file: string) => void>> = {
    'one that is not there': (file) => rmSync(file),
    'an empty one': (file) => truncateSync(file, 0),
    'one of a few bytes': (file) => truncateSync(file, 20),
    'one that is cut off': (file) => truncateSync(file, statSync(file).size - 1),
    'one with something behind it': (file) => appendFileSync(file, 'x'),
    'a plain archive without a manifest': (file) => truncateSync(file, 1000),
    'one with a changed byte in its archive': (file) => flip(file, 100),
    'one with a changed byte in its manifest': (file) => flip(file, statSync(file).size - tail - 200),
    'one whose manifest is longer than the file': (file) => {
      const bytes = readFileSync(file);
      bytes.writeUInt32LE(0xffffffff, bytes.length - tail - 4);
      writeFileSync(file, bytes);
    },
    'one whose manifest begins elsewhere': (file) => {
      const bytes = readFileSync(file);
      bytes.writeUInt32LE(bytes.readUInt32LE(bytes.length - tail - 4) - 10, bytes.length - tail - 4);
      writeFileSync(file, bytes);
    },
    noise: (file) => writeFileSync(file, Buffer.alloc(100_000, 'noise')),
    'noise with the right end': (file) => writeFileSync(file, `${'x'.repeat(100_000)}\u0010\0\0\0rungs-manifest-1`),
    'a manifest alone': (file) => {
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.subarray(-(bytes.readUInt32LE(bytes.length - tail - 4) + tail + 12)));
    },
    'something that age is said to have made': (file) =>
      writeFileSync(file, 'age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'),
  };
  test.each(Object.keys(cases))('%s', async (name) => {
    const [here, there] = [filled(), scratch()];
    there.write('config/app.yaml', 'of its own\n');
    const file = join(here.dir, 'backup');
    await here.store.exportTo(await here.create(), file);
    cases[name]?.(file);
    const before = [...fingerprint(there.root), ...readdirSync(there.dir)];
    const error: unknown = await there.store.importFrom(file, none).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(UpgradeError);
    expect(String(error)).toMatch(/^UpgradeError: BACKUP_(CORRUPT|MISSING|ENCRYPTED)/);
    expect([...fingerprint(there.root), ...readdirSync(there.dir)]).toEqual(before);
    expect(existsSync(there.config.backup.dir)).toBe(false);
  });
});
