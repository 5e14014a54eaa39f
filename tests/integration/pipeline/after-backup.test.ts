// What is done with a backup before the first step, and what its failure does to the upgrade.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeTiny, until, type State, type Tiny } from './installation.ts';

let tiny: Tiny;
let before: State;
beforeEach(async () => {
  tiny = makeTiny();
  await tiny.start();
});
afterEach(() => tiny.remove());

const given = (): string => path.join(tiny.dir, 'given');
async function configure(script: string, more = ''): Promise<void> {
  const command = JSON.stringify(['sh', '-c', script, 'sh', '{id}', '{archive}']);
  tiny.edit('upgrade.yaml', (text) =>
    text.replace('include: [config, data]', `include: [config, data]\n  afterBackup: { command: ${command}, ${more} timeout: 20s }`),
  );
  before = await tiny.look();
}

test('the command is given the verified backup before the first step; killed there, it is given it again', async () => {
  await configure(
    `echo "$1 $2 $UPGRADE_BACKUP_ID $UPGRADE_BACKUP_MANIFEST $(cat VERSION)" >> ${given()}; [ $(wc -l < ${given()}) -gt 1 ] || kill -9 $PPID`,
  );
  const killed = await tiny.upgrade(['--yes', '--json']);
  expect(killed.signal).toBe('SIGKILL');
  await until('the lock is free', async () => (await tiny.upgrade(['resume', '--json'])).code !== 75);
  const lines = readFileSync(given(), 'utf8').trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toBe(lines[1]);
  const [{ id, path: archive, manifest }] = JSON.parse((await tiny.upgrade(['backup', 'list', '--json'])).stdout);
  expect(lines[0]).toBe(`${id} ${archive} ${id} ${manifest} ${before.version}`);
  expect((await tiny.look()).version).toBe('2.0.0');
  // Done is done.
  expect((await tiny.upgrade(['status'])).code).toBe(0);
});

test('its failure is a warning, or the end of the upgrade before anything was changed', async () => {
  await configure('echo "no such bucket" >&2; exit 4', 'onFailure: fail,');
  const refused = await tiny.upgrade(['--yes', '--json']);
  expect(refused.code).toBe(3);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    outcome: 'refused',
    failure: { code: 'AFTER_BACKUP_FAILED', message: expect.stringMatching(/exited with 4.*no such bucket/) },
  });
  const now = await tiny.look();
  expect(now.tree).toEqual(before.tree);
  expect(now.answer).not.toBeNull();
  // The backup itself is good, and stays.
  expect((await tiny.upgrade(['backup', 'verify'])).code).toBe(0);
  expect((await tiny.upgrade(['backup', 'create'])).stderr).toContain('AFTER_BACKUP_FAILED');

  tiny.edit('upgrade.yaml', (text) => text.replace('onFailure: fail,', ''));
  const { code, stdout } = await tiny.upgrade(['--yes', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).warnings.join()).toContain('AFTER_BACKUP_FAILED');
});

test('a command that hangs is ended with all that it started', async () => {
  await configure(`sleep 600 & echo $! > ${given()}; wait`, 'onFailure: fail,');
  tiny.edit('upgrade.yaml', (text) => text.replace('timeout: 20s }', 'timeout: 1s }'));
  const { code, stdout } = await tiny.upgrade(['--yes', '--json']);
  expect(code).toBe(3);
  expect(JSON.parse(stdout).failure.message).toContain('did not end within 1 s');
  const pid = readFileSync(given(), 'utf8').trim();
  await until('it is gone', async () => !existsSync(`/proc/${pid}`) || /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
});

test('asked to stop while the command runs, the upgrade goes back', async () => {
  await configure(`echo x > ${given()}; sleep 600`);
  const { code } = await tiny.upgrade(['--yes', '--json'], {
    onSpawn: (child) => void until('the command runs', async () => existsSync(given())).then(() => child.kill('SIGTERM')),
  });
  expect(code).toBe(10);
  expect((await tiny.look()).tree).toEqual(before.tree);
  expect(await tiny.answer()).not.toBeNull();
});
