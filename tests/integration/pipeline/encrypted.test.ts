// Upgrades whose backups are encrypted to keys that are not on the host: they commit, roll back and are taken up after a kill like any other, and
// afterwards only whoever holds a key opens the backup, with our tools or with plain `age`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { fixtures, makeTiny, until, type State, type Tiny } from './installation.ts';

const test = testNeeding('age', 'ssh-keygen', 'tar', 'zstd');

let tiny: Tiny;
let before: State;
let keys: string;
let ageKey: string;
let sshKey: string;
async function setUp(): Promise<void> {
  tiny = makeTiny();
  keys = path.join(tiny.dir, 'elsewhere');
  mkdirSync(keys);
  [ageKey, sshKey] = [path.join(keys, 'age.txt'), path.join(keys, 'id_ed25519')];
  sh('age-keygen -o "$1"', ageKey);
  sh('ssh-keygen -q -t ed25519 -N "" -C ops -f "$1"', sshKey);
  const recipients = [sh('age-keygen -y "$1"', ageKey).trim(), readFileSync(`${sshKey}.pub`, 'utf8').trim()];
  tiny.edit('upgrade.yaml', (text) =>
    text.replace('include: [config, data]', `include: [config, data]\n  encrypt: { age: ${JSON.stringify(recipients)} }`),
  );
  await tiny.start();
  before = await tiny.look();
}

function sh(script: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout;
}

const backups = (): string => path.join(tiny.state, 'backups');
const ownKeys = (): readonly string[] => {
  try {
    return readdirSync(path.join(tiny.state, 'keys'));
  } catch {
    return [];
  }
};
async function json(...args: readonly string[]): Promise<Record<string, unknown> & readonly Record<string, unknown>[]> {
  return JSON.parse((await tiny.upgrade([...args, '--json'])).stdout);
}
async function newest(): Promise<{ id: string; path: string; manifest: string }> {
  const [{ id, path: archive, manifest } = {}] = await json('backup', 'list');
  return { id: String(id), path: String(archive), manifest: String(manifest) };
}

describe('a run that commits', () => {
  beforeAll(async () => {
    await setUp();
    const { code, stdout } = await tiny.upgrade(['--yes']);
    expect(stdout).toContain('Nobody has shown yet');
    expect(code).toBe(0);
  });
  afterAll(() => tiny.remove());

  test('leaves no key on the host, and nothing of what was saved in the clear', async () => {
    expect(ownKeys()).toEqual([]);
    const backup = await newest();
    expect(path.basename(backup.path)).toBe(`${backup.id}.tar.zst.age`);
    const clear = readFileSync(backup.manifest, 'utf8');
    for (const word of ['app.yaml', 'data', 'tiny', 'VERSION', tiny.root]) expect(clear).not.toContain(word);
    const names = readdirSync(backups());
    expect(names.toSorted()).toEqual([`${backup.id}.manifest.json`, `${backup.id}.manifest.json.age`, `${backup.id}.tar.zst.age`]);
    for (const name of names) {
      const bytes = readFileSync(path.join(backups(), name));
      expect(statSync(path.join(backups(), name)).mode & 0o777).toBe(0o600);
      for (const word of ['config/app.yaml', 'SQLite format 3', 'rungs-backup"']) expect(bytes.includes(word)).toBe(false);
    }
  });

  test('is opened by plain age and tar, with either key', async () => {
    const backup = await newest();
    for (const key of [ageKey, sshKey]) {
      const out = path.join(tiny.dir, path.basename(key) + '-out');
      mkdirSync(out);
      sh('age -d -i "$1" "$2" | tar --zstd -x -C "$3"', key, backup.path, out);
      expect(readFileSync(path.join(out, 'VERSION'), 'utf8').trim()).toBe('1.0.0');
      expect(JSON.parse(sh('age -d -i "$1" "$2"', key, `${backup.manifest}.age`))).toMatchObject({ format: 'rungs-backup', id: backup.id });
    }
  });

  test('a key that was proven is not asked for again', async () => {
    const unproven = async (): Promise<readonly string[]> => {
      const findings = (await json('doctor'))['findings'] as readonly { code: string; message: string }[];
      return findings.filter(({ code }) => code === 'BACKUP_KEY_UNPROVEN').map(({ message }) => message);
    };
    expect((await unproven())[0]).toMatch(/age1.*ssh-ed25519/);
    await tiny.upgrade(['backup', 'verify', '--identity', ageKey]);
    expect((await unproven())[0]).not.toMatch(/age1/);
    await tiny.upgrade(['backup', 'verify', '--identity', sshKey]);
    expect(await unproven()).toEqual([]);
  });

  test('is verified and restored with a key, and refused without one or with another', async () => {
    const { id } = await newest();
    const other = path.join(keys, 'other.txt');
    sh('age-keygen -o "$1"', other);
    for (const args of [
      ['verify', id],
      ['restore', id],
      ['restore', id, '--dry-run'],
      ['export', id, path.join(tiny.dir, 'out')],
    ]) {
      for (const flags of [[], ['--identity', other]]) {
        const { code, stderr } = await tiny.upgrade(['backup', ...args, ...flags]);
        expect(code, args.join(' ')).toBe(3);
        expect(stderr).toContain('BACKUP_ENCRYPTED');
        expect(stderr).toContain('age1');
        expect(stderr).toContain('ssh-ed25519');
      }
    }
    expect((await tiny.look()).version).not.toBe('1.0.0');
    expect((await tiny.upgrade(['backup', 'verify', '--identity', other, '--identity', sshKey])).code).toBe(0);
    await tiny.stop();
    expect((await tiny.upgrade(['backup', 'restore', id, '--identity', ageKey])).code).toBe(0);
    const after = await tiny.look();
    expect(after.rows).toEqual(before.rows);
    expect(after.tree).toEqual(before.tree);
  });

  test('its files can be checked without a key, and a byte that changed is found', async () => {
    const backup = await newest();
    expect((await tiny.upgrade(['backup', 'verify', '--sealed'])).code).toBe(0);
    const bytes = readFileSync(backup.path);
    bytes[bytes.length - 40] = (bytes.at(-40) ?? 0) ^ 1;
    writeFileSync(backup.path, bytes);
    expect((await tiny.upgrade(['backup', 'verify', '--sealed'])).stderr).toContain('BACKUP_CORRUPT');
    expect((await tiny.upgrade(['backup', 'verify', '--identity', ageKey])).stderr).toContain('BACKUP_CORRUPT');
  });
});

describe('a run that does not', () => {
  beforeEach(setUp);
  afterEach(() => tiny.remove());

  test('a run that fails rolls back from its own backup, without a key of ours', async () => {
    // Backward fails, so that the backup alone can put it right.
    tiny.step('v1.0.0_to_v1.1.0/009_break.sh', '#!/bin/sh\necho broken > config/app.yaml; rm -r data/files; exit 3\n');
    const { code, stdout } = await tiny.upgrade(['--json', '--yes']);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'rolled-back' });
    expect(code).toBe(10);
    expect((await tiny.look()).tree).toEqual(before.tree);
    expect(ownKeys()).toEqual([]);
  });

  describe('killed', () => {
    const moments = [
      'backup-verified#1',
      'step-started apply v1.0.0_to_v1.1.0/004_shared#1',
      'phase-started restart#1',
      'phase-started rollback#1',
    ];
    test.each(moments)('at "%s", a rollback needs no key of ours, and lets go of its own', async (moment) => {
      if (moment.includes('rollback')) tiny.step('v1.0.0_to_v1.1.0/009_break.sh', '#!/bin/sh\nrm -rf data/files; exit 3\n');
      const killer = path.join(fixtures, 'programs/kill-at.mjs');
      const killed = await tiny.node([killer, tiny.configFile, 'run', 'orchestrator', moment]);
      expect(killed.signal).toBe('SIGKILL');
      expect(ownKeys().every((name) => statSync(path.join(tiny.state, 'keys', name)).mode % 0o1000 === 0o600)).toBe(true);
      let code: number | null = 75;
      await until('the lock is free', async () => {
        ({ code } = await tiny.upgrade(['rollback', '--json']));
        return code !== 75;
      });
      expect(code).toBe(10);
      expect((await tiny.look()).tree).toEqual(before.tree);
      expect(ownKeys()).toEqual([]);
    });
  });

  test('a backup by hand keeps no key', async () => {
    const { code } = await tiny.upgrade(['backup', 'create']);
    expect(code).toBe(0);
    expect(ownKeys()).toEqual([]);
    expect((await tiny.upgrade(['backup', 'verify', '--identity', sshKey])).code).toBe(0);
  });
});
