// kill -9 at random places of create, prune, verify, restore, export and import, 270 times in CI, 500 with RUNGS_TEST_LEVEL=full: what counts as a backup is whole, each path of the installation is
// as it was or as in the backup, and the same command, or `resume`, ends right. Places are counted in calls to the outside, so that they cover all of the work.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { createBackupStore } from '../../../src/backup/store.ts';
import { pathsOf, recordOf } from '../../../src/backup/create.ts';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import type { BackupRecord } from '../../../src/model/ports.ts';
import { UpdateManager } from '../../../src/update-manager.ts';
import { countFor } from '../../support/level.ts';
import { makeTree } from '../../unit/discover/tree.ts';
import { clock } from './clock.ts';
import { run, setTimes, sqlite } from './installation.ts';
import { placesIn, startKiller, type Call, type Killer } from './killer.ts';

interface Installed {
  readonly dir: string;
  readonly root: string;
  readonly manager: UpdateManager;
  readonly killer: Killer;
  readonly call: (action: Call['action'], ...args: readonly unknown[]) => Call;
  /** Remembers all of it, state included; what it gives puts all of that back. */
  readonly keep: () => () => void;
}

async function install(settings = ''): Promise<Installed> {
  const dir = makeTree({
    'root/upgrade.yaml': `product: small\nversion: { file: VERSION }\nmigrations: ../migrations\ndatabases: { app: { sqlite: data/app.db } }\n${settings}`,
    'root/VERSION': '1.0.0\n',
    'root/emptied/file': 'here',
    'root/large': Buffer.alloc(300_000, 'some text that is compressed '),
    'migrations/v1.0.0_to_v1.1.0/001_note.sh': { text: '#!/bin/sh\nexit 0\n', mode: 0o755 },
    ...Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`root/many/${index % 4}/${index}`, `old ${index}`])),
  });
  const root = join(dir, 'root');
  symlinkSync('VERSION', join(root, 'link'));
  linkSync(join(root, 'VERSION'), join(root, 'hard'));
  mkdirSync(join(root, 'empty'));
  sqlite(join(root, 'data/app.db'), "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES ('old'), ('rows')").close();
  setTimes(root);
  const config = join(root, 'upgrade.yaml');
  return {
    dir,
    root,
    manager: await UpdateManager.open({ config }),
    killer: startKiller(),
    call: (action, ...args) => ({ config, action, args }),
    keep: () => {
      const copy = join(dir, 'kept');
      expect(run('cp', ['-a', root, copy]).code).toBe(0);
      return () => {
        rmSync(root, { recursive: true });
        expect(run('cp', ['-a', copy, root]).code).toBe(0);
      };
    },
  };
}

function wreck({ root }: Installed): void {
  for (let index = 0; index < 24; index += 2) writeFileSync(join(root, `many/${index % 4}/${index}`), `new ${index}`);
  rmSync(join(root, 'many/3'), { recursive: true });
  rmSync(join(root, 'emptied'), { recursive: true });
  writeFileSync(join(root, 'emptied'), 'a file now');
  writeFileSync(join(root, 'VERSION'), '1.0.1\n');
  writeFileSync(join(root, 'large'), 'small');
  rmSync(join(root, 'link'));
  symlinkSync('large', join(root, 'link'));
  rmSync(join(root, 'empty'), { recursive: true });
  mkdirSync(join(root, 'created/deep'), { recursive: true });
  writeFileSync(join(root, 'created/deep/file'), 'new');
  chmodSync(join(root, 'many/1/1'), 0o600);
  // By a program that was killed: the new rows are in the WAL alone.
  const statements = "PRAGMA wal_autocheckpoint = 0; DELETE FROM t; INSERT INTO t VALUES ('new')";
  const code = "new (require('node:sqlite').DatabaseSync)(process.argv[1]).exec(process.argv[2]); process.kill(process.pid, 'SIGKILL')";
  run(process.execPath, ['-e', code, join(root, 'data/app.db'), statements]);
  expect(lstatSync(join(root, 'data/app.db-wal')).size).toBeGreaterThan(0);
}

/** Out of a copy, so that looking leaves no trace. */
const rowsOf = (root: string): string => {
  const copy = mkdtempSync(join(tmpdir(), 'rungs-rows-'));
  try {
    for (const name of readdirSync(join(root, 'data')))
      if (/^app\.db(-wal|-journal)?$/.test(name)) copyFileSync(join(root, 'data', name), join(copy, name));
    const database = new DatabaseSync(join(copy, 'app.db'));
    try {
      return JSON.stringify(database.prepare('SELECT a FROM t').all());
    } finally {
      database.close();
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
};

/** What each path of the installation is. A folder is there or not: its mode and time come last. */
function statesIn(root: string): ReadonlyMap<string, string> {
  const states = new Map<string, string>();
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (path.startsWith('.upgrade') || path.startsWith('data/') || /(^|\/)\.rungs-restore-/.test(path)) continue;
    const stat = lstatSync(join(root, path));
    const mode = (stat.mode & 0o7777).toString(8);
    const content = stat.isSymbolicLink() ? readlinkSync(join(root, path)) : stat.isFile() ? readFileSync(join(root, path), 'latin1') : '';
    states.set(path, stat.isDirectory() ? 'folder' : stat.isSymbolicLink() ? `link to ${content}` : `file ${mode} ${content}`);
  }
  return states.set('data/app.db', rowsOf(root));
}

/** All that can be seen of the installation, the database and the root's own time apart: that one is of the making of the state folder. */
function exactly(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('.upgrade') && path !== 'data/app.db')
    .toSorted()
    .map((path) => {
      const stat = lstatSync(join(root, path), { bigint: true });
      const { mode, uid, gid, nlink, size, mtimeNs } = stat;
      const content = stat.isFile()
        ? readFileSync(join(root, path), 'latin1')
        : stat.isSymbolicLink()
          ? readlinkSync(join(root, path))
          : '';
      const about = stat.isDirectory() ? [] : [nlink, size];
      return [path, mode.toString(8), uid, gid, ...about, mtimeNs, content].join(' ');
    });
}

const kindOf = (state: string | undefined): string => state?.split(' ')[0] ?? 'nothing';

/** Each path is as it was or as it is to be; nothing is there only where one kind of thing takes the place of another. */
function expectOldOrNew(root: string, before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>, when: string): void {
  const present = statesIn(root);
  for (const path of new Set([...present.keys(), ...before.keys(), ...after.keys()])) {
    const [was, willBe] = [before.get(path), after.get(path)];
    const isTorn = ![was, willBe].includes(present.get(path)) && (present.has(path) || kindOf(was) === kindOf(willBe));
    expect(isTorn, `${when}: ${path} is ${present.get(path)?.slice(0, 80)}`).toBe(false);
  }
}

const backupsIn = (root: string): string => join(root, '.upgrade/backups');
const namesIn = (dir: string): readonly string[] => (existsSync(dir) ? readdirSync(dir).toSorted() : []);

/** Of what lies under a final name, and of what is listed as good, all is there. */
async function expectOnlyWhole({ manager, root }: Pick<Installed, 'manager' | 'root'>, when: string): Promise<void> {
  const store = createBackupStore({ config: manager.config, clock });
  const recorded = (await manager.listBackups()).filter(({ verified }) => verified);
  const named = await Promise.all(
    namesIn(backupsIn(root)).flatMap((name) => {
      const id = /^(.*)\.tar\.zst$/.exec(name)?.[1];
      if (id === undefined) return [];
      const paths = pathsOf(backupsIn(root), id);
      return [readManifest({ id, manifest: paths.manifest }).then((manifest) => recordOf(manifest, paths))];
    }),
  );
  const all = new Map([...recorded, ...named].map((backup) => [backup.id, backup]));
  for (const backup of all.values())
    await store.verify(backup, { isDeep: true }).catch((error: unknown) => {
      throw new Error(`${when}: ${backup.id} is not whole`, { cause: error });
    });
}

/** For one portion, on a machine that has much else to do. */
const patience = 300_000;

/** So many kills in portions, each of them one test with an installation of its own. */
function portions(counts: {
  readonly quick: number;
  readonly ci: number;
  readonly full: number;
}): readonly { readonly kills: number; readonly seed: number }[] {
  const total = countFor(counts);
  const parts = Math.ceil(total / 25);
  return Array.from({ length: parts }, (_, part) => ({ kills: Math.ceil((total - part) / parts), seed: part + 1 }));
}

/** Most places are reached: how many there are differs a little from time to time. */
function expectKilled(killed: number, kills: number): void {
  expect(killed).toBeGreaterThanOrEqual(Math.floor(kills * 0.8));
}

test.for(portions({ quick: 6, ci: 50, full: 90 }))('create: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const one = await install();
  const { manager, killer, call, root, keep } = one;
  const first = await manager.createBackup();
  writeFileSync(join(root, 'many/0/0'), 'changed since');
  const reset = keep();
  const before = statesIn(root);
  const total = await killer.count(call('createBackup'));
  let killed = 0;
  for (const at of placesIn(total, kills, seed)) {
    reset();
    if (await killer.killAt(call('createBackup'), at)) killed += 1;
    const when = `killed at ${at} of ${total}`;
    await expectOnlyWhole(one, when);
    expect(statesIn(root), when).toEqual(before);
    expect((await manager.status()).state, when).not.toBe('unfinished');
    const made = await manager.createBackup();
    await manager.verifyBackup(made.id);
    expect((await manager.previewRestore(made.id)).differences, when).toEqual([]);
    // One that was finished and not recorded is gone, half ones too.
    const expected = (await manager.listBackups()).flatMap(({ id }) => [`${id}.manifest.json`, `${id}.tar.zst`]);
    expect(namesIn(backupsIn(root)), when).toEqual(expected.toSorted());
    expect(expected, when).toContain(`${first.id}.tar.zst`);
  }
  expectKilled(killed, kills);
});

test.for(portions({ quick: 6, ci: 25, full: 50 }))('prune: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const one = await install();
  const { manager, killer, call, root, keep } = one;
  for (let turn = 0; turn < 4; turn += 1) {
    writeFileSync(join(root, 'many/0/0'), `turn ${turn}`);
    await manager.createBackup({ isFull: turn !== 1 });
  }
  const reset = keep();
  const without = await killer.count(call('createBackup', { isFull: true }));
  const config = readFileSync(join(root, 'upgrade.yaml'), 'utf8');
  const keepOne = (): void => writeFileSync(join(root, 'upgrade.yaml'), `${config}backup: { keep: 1 }\n`);
  reset();
  keepOne();
  const total = await killer.count(call('createBackup', { isFull: true }));
  expect(total).toBeGreaterThan(without + 10);
  const frugal = await UpdateManager.open({ config: join(root, 'upgrade.yaml') });
  let killed = 0;
  for (const place of placesIn(total - without + 2, kills, seed)) {
    reset();
    keepOne();
    const at = without - 2 + place;
    if (await killer.killAt(call('createBackup', { isFull: true }), at)) killed += 1;
    const when = `killed at ${at} of ${total}`;
    await expectOnlyWhole(one, when);
    expect((await manager.listBackups()).filter(({ verified }) => verified).length, when).toBeGreaterThan(0);
    const made = await frugal.createBackup();
    await expectOnlyWhole(one, when);
    // What the last one continues stays.
    const kept = [made.id, ...(made.needs ?? [])];
    expect((await manager.listBackups()).map(({ id }) => id).toSorted(), when).toEqual(kept.toSorted());
    expect(namesIn(backupsIn(root)), when).toEqual(kept.flatMap((id) => [`${id}.manifest.json`, `${id}.tar.zst`]).toSorted());
  }
  expectKilled(killed, kills);
});

test.for(portions({ quick: 4, ci: 20, full: 20 }))('verify: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const { manager, killer, call, root } = await install();
  const { id } = await manager.createBackup();
  const look = (): unknown => [
    [...statesIn(root)],
    namesIn(backupsIn(root)).map((name) => readFileSync(join(backupsIn(root), name), 'base64')),
  ];
  const before = look();
  const total = await killer.count(call('verifyBackup', id, { isDeep: true }));
  let killed = 0;
  for (const at of placesIn(total, kills, seed)) {
    if (await killer.killAt(call('verifyBackup', id, { isDeep: true }), at)) killed += 1;
    expect(look(), `killed at ${at} of ${total}`).toEqual(before);
    await manager.verifyBackup(id, { isDeep: true });
    expect(readdirSync(join(root, '.upgrade'))).not.toContain('restore-test');
  }
  expectKilled(killed, kills);
});

test.for(portions({ quick: 10, ci: 125, full: 250 }))('restore: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const one = await install();
  const { manager, killer, call, root, keep } = one;
  const [old, oldStates] = [exactly(root), statesIn(root)];
  const { id } = await manager.createBackup();
  wreck(one);
  const wrecked = statesIn(root);
  const reset = keep();
  const command = (place: number): Call => call('restoreBackup', id, { noSafetyCopy: place % 5 !== 0 });
  const total = await killer.count(command(1));
  let killed = 0;
  for (const [round, at] of placesIn(total, kills, seed).entries()) {
    reset();
    const restore = command(at);
    const wasKilled = await killer.killAt(restore, at);
    if (wasKilled) killed += 1;
    let when = `killed at ${at} of ${total}`;
    expectOldOrNew(root, wrecked, oldStates, when);
    let isUnfinished = (await manager.status()).state === 'unfinished';
    if (isUnfinished && round % 3 === 0) {
      // Nothing else begins before it is ended.
      const refused = await manager.run(await manager.plan());
      expect([refused.outcome, refused.failure?.code], when).toEqual(['refused', 'RESTORE_UNFINISHED']);
      const again = 1 + ((at * 7) % total);
      await killer.killAt(round % 2 === 0 ? call('resumeRestore') : restore, again);
      when += ` and then at ${again}`;
      expectOldOrNew(root, wrecked, oldStates, when);
      isUnfinished = (await manager.status()).state === 'unfinished';
    }
    if (isUnfinished && round % 2 === 0) expect(await manager.resumeRestore(), when).toMatchObject({ backup: id });
    else {
      // Either it has not begun, or it was over.
      if (!isUnfinished) expect([[...wrecked], [...oldStates]].map(sorted), when).toContainEqual(sorted([...statesIn(root)]));
      await manager.restoreBackup(id, { noSafetyCopy: true });
    }
    expect(exactly(root), when).toEqual(old);
    expect(rowsOf(root), when).toBe(oldStates.get('data/app.db'));
    expect((await manager.status()).state, when).not.toBe('unfinished');
    // Whatever was taken away is still to be had.
    const aside = readdirSync(join(root, '.upgrade/aside'), { recursive: true, encoding: 'utf8' });
    const kept = aside
      .filter((path) => /\/emptied(~\d+)?$/.test(path))
      .map((path) => readFileSync(join(root, '.upgrade/aside', path), 'utf8'));
    expect(kept, when).toContain('a file now');
    expect(
      aside.filter((path) => path.includes('.rungs-')),
      when,
    ).toEqual([]);
  }
  expectKilled(killed, kills);
});

const sorted = <T>(list: readonly T[]): readonly T[] => list.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));

/** A backup that continues another one, in one file. */
async function exported(): Promise<Installed & { readonly id: string; readonly file: string }> {
  const one = await install();
  await one.manager.createBackup();
  writeFileSync(join(one.root, 'many/0/0'), 'changed since');
  const { id } = await one.manager.createBackup();
  return { ...one, id, file: join(one.dir, 'exported') };
}

test.for(portions({ quick: 4, ci: 25, full: 40 }))('export: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const [here, there] = [await exported(), await install()];
  const { manager, killer, call, dir, id, file } = here;
  const total = await killer.count(call('exportBackup', id, file));
  let killed = 0;
  const takeIn = async (): Promise<void> => {
    const taken = await there.manager.importBackup(file);
    expect((await there.manager.previewRestore(taken.id)).differences.map(({ path }) => path)).toEqual(['many/0/0']);
    rmSync(join(there.root, '.upgrade'), { recursive: true });
  };
  for (const at of placesIn(total, kills, seed)) {
    rmSync(file, { force: true });
    if (await killer.killAt(call('exportBackup', id, file), at)) killed += 1;
    // Under its name it is whole.
    if (existsSync(file)) {
      await takeIn();
      // Killed right after that, its second name is still there: giving the command again clears it away.
      await expect(manager.exportBackup(id, file)).rejects.toMatchObject({ failures: [{ code: 'BACKUP_EXPORT_EXISTS' }] });
    } else {
      await manager.exportBackup(id, file);
      await takeIn();
    }
    expect(
      namesIn(dir).filter((name) => name.startsWith('exported')),
      `killed at ${at} of ${total}`,
    ).toEqual(['exported']);
  }
  expectKilled(killed, kills);
});

test.for(portions({ quick: 4, ci: 25, full: 50 }))('import: $kills kills ($seed)', { timeout: patience }, async ({ kills, seed }) => {
  const [here, there] = [await exported(), await install()];
  const { id, file } = here;
  await here.manager.exportBackup(id, file);
  const { manager, killer, call, root, keep } = there;
  const reset = keep();
  const total = await killer.count(call('importBackup', file));
  let killed = 0;
  for (const at of placesIn(total, kills, seed)) {
    reset();
    if (await killer.killAt(call('importBackup', file), at)) killed += 1;
    const when = `killed at ${at} of ${total}`;
    await expectOnlyWhole(there, when);
    const isIn = (backups: readonly BackupRecord[]): boolean => backups.some((backup) => backup.id === id && backup.verified);
    if (isIn(await manager.listBackups())) await expect(manager.importBackup(file)).rejects.toBeInstanceOf(UpgradeError);
    else await manager.importBackup(file);
    expect(isIn(await manager.listBackups()), when).toBe(true);
    await expectOnlyWhole(there, when);
    expect(namesIn(backupsIn(root)), when).toEqual([`${id}.manifest.json`, `${id}.tar.zst`]);
  }
  expectKilled(killed, kills);
});
