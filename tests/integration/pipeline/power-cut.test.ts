// A power cut: the file system stops with all that was not synced lost, comes up again, and the installation is exactly the old or exactly the new.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { differencesBetween } from '../../../examples/demo/snapshot.ts';
import { testAsRoot, withSystemPrograms } from '../../support/needs.ts';
import { fixtures, makeTiny, processesIn, until, type State, type Tiny } from './installation.ts';

interface Disk {
  readonly tiny: Tiny;
  /** Without flushing the file system's journal: what only lay in memory is gone. */
  readonly cutPower: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

async function makeDisk(): Promise<Disk> {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-power-')));
  const [image, mounted] = [path.join(dir, 'image'), path.join(dir, 'disk')];
  mkdirSync(mounted);
  execFileSync('truncate', ['-s', '200M', image]);
  execFileSync('mkfs.ext4', ['-q', '-F', image], { env: { ...process.env, PATH: withSystemPrograms } });
  const mount = (): void => void execFileSync('mount', ['-o', 'loop', image, mounted]);
  const unmount = (): Promise<void> =>
    until('the disk is let go of', () => {
      for (const pid of processesIn(mounted)) spawnSync('kill', ['-9', String(pid)]);
      return spawnSync('umount', [mounted]).status === 0;
    });
  mount();
  mkdirSync(path.join(mounted, 'x'));
  const tiny = makeTiny({ dir: path.join(mounted, 'x') });
  await tiny.start();
  execFileSync('sync', ['-f', mounted]);
  const shutdown = `import fcntl, os, struct; fcntl.ioctl(os.open('${mounted}', os.O_RDONLY), 0x8004587d, struct.pack('I', 2))`;
  return {
    tiny,
    cutPower: async () => {
      execFileSync('python3', ['-c', shutdown]);
      await unmount();
      mount();
    },
    remove: async () => {
      await unmount();
      rmSync(dir, { recursive: true });
    },
  };
}

function expectSame(now: State, wanted: State): void {
  expect(differencesBetween(wanted.tree, now.tree)).toEqual([]);
  expect([now.version, now.rows]).toEqual([wanted.version, wanted.rows]);
}

const killer = path.join(fixtures, 'programs/kill-at.mjs');

testAsRoot('mount', 'mkfs.ext4', 'python3')(
  'what a run has committed, and what it calls applied, outlives a power cut: scripts too',
  async () => {
    const disk = await makeDisk();
    try {
      expect((await disk.tiny.upgrade(['--yes'])).code).toBe(0);
      const wanted = await disk.tiny.look();
      await disk.cutPower();
      expectSame(await disk.tiny.look(), wanted);
      expect(JSON.parse((await disk.tiny.upgrade(['status', '--json'])).stdout)).toMatchObject({ state: 'up-to-date', version: '2.0.0' });
    } finally {
      await disk.remove();
    }
    const other = await makeDisk();
    try {
      const { signal } = await other.tiny.node([killer, other.tiny.configFile, 'run', 'both', 'phase-started restart#1']);
      expect(signal).toBe('SIGKILL');
      await other.cutPower();
      expect((await other.tiny.upgrade(['resume'])).code).toBe(0);
      expect(await other.tiny.answer()).toContain('"release":2');
      expect((await other.tiny.look()).version).toBe('2.0.0');
      for (const file of ['data/released', 'data/shared/README'])
        expect(execFileSync('stat', ['-c', '%s', path.join(other.tiny.root, file)], { encoding: 'utf8' })).not.toBe('0\n');
    } finally {
      await other.remove();
    }
  },
  120_000,
);

testAsRoot('mount', 'mkfs.ext4', 'python3')(
  'an old state that a rollback has proven outlives a power cut',
  async () => {
    const disk = await makeDisk();
    try {
      disk.tiny.step('v1.1.0_to_v2.0.0/004_break.sh', '#!/bin/sh\nrm -r data/files config/app.env\nexit 3\n');
      const before = await disk.tiny.look();
      expect((await disk.tiny.upgrade(['--yes'])).code).toBe(10);
      await disk.cutPower();
      expectSame(await disk.tiny.look(), before);
    } finally {
      await disk.remove();
    }
  },
  120_000,
);
