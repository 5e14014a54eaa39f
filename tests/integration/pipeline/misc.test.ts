// What a run says and refuses: flags that contradict, documents, events, runs in a process of their own, file systems that are read-only or full, and
// evidence that is damaged or gone.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { differencesBetween } from '../../../examples/demo/snapshot.ts';
import { resultDocument } from '../../../schemas/result-document.ts';
import { statusDocument } from '../../../schemas/status-document.ts';
import { testAsRoot } from '../../support/needs.ts';
import { fixtures, makeTiny, until, type Ended, type State, type Tiny } from './installation.ts';

const killer = path.join(fixtures, 'programs/kill-at.mjs');
const last = 'v1.1.0_to_v2.0.0';

describe.concurrent('refused, with nothing changed', () => {
  test.each([
    { args: ['--from', '1.1.0'], code: 'FROM_MISMATCH', exit: 3 },
    { args: ['--plan-hash', 'sha256:0000'], code: 'PLAN_CHANGED', exit: 3 },
    { args: ['--to', '0.5.0'], code: 'DOWNGRADE_REFUSED', exit: 3 },
    { args: ['--to', 'next'], code: 'INVALID_VERSION', exit: 2 },
  ])('$args', async ({ args, code, exit }) => {
    await withTiny(async (tiny, before) => {
      const ended = await tiny.upgrade([...args, '--yes', '--json']);
      expect(ended.code, ended.stdout).toBe(exit);
      expect(JSON.parse(ended.stdout).failure.code).toBe(code);
      await expectState(tiny, before);
      expect(existsSync(tiny.state)).toBe(false);
    });
  });

  test('with the hash of its plan it runs', async () => {
    await withTiny(async (tiny) => {
      const { hash } = JSON.parse((await tiny.upgrade(['plan', '--json'])).stdout);
      expect((await tiny.upgrade(['--plan-hash', hash, '--yes'])).code).toBe(0);
    });
  });
});

describe.concurrent('documents', () => {
  test('a run prints one result document of the published shape, whether it ends well or not, and the status fits its own', async () => {
    await withTiny(async (tiny) => {
      tiny.step(`${last}/050_fails.sh`, '#!/bin/sh\nexit 1\n');
      const failed = resultDocument.parse(JSON.parse((await tiny.upgrade(['--yes', '--json'])).stdout));
      statusDocument.parse(JSON.parse((await tiny.upgrade(['status', '--json'])).stdout));
      rmSync(path.join(tiny.migrations, last, '050_fails.sh'));
      const done = resultDocument.parse(JSON.parse((await tiny.upgrade(['--yes', '--json'])).stdout));
      statusDocument.parse(JSON.parse((await tiny.upgrade(['status', '--json'])).stdout));
      const nothing = resultDocument.parse(JSON.parse((await tiny.upgrade(['--yes', '--json'])).stdout));
      expect([failed.outcome, done.outcome, nothing.outcome]).toEqual(['rolled-back', 'committed', 'nothing-to-do']);
      expect(Object.keys(failed).toSorted()).toEqual(Object.keys(done).toSorted());
      expect(Object.keys(nothing).toSorted()).toEqual(Object.keys(done).toSorted());
      expect(failed.failure).toMatchObject({ phase: 'orchestration', step: `${last}/050_fails`, code: 'STEP_FAILED' });
    });
  });

  test('--events prints events in order, one a line, and the result last', async () => {
    await withTiny(async (tiny) => {
      const { code, stdout } = await tiny.upgrade(['--yes', '--events']);
      expect(code).toBe(0);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const result = resultDocument.parse(lines.at(-1));
      expect(result.outcome).toBe('committed');
      const numbers = lines.slice(0, -1).map(({ seq }) => seq);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(lines.at(-2)).toMatchObject({ type: 'run-finished', outcome: 'committed' });
      expect(new Set(lines.slice(0, -1).map(({ runId }) => runId))).toEqual(new Set([result.runId]));
    });
  });
});

test('--detach prints the id of the run and leaves; follow hears it to its end', async () => {
  await withTiny(async (tiny) => {
    tiny.step(`${last}/050_slow.sh`, '#!/bin/sh\nsleep 0.5\n');
    const { code, stdout, stderr } = await tiny.upgrade(['--yes', '--detach', '--json']);
    expect(code, stderr).toBe(0);
    const { runId } = JSON.parse(stdout);
    const followed = await tiny.upgrade(['follow', runId, '--events']);
    expect(followed.code, followed.stderr).toBe(0);
    const lines = followed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ type: 'phase-started', runId });
    expect(lines.at(-1)).toMatchObject({ outcome: 'committed', runId });
    await until('the run’s process is gone', async () => (await tiny.upgrade(['status', '--json'])).stdout.includes('"lock": null'));
    expect((await tiny.look()).version).toBe('2.0.0');
    // A run of the past is told again.
    expect((await tiny.upgrade(['follow', '--json'])).code).toBe(0);
  });
});

test('a step in doubt: --only-forward is refused and leaves the run as it is', async () => {
  await withTiny(async (tiny, before) => {
    await killedAt(tiny, `step-output ${last}/003_release#1`);
    const half = await tiny.look();
    const forward = await whenFree(() => tiny.upgrade(['resume', '--only-forward', '--json']));
    expect(forward.code, forward.stderr + forward.stdout).toBe(3);
    expect(JSON.parse(forward.stdout).failure).toMatchObject({ code: 'ROLLBACK_NEEDED', step: `${last}/003_release` });
    expect((await tiny.look()).rows).toBe(half.rows);
    expect((await tiny.upgrade(['--yes'])).code).toBe(3);
    const status = JSON.parse((await tiny.upgrade(['status', '--json'])).stdout);
    expect(status).toMatchObject({ state: 'unfinished' });
    expect((await tiny.upgrade(['resume', '--only-backward'])).code).toBe(10);
    await expectState(tiny, before);
  });
});

test('a run that rolls back cannot go forward again', async () => {
  await withTiny(async (tiny, before) => {
    tiny.step(`${last}/050_fails.sh`, '#!/bin/sh\nexit 1\n');
    await killedAt(tiny, `step-started revert ${last}/002_schema#1`);
    const { code, stdout } = await whenFree(() => tiny.upgrade(['resume', '--only-forward', '--json']));
    expect(code, stdout).toBe(3);
    expect(JSON.parse(stdout).failure.code).toBe('RUN_ROLLING_BACK');
    expect((await tiny.upgrade(['resume'])).code).toBe(10);
    await expectState(tiny, before);
  });
});

describe('evidence that is damaged or gone', () => {
  test('a corrupt journal is an error for every command, and is kept as it is', async () => {
    await withTiny(async (tiny) => {
      expect((await tiny.upgrade(['--yes', '--to', '1.1.0'])).code).toBe(0);
      const file = path.join(tiny.state, 'journal.db');
      writeFileSync(file, Buffer.alloc(40_000, 'not a database '));
      const before = everyFile(tiny.state);
      for (const args of [['--yes'], ['status'], ['resume'], ['rollback'], ['history'], ['plan']]) {
        const { code, stdout, stderr } = await tiny.upgrade([...args, '--json']);
        expect([1, 3], `${args.join(' ')}: ${stdout}${stderr}`).toContain(code);
        expect(stdout + stderr, args.join(' ')).toContain('JOURNAL_CORRUPT');
      }
      expect(everyFile(tiny.state)).toEqual(before);
      expect((await tiny.look()).version).toBe('1.1.0');
    });
  });

  test('a journal that is gone beside the traces of runs is an error, not a new beginning', async () => {
    await withTiny(async (tiny) => {
      expect((await tiny.upgrade(['--yes', '--to', '1.1.0'])).code).toBe(0);
      for (const name of readdirSync(tiny.state)) if (name.startsWith('journal.db')) rmSync(path.join(tiny.state, name));
      const { code, stdout } = await tiny.upgrade(['--yes', '--json']);
      expect(code, stdout).toBe(3);
      expect(JSON.parse(stdout).failure.code).toBe('JOURNAL_MISSING');
      expect(existsSync(path.join(tiny.state, 'journal.db'))).toBe(false);
    });
  });

  test('a backup that is damaged before the rollback strands the run, deletes nothing, and once it is mended the rollback ends', async () => {
    await withTiny(async (tiny, before) => {
      // Something that only the backup can put back.
      tiny.step(`${last}/050_harm.sh`, '#!/bin/sh\nrm -rf config/app.env data/files\necho done\nsleep 0.05\nexit 0\n');
      const ended = await tiny.node([killer, tiny.configFile, 'run', 'both', `step-started apply ${last}/050_harm#1`]);
      expect(ended.signal).toBe('SIGKILL');
      rmSync(path.join(tiny.root, 'config/app.env'));
      const backups = path.join(tiny.state, 'backups');
      const archive = path.join(backups, readdirSync(backups).find((name) => name.endsWith('.tar.zst')) ?? '');
      cpSync(archive, `${archive}.copy`);
      const bytes = readFileSync(archive);
      bytes.fill(0x55, Math.floor(bytes.length / 3), Math.floor(bytes.length / 3) + 64);
      writeFileSync(archive, bytes);
      const kept = everyFile(backups);

      const stranded = await whenFree(() => tiny.upgrade(['rollback', '--json']));
      expect(stranded.code, stranded.stdout + stranded.stderr).toBe(12);
      const result = resultDocument.parse(JSON.parse(stranded.stdout));
      expect(result).toMatchObject({ outcome: 'stranded', next: 'upgrade rollback', failure: { code: 'BACKUP_CORRUPT' } });
      expect(everyFile(backups)).toEqual(kept);
      expect(JSON.parse((await tiny.upgrade(['status', '--json'])).stdout)).toMatchObject({ state: 'error' });
      for (const args of [['--yes'], ['resume']]) {
        const refused = await tiny.upgrade([...args, '--json']);
        expect(refused.code, args.join(' ')).toBe(3);
        expect(refused.stdout).toContain('RUN_STRANDED');
      }

      renameSync(`${archive}.copy`, archive);
      const mended = await tiny.upgrade(['rollback']);
      expect(mended.code, mended.stdout + mended.stderr).toBe(10);
      await expectState(tiny, before);
      rmSync(path.join(tiny.migrations, last, '050_harm.sh'));
      expect((await tiny.upgrade(['--yes'])).code).toBe(0);
    });
  });

  test('a plan that was lost is told, and the run stays as it is', async () => {
    await withTiny(async (tiny) => {
      await killedAt(tiny, `step-finished apply ${last}/001_batches#1`);
      const runs = path.join(tiny.state, 'runs');
      const plan = path.join(runs, readdirSync(runs)[0] ?? '', 'plan.json');
      truncateSync(plan, 100);
      const { stdout, code } = await whenFree(() => tiny.upgrade(['resume', '--json']));
      expect(code).not.toBe(0);
      expect(JSON.parse(stdout).failure.code).toBe('PLAN_LOST');
    });
  });
});

const testOnDisk = canMount() ? testAsRoot('mount') : testWithout('this machine does not let root mount');

describe('file systems that refuse', () => {
  testOnDisk('a read-only one is refused before the first change', async () => {
    await withDisk('16m', async (tiny, disk) => {
      // A disk on which something is open for writing cannot be made read-only.
      await tiny.stop();
      const before = await tiny.look();
      mount('-o', 'remount,ro', disk);
      const { code, stdout } = await tiny.upgrade(['--yes', '--json']);
      expect(code, stdout).toBe(3);
      expect(JSON.parse(stdout).failures.map(({ code: each }: { code: string }) => each)).toContain('STATE_NOT_WRITABLE');
      mount('-o', 'remount,rw', disk);
      await expectState(tiny, before);
      expect(existsSync(tiny.state)).toBe(false);
    });
  });

  testOnDisk('one that is full before the run is refused by the preflight', async () => {
    await withDisk('16m', async (tiny) => {
      const before = await tiny.look();
      const { code, stdout } = await tiny.upgrade(['--yes', '--json']);
      expect(code, stdout).toBe(3);
      expect(JSON.parse(stdout).failure.code).toBe('DISK_TOO_SMALL');
      await expectState(tiny, before);
      expect(existsSync(tiny.state)).toBe(false);
    });
  });

  testOnDisk('one that fills up in the backup is refused, and nothing of it is left', async () => {
    await withDisk('128m', async (tiny, disk) => {
      const { randomBytes } = await import('node:crypto');
      writeFileSync(path.join(tiny.root, 'data/big'), randomBytes(32 * 1024 * 1024));
      const before = await tiny.look();
      const ended = await tiny.upgrade(['--yes', '--events'], {
        onSpawn: (child) =>
          child.stdout?.on('data', (text: string) => {
            if (!text.includes('"phase":"preflight","status":"done"') || existsSync(path.join(disk, 'ballast'))) return;
            // Filling takes as long as the backup would.
            child.kill('SIGSTOP');
            fill(disk, 8 * 1024 * 1024);
            child.kill('SIGCONT');
          }),
      });
      rmSync(path.join(disk, 'ballast'), { force: true });
      expect(ended.code, ended.stdout + ended.stderr).toBe(3);
      expect(JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
        outcome: 'refused',
        failure: { code: 'BACKUP_NO_SPACE' },
      });
      await expectState(tiny, before);
      expect(readdirSync(path.join(tiny.state, 'backups'))).toEqual([]);
      expect((await tiny.upgrade(['--yes'])).code).toBe(0);
    });
  });

  testOnDisk('one that is filled up by a step is rolled back', async () => {
    await withDisk('64m', async (tiny, disk) => {
      const before = await tiny.look();
      tiny.step(
        `${last}/050_fills.sh`,
        `#!/bin/sh\nrm -rf data/inbox data/shared && echo half > config/app.yaml\nhead -c 200000000 /dev/zero > data/full\n`,
      );
      const { code, stdout, stderr } = await tiny.upgrade(['--yes', '--json']);
      expect(code, stdout + stderr).toBe(10);
      await expectState(tiny, before);
      rmSync(path.join(tiny.migrations, last, '050_fills.sh'));
      expect(existsSync(path.join(disk, 'root/data/full'))).toBe(false);
    });
  });
});

async function withTiny(work: (tiny: Tiny, before: State) => Promise<void>): Promise<void> {
  const tiny = makeTiny();
  try {
    await tiny.start();
    await work(tiny, await tiny.look());
  } finally {
    await tiny.remove();
  }
}

async function withDisk(size: string, work: (tiny: Tiny, disk: string) => Promise<void>): Promise<void> {
  const disk = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-disk-')));
  mount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk);
  try {
    const dir = path.join(disk, 'tiny');
    mkdirSync(dir);
    const tiny = makeTiny({ dir });
    await tiny.start();
    try {
      await work(tiny, disk);
    } finally {
      spawnSync('mount', ['-o', 'remount,rw', disk]);
      await tiny.remove();
    }
  } finally {
    spawnSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  }
}

/** Leaves so many bytes free. */
function fill(disk: string, leave: number): void {
  const free = Number(/(\d+)\s*$/.exec(spawnSync('df', ['--output=avail', '-B1', disk], { encoding: 'utf8' }).stdout)?.[1]);
  try {
    writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(Math.max(0, free - leave), 1));
  } catch (error) {
    // Somebody else wrote meanwhile: it is full all the same.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}

function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

function testWithout(reason: string): typeof test.skip {
  if (process.env.CI === 'true') throw new Error(`CI must run everything: ${reason}`);
  process.stderr.write(`skipped: ${reason}\n`);
  return test.skip;
}

/** Who is not root is told so by `testAsRoot`. */
function canMount(): boolean {
  if (process.getuid?.() !== 0) return true;
  const disk = mkdtempSync(path.join(os.tmpdir(), 'rungs-disk-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
  if (isMounted) spawnSync('umount', ['-l', disk]);
  rmSync(disk, { recursive: true, force: true });
  return isMounted;
}

async function killedAt(tiny: Tiny, key: string): Promise<void> {
  const { signal, stdout, stderr } = await tiny.node([killer, tiny.configFile, 'run', 'orchestrator', key]);
  expect(signal, stdout + stderr).toBe('SIGKILL');
}

async function whenFree(work: () => Promise<Ended>): Promise<Ended> {
  let ended: Ended | null = null;
  await until('the lock is free', async () => {
    ended = await work();
    return ended.code !== 75;
  });
  if (ended === null) throw new Error('it never ended');
  return ended;
}

function everyFile(dir: string): Readonly<Record<string, string>> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map((entry) => [path.join(entry.parentPath, entry.name), readFileSync(path.join(entry.parentPath, entry.name), 'latin1')]),
  );
}

async function expectState(tiny: Tiny, wanted: State): Promise<void> {
  const now = await tiny.look();
  expect(now.version).toBe(wanted.version);
  expect(differencesBetween(wanted.tree, now.tree)).toEqual([]);
  expect(now.rows).toBe(wanted.rows);
  expect(now.answer).toBe(wanted.answer);
}
