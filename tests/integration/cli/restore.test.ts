// `upgrade backup restore`: looked at first, the present state kept, services stopped, refused for want of room, finished after kill -9.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { countFor } from '../../support/level.ts';
import { testAsRoot, testNeeding } from '../../support/needs.ts';
import { fingerprint, run, setTimes } from '../backup/installation.ts';
import { environment, executable, makeSmall, type Small } from './installation.ts';

const made = async ({ upgrade }: Small): Promise<string> => JSON.parse((await upgrade(['backup', 'create', '--json'])).stdout).id;

function wreck({ root }: Small): void {
  writeFileSync(path.join(root, 'config/app.yaml'), 'name: changed\n');
  writeFileSync(path.join(root, 'config/new.yaml'), 'created since\n');
  rmSync(path.join(root, 'data/deep'), { recursive: true });
  writeFileSync(path.join(root, 'data/deep'), 'a file now');
  run('sqlite3', [path.join(root, 'data/app.db'), "DELETE FROM users WHERE name = 'Ada'"]);
}

const users = ({ root }: Small): string => run('sqlite3', [path.join(root, 'data/app.db'), 'SELECT group_concat(name) FROM users']).output;

/** Everything but what Rungs keeps, the database, and the root's own time. */
const look = ({ root }: Small): readonly string[] => fingerprint(root).filter((line) => !line.startsWith(' d '));

test('the state before is backed up first, and restoring that leads back', async () => {
  const small = makeSmall();
  const id = await made(small);
  wreck(small);
  const wrecked = look(small);
  const first = await small.upgrade(['backup', 'restore', id]);
  expect(first.code).toBe(0);
  const copy = /backed up as (\S+)\./.exec(first.stderr)?.[1] ?? '';
  expect(users(small)).toBe('Ada,Bo\n');
  expect((await small.upgrade(['backup', 'restore', copy, '--json', '--no-safety-copy'])).code).toBe(0);
  expect(look(small).map((line) => line.split(' ')[0])).toEqual(wrecked.map((line) => line.split(' ')[0]));
  expect(readFileSync(path.join(small.root, 'config/app.yaml'), 'utf8')).toBe('name: changed\n');
  expect(users(small)).toBe('Bo\n');
  const backups = JSON.parse((await small.upgrade(['backup', 'list', '--json'])).stdout);
  expect(backups).toHaveLength(2);
});

test('a present state that cannot be backed up is told, nothing is changed, and --no-safety-copy goes on', async () => {
  const small = makeSmall();
  const id = await made(small);
  writeFileSync(path.join(small.root, 'data/app.db'), 'SQLite format 3\0 and then noise'.repeat(100));
  const before = snapshot(path.join(small.root, 'data'));
  const refused = await small.upgrade(['backup', 'restore', id, '--json']);
  expect([refused.code, JSON.parse(refused.stdout).failure.code]).toEqual([3, 'RESTORE_NO_SAFETY_COPY']);
  expect(snapshot(path.join(small.root, 'data'))).toEqual(before);
  expect((await small.upgrade(['status', '--json'])).stdout).not.toContain('RESTORE_UNFINISHED');
  expect((await small.upgrade(['backup', 'restore', id, '--no-safety-copy'])).code).toBe(0);
  expect(users(small)).toBe('Ada,Bo\n');
});

test('--to writes all of it, or some, into a folder of its own, and touches nothing else', async () => {
  const small = makeSmall();
  const id = await made(small);
  wreck(small);
  const before = snapshot(small.root);
  const all = path.join(small.dir, 'all');
  const written = await small.upgrade(['backup', 'restore', id, '--to', '../all', '--json']);
  expect([written.code, JSON.parse(written.stdout).removed]).toEqual([0, []]);
  expect(readFileSync(path.join(all, 'data/deep/file.txt'), 'utf8')).toBe('kept\n');
  expect(run('sqlite3', [path.join(all, 'data/app.db'), 'SELECT group_concat(name) FROM users']).output).toBe('Ada,Bo\n');
  const some = path.join(small.dir, 'some');
  expect((await small.upgrade(['backup', 'restore', id, 'config', 'database:app', '--to', some])).code).toBe(0);
  expect(run('find', [some, '-type', 'f', '-printf', '%P %m\n']).output.split('\n').toSorted()).toEqual([
    '',
    'config/app.yaml 640',
    'data/app.db 644',
  ]);
  expect(snapshot(small.root)).toEqual(before);
  for (const dir of ['../all', 'config', '.upgrade/look', 'VERSION']) {
    const refused = await small.upgrade(['backup', 'restore', id, '--to', dir, '--json']);
    expect([refused.code, JSON.parse(refused.stdout).failure.code], dir).toEqual([3, 'RESTORE_TARGET']);
  }
  expect(snapshot(small.root)).toEqual(before);
});

test('a service with stopDuringUpgrade is down while it is restored, and runs again afterwards', async () => {
  const service = `#!/bin/sh\ncd "$(dirname "$0")/.." || exit 1\ncase $1 in\nstart) sleep 300 < /dev/null > /dev/null 2>&1 & echo $! > service.pid ;;\nstop) kill "$(cat service.pid)"; cat config/app.yaml > seen-at-stop ;;\nesac\n`;
  const small = makeSmall({
    config:
      'services: { api: { command: { start: [bin/api, start], stop: [bin/api, stop] }, pidFile: service.pid, stableFor: 50ms, stopDuringUpgrade: true } }\n',
    files: { 'inst/bin/api': { text: service, mode: 0o755 } },
  });
  const api = path.join(small.root, 'bin/api');
  run(api, ['start']);
  onTestFinished(() => void run(api, ['stop']));
  const pid = (): string => readFileSync(path.join(small.root, 'service.pid'), 'utf8').trim();
  const id = await made(small);
  wreck(small);
  const before = pid();
  expect((await small.upgrade(['backup', 'restore', id, '--json'])).code).toBe(0);
  expect(readFileSync(path.join(small.root, 'seen-at-stop'), 'utf8')).toBe('name: changed\n');
  expect(pid()).not.toBe(before);
  expect(existsSync(`/proc/${pid()}`)).toBe(true);
});

testAsRoot('mount')('too little room is told before anything is done', async () => {
  const small = makeSmall();
  const disk = path.join(small.root, 'data/disk');
  mkdirSync(disk);
  expect(run('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).code).toBe(0);
  onTestFinished(() => void run('umount', ['-l', disk]));
  writeFileSync(path.join(disk, 'large'), Buffer.alloc(4 << 20, 'old'));
  const id = await made(small);
  writeFileSync(path.join(disk, 'large'), Buffer.alloc(4 << 20, 'new'));
  const before = snapshot(path.join(small.root, 'data'));
  const refused = await small.upgrade(['backup', 'restore', id, '--json']);
  expect([refused.code, JSON.parse(refused.stdout).failure]).toEqual([
    3,
    expect.objectContaining({ code: 'RESTORE_NO_SPACE', message: expect.stringContaining('data/disk') }),
  ]);
  expect(snapshot(path.join(small.root, 'data'))).toEqual(before);
  // Less is enough for less.
  expect((await small.upgrade(['backup', 'restore', id, 'config'])).code).toBe(0);
});

testAsRoot('mount')('a disk that becomes full while it is staged leaves everything as it was, and says what to free', async () => {
  const small = makeSmall();
  const disk = path.join(small.root, 'data/disk');
  mkdirSync(disk);
  // Room for bytes enough, and for 40 files: those that are there, and not as many beside them.
  expect(run('mount', ['-t', 'tmpfs', '-o', 'size=6m,nr_inodes=40', 'tmpfs', disk]).code).toBe(0);
  onTestFinished(() => void run('umount', ['-l', disk]));
  for (let index = 0; index < 25; index += 1) writeFileSync(path.join(disk, String(index)), `old ${index}`);
  const id = await made(small);
  for (let index = 0; index < 25; index += 1) writeFileSync(path.join(disk, String(index)), `new ${index}`);
  const before = snapshot(path.join(small.root, 'data'));
  const refused = await small.upgrade(['backup', 'restore', id, '--no-safety-copy', '--json']);
  expect([refused.code, JSON.parse(refused.stdout).failure]).toEqual([
    3,
    expect.objectContaining({
      code: 'RESTORE_DISK_FULL',
      message: expect.stringMatching(/Nothing was changed.*data\/disk\/.*ENOSPC/),
      hint: expect.stringContaining('df -i'),
    }),
  ]);
  // But for the time of the folder's inode, which tells that something was staged in it.
  const withoutChangeTimes = (lines: readonly string[]): readonly string[] => lines.filter((line) => !line.startsWith('disk '));
  expect(withoutChangeTimes(snapshot(path.join(small.root, 'data')))).toEqual(withoutChangeTimes(before));
  expect(JSON.parse((await small.upgrade(['status', '--json'])).stdout).state).not.toBe('unfinished');
  // Less is enough for less.
  expect((await small.upgrade(['backup', 'restore', id, 'data/disk/0', 'data/disk/1', '--no-safety-copy'])).code).toBe(0);
  expect(readFileSync(path.join(disk, '1'), 'utf8')).toBe('old 1');
});

/** Kills the command when the condition holds; says whether it was still at work. */
async function killWhen(small: Small, args: readonly string[], holds: () => boolean): Promise<boolean> {
  const child = spawn(process.execPath, [executable, ...args], { cwd: small.root, env: environment(), stdio: 'ignore' });
  const exit = once(child, 'exit');
  const ended = exit.then(() => true);
  const tick = () => new Promise((resolve) => setImmediate(resolve, false));
  for (let isOver: unknown = false; isOver !== true && !holds(); isOver = await Promise.race([ended, tick()]));
  child.kill('SIGKILL');
  await exit;
  return child.signalCode === 'SIGKILL';
}

const asides = ({ root }: Small): readonly string[] => {
  const folder = path.join(root, '.upgrade/aside');
  return existsSync(folder) ? readdirSync(folder).map((name) => path.join(folder, name)) : [];
};
const hasIntents = (small: Small): boolean => asides(small).some((folder) => existsSync(path.join(folder, '.rungs-swaps.ndjson')));

const moments: readonly { readonly what: string; readonly holds: (small: Small) => boolean }[] = [
  { what: 'when the intents are on disk', holds: hasIntents },
  {
    what: 'when the first file is staged',
    holds: ({ root }) => readdirSync(path.join(root, 'many')).some((name) => name.startsWith('.rungs-restore-')),
  },
  { what: 'when something is aside', holds: (small) => asides(small).some((folder) => existsSync(path.join(folder, 'many'))) },
  { what: 'when the first file is swapped', holds: ({ root }) => readFileSync(path.join(root, 'many/0'), 'utf8') === 'old 0' },
  { what: 'when the last file is swapped', holds: ({ root }) => readFileSync(path.join(root, 'many/99'), 'utf8') === 'old 99' },
  { what: 'when what was created since is gone', holds: ({ root }) => !existsSync(path.join(root, 'many/created')) },
];
// Of the real executable; `backup/kill.test.ts` has the many.
const rounds = Array.from({ length: countFor({ quick: 1, ci: 2 }) }, (_, round) => round);

test.each(moments.flatMap((moment) => rounds.map((round) => ({ ...moment, round }))))(
  'killed $what ($round), each file is the old or the new one, and resume or repeating ends it',
  async ({ what, holds, round }) => {
    const small = makeSmall({
      files: Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`inst/many/${index}`, `old ${index}`])),
    });
    const config = path.join(small.root, 'upgrade.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('include: [VERSION,', 'include: [VERSION, many,'));
    setTimes(small.root);
    const before = look(small);
    const id = await made(small);
    for (let index = 0; index < 100; index += 1) writeFileSync(path.join(small.root, `many/${index}`), `new ${index}`);
    writeFileSync(path.join(small.root, 'many/created'), 'since');
    wreck(small);
    const wasKilled = await killWhen(small, ['backup', 'restore', id, '--no-safety-copy', '--json'], () => holds(small));
    for (let index = 0; index < 100; index += 1)
      expect([`old ${index}`, `new ${index}`]).toContain(readFileSync(path.join(small.root, `many/${index}`), 'utf8'));
    expect(['Ada,Bo\n', 'Bo\n']).toContain(users(small));
    const status = JSON.parse((await small.upgrade(['status', '--json'])).stdout);
    if (status.state === 'unfinished') {
      const refused = await small.upgrade(['--yes', '--json']);
      expect([refused.code, JSON.parse(refused.stdout).failure.code]).toEqual([3, 'RESTORE_UNFINISHED']);
    } else expect(wasKilled && what.includes('swapped'), 'swapped, and not known to be unfinished').toBe(false);
    const end =
      status.state === 'unfinished' && round % 2 === 0 ? ['resume', '--json'] : ['backup', 'restore', id, '--no-safety-copy', '--json'];
    expect((await small.upgrade(end)).code).toBe(0);
    expect(look(small)).toEqual(before);
    expect(users(small)).toBe('Ada,Bo\n');
    expect(run('find', [small.root, '-name', '.rungs-*']).output).toBe('');
    expect(JSON.parse((await small.upgrade(['status', '--json'])).stdout).state).not.toBe('unfinished');
  },
);

testNeeding('age')('one of an encrypted backup that was killed is finished by resume, which is given the key', async () => {
  const small = makeSmall({ files: Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`inst/many/${index}`, `old ${index}`])) });
  const key = path.join(small.dir, 'key.txt');
  run('age-keygen', ['-o', key]);
  const recipient = run('age-keygen', ['-y', key]).output.trim();
  const config = path.join(small.root, 'upgrade.yaml');
  const plain = readFileSync(config, 'utf8');
  writeFileSync(config, plain.replace('include: [VERSION,', `encrypt: { age: [${recipient}] }, include: [VERSION, many,`));
  const id = await made(small);
  for (let index = 0; index < 100; index += 1) writeFileSync(path.join(small.root, `many/${index}`), `new ${index}`);
  const args = ['backup', 'restore', id, '--no-safety-copy', '--identity', key, '--json'];
  const isSwapped = (): boolean => readFileSync(path.join(small.root, 'many/0'), 'utf8') === 'old 0';
  expect(await killWhen(small, args, isSwapped)).toBe(true);
  const refused = await small.upgrade(['resume', '--json']);
  expect([refused.code, JSON.parse(refused.stdout).failure.code]).toEqual([3, 'BACKUP_ENCRYPTED']);
  expect(JSON.parse((await small.upgrade(['status', '--json'])).stdout).state).toBe('unfinished');
  expect((await small.upgrade(['resume', '--identity', '../key.txt', '--json'])).code).toBe(0);
  for (let index = 0; index < 100; index += 1) expect(readFileSync(path.join(small.root, `many/${index}`), 'utf8')).toBe(`old ${index}`);
  expect(JSON.parse((await small.upgrade(['status', '--json'])).stdout).state).not.toBe('unfinished');
});
