// Two `upgrade` processes at once: always one works, and the other exits 75 and names it. A step that outlived its orchestrator keeps the lock.
// RUNGS_TEST_LEVEL=full races 200 times.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { level } from '../../support/level.ts';
import { makeTiny, processesIn, until, type Ended, type Tiny } from './installation.ts';

const rounds = level === 'full' ? 200 : 40;
const step = 'v1.0.0_to_v1.1.0/001_waits';

/** One step, which waits until it is told to go; no services. */
async function withWaiting(work: (tiny: Tiny, go: () => void) => Promise<void>): Promise<void> {
  const tiny = makeTiny();
  try {
    tiny.edit('upgrade.yaml', (yaml) => yaml.slice(0, yaml.indexOf('services:')));
    for (const folder of readdirSync(tiny.migrations)) rmSync(path.join(tiny.migrations, folder), { recursive: true });
    tiny.step(
      `${step}.sh`,
      '#!/bin/sh\n# rungs: { idempotent: true }\n[ "$1" = backward ] && exit 0\ntouch run/waits\nwhile [ ! -e run/go ]; do sleep 0.01; done\n',
    );
    mkdirSync(path.join(tiny.root, 'run'));
    await work(tiny, () => writeFileSync(path.join(tiny.root, 'run/go'), ''));
  } finally {
    await tiny.remove();
  }
}

interface Racer {
  readonly pid: number | undefined;
  readonly ended: Promise<Ended>;
}

function start(tiny: Tiny, args: readonly string[]): Racer {
  let pid: number | undefined;
  const ended = tiny.upgrade(args, { onSpawn: (child) => void (pid = child.pid) });
  return { pid, ended };
}

test(`of two processes started together, ${rounds} times, one works and the other names it`, { timeout: 600_000 }, async () => {
  let next = 0;
  const race = async (): Promise<void> => {
    for (let round = next++; round < rounds; round = next++) {
      await withWaiting(async (tiny, go) => {
        const racers = [start(tiny, ['--json', '--yes']), start(tiny, ['--json', '--yes'])];
        // Only one can end before the step may go on.
        const lost = await Promise.race(racers.map(async (racer) => ({ racer, ...(await racer.ended) })));
        const winner = racers.find((racer) => racer !== lost.racer);
        const story = `round ${round}: winner ${winner?.pid}\n${lost.code ?? lost.signal}\n${lost.stdout}\n${lost.stderr}`;
        expect(lost.code, story).toBe(75);
        const { failure } = JSON.parse(lost.stdout);
        expect(failure, story).toMatchObject({ code: 'LOCK_HELD' });
        expect(failure.message, story).toContain(`process ${winner?.pid} `);
        go();
        const won = await winner?.ended;
        expect(won?.code, `${story}\n${won?.stdout}\n${won?.stderr}`).toBe(0);
        expect((await tiny.look()).version).toBe('1.1.0');
      });
    }
  };
  await Promise.all([race(), race()]);
});

test('who comes later hears of the holder, its phase and since when; what only reads still answers', async () => {
  await withWaiting(async (tiny, go) => {
    const first = start(tiny, ['--json', '--yes']);
    await until('the step waits', () => existsSync(path.join(tiny.root, 'run/waits')));
    for (const args of [['--yes'], ['resume'], ['rollback'], ['backup', 'create']]) {
      const { code, stderr, stdout } = await tiny.upgrade(args);
      const said = (stderr + stdout).replace(/\s+/g, ' ');
      expect(code, `${args.join(' ')}: ${said}`).toBe(75);
      expect(said, args.join(' ')).toContain(`process ${first.pid} `);
      expect(said, args.join(' ')).toMatch(/in phase orchestration, since 20\d\d-/);
    }
    const status = JSON.parse((await tiny.upgrade(['status', '--json'])).stdout);
    expect(status).toMatchObject({ state: 'unfinished', lock: { pid: first.pid, phase: 'orchestration' } });
    for (const args of [['plan', '--json'], ['check'], ['history']]) expect((await tiny.upgrade(args)).code, args.join(' ')).toBe(0);
    go();
    expect((await first.ended).code).toBe(0);
  });
});

for (const [end, outcome, version] of [
  ['resume', 0, '1.1.0'],
  ['rollback', 10, '1.0.0'],
] as const) {
  test(`a step that outlived its orchestrator keeps the lock; when it has ended, ${end} works`, async () => {
    await withWaiting(async (tiny, go) => {
      let orchestrator: number | undefined;
      const killed = await tiny.upgrade(['--yes'], {
        onSpawn: (child) => {
          orchestrator = child.pid;
          void until('the step waits', () => existsSync(path.join(tiny.root, 'run/waits'))).then(() => child.kill('SIGKILL'));
        },
      });
      expect(killed.signal).toBe('SIGKILL');
      for (const args of [['--yes'], [end]]) {
        const { code, stdout, stderr } = await tiny.upgrade(args);
        const said = (stdout + stderr).replace(/\s+/g, ' ');
        expect(code, said).toBe(75);
        expect(said).toContain(step);
        expect(said).not.toContain(`process ${orchestrator} `);
      }
      go();
      await until('the step has ended', () => processesIn(tiny.dir).length === 0);
      const { code, stderr } = await tiny.upgrade([end]);
      expect(code, stderr).toBe(outcome);
      expect((await tiny.look()).version).toBe(version);
    });
  });
}
