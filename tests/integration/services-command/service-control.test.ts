// Services controlled by commands, against real daemons with PID files.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, readdir, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UpgradeError } from '../../../src/model/failure.ts';
import { ctl, isAlive, makeInstallation, type Installation } from './installation.ts';

let home: Installation;
beforeEach(async () => {
  home = await makeInstallation((text) => text.replaceAll('s3cret', '***'));
});
afterEach(async () => home.remove());

async function failureOf(work: Promise<unknown>) {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpgradeError)) throw new Error(`no failure, but ${String(error)}`);
  return error.failures[0];
}

describe('a service that does as it is told', () => {
  test('is a new process after a restart, and healthy', async () => {
    const service = home.service({}, { start: [ctl, 'start', 'slow'], restart: [ctl, 'restart', 'slow'] });
    await home.control.start(service);
    expect(await home.control.waitUntilWell(service, { before: null })).toMatchObject({ name: 'api', status: 'healthy' });
    const before = await home.control.inspect(service);
    expect(before).toMatchObject({ isRunning: true, identity: expect.stringMatching(/^\d+:\d+$/) });

    await home.control.restart(service);
    const report = await home.control.waitUntilWell(service, { before });
    const after = await home.control.inspect(service);
    expect(report).toMatchObject({ status: 'healthy' });
    expect(report.failure).toBeUndefined();
    expect(after.identity).not.toBe(before.identity);
  });

  test('is stopped when its process is gone, and started again', async () => {
    const service = home.service();
    await home.control.start(service);
    const pid = await home.pid();
    await home.control.stop(service);
    expect(await isAlive(pid)).toBe(false);
    expect(await home.control.inspect(service)).toEqual({ isRunning: false, identity: null });
  });

  test('without a restart command is stopped and started, also where it does not run', async () => {
    const service = home.service({}, { restart: null });
    await home.control.restart(service);
    const first = await home.control.inspect(service);
    await home.control.restart(service);
    const second = await home.control.inspect(service);
    expect([first.isRunning, second.isRunning, first.identity === second.identity]).toEqual([true, true, false]);
  });

  test('with a status command is what that prints', async () => {
    const service = home.service({ pidFile: null }, { status: [ctl, 'status'] });
    expect(await home.control.inspect(service)).toEqual({ isRunning: false, identity: null });
    await home.control.start(service);
    expect(await home.control.inspect(service)).toEqual({ isRunning: true, identity: `instance-${await home.pid()}` });
  });

  test('without health commands is running once it is stable', async () => {
    const service = home.service({}, { health: null });
    await home.control.start(service);
    expect(await home.control.waitUntilWell(service, { before: null })).toMatchObject({ status: 'running' });
  });

  test('with health alone runs while it is healthy', async () => {
    const service = home.service({ pidFile: null });
    expect((await home.control.inspect(service)).isRunning).toBe(false);
    await home.control.start(service);
    expect(await home.control.waitUntilWell(service, { before: null })).toMatchObject({ status: 'healthy' });
    expect(await home.control.inspect(service)).toEqual({ isRunning: true, identity: null });
  });

  test('keeps what the daemon prints, for its owner only', async () => {
    const service = home.service();
    await home.control.start(service);
    await home.control.waitUntilWell(service, { before: null });
    expect(await home.log()).toBe('daemon good begins\n');
    const state = join(home.root, '.upgrade');
    expect([(await stat(state)).mode & 0o777, (await stat(join(state, 'services/api.log'))).mode & 0o777]).toEqual([0o700, 0o600]);
  });

  test('is asked how it is without anything being written', async () => {
    await home.control.inspect(home.service({ pidFile: null }));
    expect(await readdir(home.root)).toEqual([]);
  });
});

describe('a daemon belongs to nobody once it is started', () => {
  test.runIf(process.platform === 'linux')('it inherits no descriptor and no pipe of ours', async () => {
    const mine = await open(join(home.root, 'lock'), 'w');
    try {
      await home.control.start(home.service());
      const pid = await home.pid();
      const links = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`)));
      expect(links.filter((link) => /lock$|^pipe:|^socket:/.test(link))).toEqual([]);
    } finally {
      await mine.close();
    }
  });

  test('it outlives an orchestrator whose whole process group is killed', async () => {
    const program = fileURLToPath(new URL('../../fixtures/services/start-and-leave.ts', import.meta.url));
    const orchestrator = spawn(process.execPath, [program, home.root], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(orchestrator.stdout, 'data');
    const pid = await home.pid();
    process.kill(-(orchestrator.pid ?? 0), 'SIGKILL');
    await once(orchestrator, 'exit');
    await sleep(150);
    expect(await isAlive(pid)).toBe(true);
  });
});

describe('a service that is not well', () => {
  const commands = (kind: string) => ({ start: [ctl, 'start', kind], restart: [ctl, 'restart', kind] });
  test.each([
    {
      kind: 'unwell',
      timeoutMs: 600,
      stableForMs: 100,
      status: 'unhealthy',
      code: 'SERVICE_UNHEALTHY',
      log: 'no such table: users',
      why: 'never becomes healthy',
    },
    {
      kind: 'mortal',
      timeoutMs: 20_000,
      stableForMs: 1_500,
      status: 'stopped',
      code: 'SERVICE_DIED',
      log: 'out of memory',
      why: 'dies half a second after it was well',
    },
    {
      kind: 'flapping',
      timeoutMs: 20_000,
      stableForMs: 1_500,
      status: 'unhealthy',
      code: 'SERVICE_UNSTABLE',
      log: 'daemon flapping begins',
      why: 'is started again and again',
    },
    {
      kind: 'none',
      timeoutMs: 500,
      stableForMs: 100,
      status: 'stopped',
      code: 'SERVICE_NOT_RUNNING',
      log: 'daemon none begins',
      why: 'ends at once',
    },
  ])('$why: $code', async ({ kind, timeoutMs, stableForMs, status, code, log }) => {
    const service = home.service({ timeoutMs, stableForMs }, commands(kind));
    await home.control.start(service);
    const supervisor = kind === 'flapping' ? await home.pid() : null;
    const started = performance.now();
    const report = await home.control.waitUntilWell(service, { before: null });
    if (supervisor !== null) process.kill(supervisor, 'SIGKILL');
    expect(report).toMatchObject({ status, failure: { code, log: expect.arrayContaining([log]), hint: expect.stringContaining('api') } });
    // Dead and in a loop are told as soon as they are known, not at the deadline.
    expect(performance.now() - started).toBeLessThan(8_000);
  });

  test('the same process after a restart command that returned 0 is not restarted', async () => {
    const service = home.service({ timeoutMs: 400 }, { restart: [ctl, 'lazy'] });
    await home.control.start(service);
    const before = await home.control.inspect(service);
    await home.control.restart(service);
    const report = await home.control.waitUntilWell(service, { before });
    expect(report).toMatchObject({
      status: 'not-restarted',
      failure: { code: 'SERVICE_NOT_RESTARTED', message: expect.stringContaining(before.identity ?? '?') },
    });
  });

  test('a stop command that returned 0 without stopping is told', async () => {
    const service = home.service({ timeoutMs: 400 }, { stop: [ctl, 'deaf'] });
    await home.control.start(service);
    expect(await failureOf(home.control.stop(service))).toMatchObject({ code: 'SERVICE_STILL_RUNNING' });
  });

  test('a failing command says what it printed, without secrets', async () => {
    process.env.SECRET_TOKEN = 's3cret';
    const problem = await failureOf(home.control.restart(home.service({}, { restart: [ctl, 'fails'] }))).finally(
      () => delete process.env.SECRET_TOKEN,
    );
    expect(problem).toMatchObject({
      code: 'SERVICE_COMMAND_FAILED',
      message: expect.stringContaining('exited with 3'),
      log: ['token is ***', 'cannot bind port 80'],
    });
  });

  test('a command that is not there', async () => {
    const problem = await failureOf(home.control.restart(home.service({}, { restart: ['bin/none'] })));
    expect(problem).toMatchObject({ code: 'SERVICE_COMMAND_FAILED', message: expect.stringContaining('no such file') });
  });

  test('a command that is missing from the config', async () => {
    expect(await failureOf(home.control.stop(home.service({}, { stop: null })))).toMatchObject({ code: 'SERVICE_ACTION_MISSING' });
  });

  test('a command that hangs and ignores SIGTERM is killed with all that it started', async () => {
    const problem = await failureOf(home.control.restart(home.service({ timeoutMs: 300 }, { restart: [ctl, 'hangs'] })));
    expect(problem).toMatchObject({ code: 'SERVICE_COMMAND_TIMEOUT', log: ['waiting'] });
    const sleeper = Number(await readFile(join(home.root, 'sleeper.pid'), 'utf8'));
    await sleep(100);
    expect(await isAlive(sleeper)).toBe(false);
  });

  test('a command that floods its output takes neither memory nor disk, and succeeds', async () => {
    const service = home.service({ timeoutMs: 30_000 }, { restart: [ctl, 'floods'] });
    const memory = process.memoryUsage().rss;
    await home.control.restart(service);
    expect(await home.control.waitUntilWell(service, { before: null })).toMatchObject({ status: 'healthy' });
    expect((await stat(join(home.root, '.upgrade/services/api.log'))).size).toBeLessThan(25_000_000);
    expect(process.memoryUsage().rss - memory).toBeLessThan(100_000_000);
  });

  test('a PID file that names no process, or nothing, is a service that does not run', async () => {
    for (const text of ['999999999\n', '', 'soon']) {
      await writeFile(join(home.root, 'daemon.pid'), text);
      expect(await home.control.inspect(home.service())).toEqual({ isRunning: false, identity: null });
    }
    await writeFile(join(home.root, 'daemon.pid'), '999999999\n');
  });
});

describe('a wait that is cancelled', () => {
  test('ends at once with the reason', async () => {
    const service = home.service({ timeoutMs: 60_000 }, { start: [ctl, 'start', 'unwell'] });
    await home.control.start(service);
    const started = performance.now();
    const report = await home.control.waitUntilWell(service, { before: null, signal: AbortSignal.timeout(200) });
    expect(report).toMatchObject({ status: 'unhealthy', failure: { code: 'CANCELLED' } });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('kills the command that runs', async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort('SIGINT'), 200);
    const problem = await failureOf(home.control.restart(home.service({}, { restart: [ctl, 'hangs'] }), abort.signal));
    expect(problem).toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('SIGINT') });
    expect(await isAlive(Number(await readFile(join(home.root, 'sleeper.pid'), 'utf8')))).toBe(false);
  });

  test('does not begin what was cancelled before', async () => {
    expect(await failureOf(home.control.start(home.service(), AbortSignal.abort('SIGTERM')))).toMatchObject({ code: 'CANCELLED' });
    await expect(home.pid()).rejects.toThrow();
  });
});
