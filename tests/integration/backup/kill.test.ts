// kill -9 at any moment of a backup or a restore: what is there afterwards is whole, and the same command ends right.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { pathsOf, recordOf } from '../../../src/backup/create.ts';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import { dump, fingerprint, run, scratch, setTimes, sqlite, type Scratch } from './installation.ts';

const worker = join(import.meta.dirname, 'worker.ts');

function fill({ root, write }: Scratch): void {
  for (let index = 0; index < 150; index += 1) write(`many/${index % 10}/${index}`, `file ${index}`.repeat(index * 10));
  write('large', Buffer.alloc(6 << 20, 'some text that is compressed '));
  write('VERSION', '0.1.0');
  symlinkSync('VERSION', join(root, 'link'));
  linkSync(join(root, 'VERSION'), join(root, 'hard'));
  mkdirSync(join(root, 'empty'));
  sqlite(
    join(root, 'data/app.db'),
    'PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t SELECT hex(randomblob(200)) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n)',
  ).close();
}

function wreck({ root, write }: Scratch): void {
  for (let index = 0; index < 150; index += 3) write(`many/${index % 10}/${index}`, 'edited');
  rmSync(join(root, 'many/4'), { recursive: true });
  rmSync(join(root, 'many/5'), { recursive: true });
  write('many/5', 'a file now');
  writeFileSync(join(root, 'VERSION'), '0.2.0');
  write('large', 'small');
  rmSync(join(root, 'link'));
  mkdirSync(join(root, 'link'));
  rmSync(join(root, 'empty'), { recursive: true });
  chmodSync(join(root, 'hard'), 0o600);
  write('created/deep/file', 'new');
  sqlite(join(root, 'data/app.db'), "DELETE FROM t; INSERT INTO t VALUES ('new')").close();
}

/** Starts the worker and gives it so many milliseconds of work; says whether it was killed before it ended. */
async function killAfter(ms: number, dir: string, action: string): Promise<boolean> {
  const child: ChildProcess = spawn(process.execPath, [worker, dir, action], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  if (child.stdout !== null) await once(child.stdout, 'data');
  await Promise.race([sleep(ms), exit]);
  child.kill('SIGKILL');
  await exit;
  return child.signalCode === 'SIGKILL';
}

async function timeOf(dir: string, action: string): Promise<number> {
  const start = performance.now();
  await killAfter(60_000, dir, action);
  // Most of it is the starting of Node, so moments chosen within it are early, late, and too late.
  return performance.now() - start;
}

test('a backup that is killed at any moment leaves no half backup, and making it again succeeds', async () => {
  const one = scratch();
  fill(one);
  setTimes(one.root);
  const { config, dir, store, create } = one;
  const older = await create(store, 'B0');
  const whole = await timeOf(dir, 'create');
  rmSync(pathsOf(config.backup.dir, 'B1').archive);
  let killed = 0;
  for (let round = 0; round < 20; round += 1) {
    const ms = (whole * round) / 25;
    if (await killAfter(ms, dir, 'create')) killed += 1;
    // An archive under its final name is whole and has its manifest.
    const paths = pathsOf(config.backup.dir, 'B1');
    if (existsSync(paths.archive)) await store.verify(recordOf(await readManifest({ id: 'B1', manifest: paths.manifest }), paths));
    const backup = await create();
    await store.verify(backup);
    await store.verify(older);
    expect(readdirSync(config.backup.dir).toSorted(), `killed after ${ms} ms`).toEqual([
      'B0.manifest.json',
      'B0.tar.zst',
      'B1.manifest.json',
      'B1.tar.zst',
    ]);
    expect(run('tar', ['--zstd', '-tf', backup.path]).code).toBe(0);
    await store.remove(backup);
  }
  expect(killed).toBeGreaterThan(5);
});

test('a restore that is killed at any moment, several times over, ends in exactly the old state when it is repeated', async () => {
  const one = scratch();
  const { root, dir, create, store, aside } = one;
  fill(one);
  const rows = dump(join(root, 'data/app.db'));
  setTimes(root);
  const before = fingerprint(root);
  const backup = await create();
  const start = join(dir, 'start');
  wreck(one);
  run('cp', ['-a', root, start]);
  const reset = (): void => {
    rmSync(root, { recursive: true });
    run('cp', ['-a', start, root]);
  };
  const whole = await timeOf(dir, 'restore');
  expect(fingerprint(root)).toEqual(before);

  let killed = 0;
  for (let round = 0; round < 20; round += 1) {
    reset();
    const moments = [(whole * round) / 25, (whole * ((round * 7) % 20)) / 25];
    for (const ms of moments) {
      if (await killAfter(ms, dir, 'restore')) killed += 1;
      // No file is ever torn: each is the old one, the new one, or not yet there.
      const large = existsSync(join(root, 'large')) ? readFileSync(join(root, 'large')).length : 0;
      expect([0, 5, 6 << 20], `killed after ${ms} ms`).toContain(large);
      const created = (await store.compare(backup)).differences.filter(({ kind }) => kind === 'created').map(({ path }) => path);
      expect(
        created.every((path) => path === 'created'),
        `killed after ${moments.join(', ')} ms: ${created.join(', ')}`,
      ).toBe(true);
    }
    await store.restore(backup, { asideDir: aside });
    expect(fingerprint(root), `killed after ${moments.join(', ')} ms`).toEqual(before);
    expect(dump(join(root, 'data/app.db'))).toBe(rows);
    expect(run('find', [root, '-name', '.rungs-*']).output).toBe('');
    // Whatever was taken away is still to be had.
    const kept = run('grep', ['-rlE', '^(new|a file now|small)$', aside])
      .output.split('\n')
      .map((line) => line.replace(/~\d+$/, '').slice(aside.length + 1));
    expect(kept).toEqual(expect.arrayContaining(['created/deep/file', 'large', 'many/5']));
  }
  expect(killed).toBeGreaterThan(10);
});
