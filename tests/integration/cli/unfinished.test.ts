// While a run is at work, and after it was stopped at once: what every command says then, and how it is finished or undone.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { environment, executable, makeSmall, type Small } from './installation.ts';

// Waits until the test lets it go; a stubborn one does not hear that it is to end.
const waitingStep = (isStubborn: boolean) => `#!/bin/sh
# rungs: { idempotent: true }
${isStubborn ? "trap '' TERM INT" : ''}
case "$1" in
  forward) touch ../begun; while [ ! -e ../go ]; do sleep 0.02; done; echo waited > data/waited ;;
  backward) rm -f data/waited ;;
esac
`;

interface Working extends Small {
  /** Sends a signal to the orchestrator alone. */
  readonly signal: (name: NodeJS.Signals) => void;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  readonly letGo: () => void;
}

/** In the middle of its step. */
async function startRun({ isStubborn = false }: { readonly isStubborn?: boolean } = {}): Promise<Working> {
  const small = makeSmall({ files: { 'migrations/v2.0.0_to_v2.1.0/001_waits.sh': { text: waitingStep(isStubborn), mode: 0o755 } } });
  const child = spawn(process.execPath, [executable], {
    cwd: small.root,
    env: environment(),
    stdio: 'ignore',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((settle) => child.once('exit', settle));
  const deadline = performance.now() + 30_000;
  while (!existsSync(path.join(small.dir, 'begun'))) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error('the step did not begin');
    await sleep(10);
  }
  return { ...small, signal: (name) => void child.kill(name), ended, letGo: () => writeFileSync(path.join(small.dir, 'go'), '') };
}

async function stoppedAtOnce(): Promise<Working> {
  // The first signal is still being waited for when the second comes.
  const run = await startRun({ isStubborn: true });
  run.signal('SIGINT');
  await sleep(300);
  run.signal('SIGINT');
  expect(await run.ended).toBe(130);
  // What the orchestrator left behind ends by itself; the next run may not begin before.
  run.letGo();
  const deadline = performance.now() + 20_000;
  while (JSON.parse((await run.upgrade(['status', '--json'])).stdout).lock !== null) {
    if (performance.now() > deadline) throw new Error('the lock is still held');
    await sleep(50);
  }
  rmSync(path.join(run.dir, 'begun'));
  return run;
}

test('while a run is at work every other one exits with 75 and names it', async () => {
  const run = await startRun();
  const { lock, state, run: open } = JSON.parse((await run.upgrade(['status', '--json'])).stdout);
  expect(lock).toEqual({
    host: expect.any(String),
    pid: expect.any(Number),
    since: expect.stringMatching(/^\d{4}-/),
    phase: 'orchestration',
  });
  expect([state, open.outcome]).toEqual(['unfinished', null]);
  for (const args of [['--json'], ['resume', '--json'], ['rollback', '--json']]) {
    const { code, stdout, stderr } = await run.upgrade(args);
    expect([code, JSON.parse(stdout)], args.join(' ')).toMatchObject([
      75,
      { outcome: 'refused', failure: { code: 'LOCK_HELD', message: expect.stringContaining(`process ${lock.pid}`) } },
    ]);
    expect(stderr).toContain('LOCK_HELD');
  }
  for (const args of [
    ['backup', 'create', '--json'],
    ['doctor', '--json'],
    ['--dry-run', '--json'],
  ])
    expect((await run.upgrade(args)).code, args.join(' ')).toBe(75);
  expect((await run.upgrade(['plan'])).code).toBe(0);
  run.letGo();
  expect(await run.ended).toBe(0);
  expect(JSON.parse((await run.upgrade(['status', '--json'])).stdout)).toMatchObject({ lock: null, version: '2.1.0', state: 'up-to-date' });
});

test('one SIGINT goes back to the old state: 10', async () => {
  const run = await startRun();
  run.signal('SIGINT');
  expect(await run.ended).toBe(10);
  expect(readFileSync(path.join(run.root, 'VERSION'), 'utf8')).toBe('1.0.0\n');
  expect(JSON.parse((await run.upgrade(['history', '--json'])).stdout)).toMatchObject([
    { outcome: 'rolled-back', failure: { code: expect.stringMatching(/CANCELLED/) } },
  ]);
});

test('after a second SIGINT the run is unfinished: everything says so, a dry run tells what would be done, and resume finishes it', async () => {
  const run = await stoppedAtOnce();
  const { run: open, state } = JSON.parse((await run.upgrade(['status', '--json'])).stdout);
  expect([state, open.outcome, open.from, open.to]).toEqual(['unfinished', null, '1.0.0', '2.1.0']);
  const refused = await run.upgrade(['--json']);
  expect(refused.code).toBe(3);
  expect(JSON.parse(refused.stdout)).toMatchObject({ outcome: 'refused', failure: { code: 'RUN_UNFINISHED' }, next: 'upgrade resume' });
  const doctor = await run.upgrade(['doctor', '--json']);
  expect([doctor.code, JSON.parse(doctor.stdout).findings[0].code]).toEqual([3, 'RUN_UNFINISHED']);
  const followed = await run.upgrade(['follow', '--json']);
  expect([followed.code, JSON.parse(followed.stdout)]).toMatchObject([3, { failure: { code: 'RUN_UNFINISHED' } }]);
  const adopting = await run.upgrade(['resume', '--plan-hash', 'sha256:0', '--json']);
  expect([adopting.code, JSON.parse(adopting.stdout)]).toMatchObject([3, { outcome: 'refused', failure: { code: 'PLAN_CHANGED' } }]);

  const dry = await run.upgrade(['resume', '--dry-run', '--json']);
  expect(dry.code).toBe(0);
  expect(JSON.parse(dry.stdout)).toMatchObject({
    runId: open.id,
    from: '1.0.0',
    to: '2.1.0',
    would: open.course === 'backwards' ? 'roll back' : 'finish',
  });
  expect(JSON.parse((await run.upgrade(['rollback', '--dry-run', '--json'])).stdout)).toMatchObject({ would: 'roll back' });
  expect(JSON.parse((await run.upgrade(['status', '--json'])).stdout).run).toEqual(open);

  const resumed = await run.upgrade(['resume', '--json']);
  const result = JSON.parse(resumed.stdout);
  expect([resumed.code, result.outcome, result.runId]).toEqual(
    open.course === 'backwards' ? [10, 'rolled-back', open.id] : [0, 'committed', open.id],
  );
  expect(readFileSync(path.join(run.root, 'VERSION'), 'utf8')).toBe(`${result.version}\n`);
});

test.each([['rollback'], ['resume', '--only-backward']])('an unfinished run is undone: %s %s', async (...args) => {
  const run = await stoppedAtOnce();
  const { code, stdout } = await run.upgrade([...args, '--json']);
  expect([code, JSON.parse(stdout)]).toMatchObject([10, { outcome: 'rolled-back', version: '1.0.0' }]);
  expect(existsSync(path.join(run.root, 'data/waited'))).toBe(false);
});
