// A service that is controlled by commands of the installation: `restart`, `stop`, `start`, `health`, `status`, or some of them.
// What a daemon is comes from its `status` command or its PID file; what it says from the file that its commands write to.
import { join } from 'node:path';
import { fail, UpgradeError } from '../../model/failure.ts';
import type { ServiceState } from '../../model/ports.ts';
import { readEndOf } from '../../processes/output-file.ts';
import { runCommand } from '../../processes/run-command.ts';
import type { CommandResult } from '../../processes/run-command.ts';
import { lastLines } from '../../processes/tail.ts';
import { cancelled } from '../cancelled.ts';
import { processIdentity, readPidFile } from './process-identity.ts';
import type { ControllerContext, Health, ServiceController, ServiceOf } from '../registry.ts';

type Service = ServiceOf<'command'>;
type Action = 'restart' | 'stop' | 'start';

const lookMs = 10_000;

export function createCommandController(service: Service, { root, state, clock }: ControllerContext): ServiceController {
  const { name, commands, pidFile, timeoutMs } = service;
  const logFile = join(state, 'services', `${encodeURIComponent(name)}.log`);
  const isObservable = commands.status !== null || commands.health !== null || pidFile !== null;

  async function act(action: Action, signal?: AbortSignal): Promise<void> {
    const argv = commands[action];
    if (argv === null) throw fail('SERVICE_ACTION_MISSING', { service: name, action });
    const result = await runCommand({ argv, cwd: root, timeoutMs, signal, outputFile: logFile });
    if (result.end !== 'exited' || result.exitCode !== 0) throw actionError(service, action, argv, result, signal);
  }

  const look = (argv: readonly string[], limitMs: number, signal?: AbortSignal) =>
    runCommand({ argv, cwd: root, timeoutMs: Math.min(limitMs, lookMs), signal });

  async function inspect(signal?: AbortSignal): Promise<ServiceState> {
    if (commands.status !== null) {
      const result = await look(commands.status, timeoutMs, signal);
      if (result.exitCode !== 0) return { isRunning: false, identity: null };
      const said = result.stdout.trim();
      if (said !== '') return { isRunning: true, identity: said };
    }
    if (pidFile !== null) {
      const pid = await readPidFile(pidFile);
      const identity = pid === null ? null : await processIdentity(pid);
      return { isRunning: identity !== null, identity };
    }
    // What nothing can tell of is taken to run: the preflight has warned of it.
    if (commands.status !== null || commands.health === null) return { isRunning: true, identity: null };
    return { isRunning: (await look(commands.health, timeoutMs, signal)).exitCode === 0, identity: null };
  }

  /** A stop counts when the process is gone, not when its command returns. */
  async function stop(signal?: AbortSignal): Promise<void> {
    const deadline = clock.monotonic() + timeoutMs;
    await act('stop', signal);
    if (!isObservable) return;
    for (let pause = 20; (await inspect(signal)).isRunning; pause = Math.min(pause * 2, 500)) {
      if (signal?.aborted === true) throw new UpgradeError([cancelled(signal)]);
      if (clock.monotonic() >= deadline) throw fail('SERVICE_STILL_RUNNING', { service: name, timeoutMs });
      await clock.sleep(pause);
    }
  }

  const start = (signal?: AbortSignal) => act(commands.start === null && commands.restart !== null ? 'restart' : 'start', signal);

  async function restart(signal?: AbortSignal): Promise<void> {
    if (commands.restart !== null) return act('restart', signal);
    if (commands.stop === null || commands.start === null) throw fail('SERVICE_ACTION_MISSING', { service: name, action: 'restart' });
    // Many a stop command fails where nothing runs.
    if ((await inspect(signal)).isRunning) await stop(signal);
    return start(signal);
  }

  async function health(limitMs: number, signal?: AbortSignal): Promise<Health> {
    if (commands.health === null) return { state: 'unknown' };
    const { exitCode, account, lines } = await look(commands.health, limitMs, signal);
    if (exitCode === 0) return { state: 'healthy' };
    return { state: 'unhealthy', asked: commands.health.join(' '), account, log: lines };
  }

  const lastOutput = async () => lastLines(await readEndOf(logFile));

  return { inspect, restart, stop, start, health, lastOutput, isObservable };
}

function actionError(
  { name, timeoutMs }: Service,
  action: Action,
  argv: readonly string[],
  { end, account, lines }: CommandResult,
  signal?: AbortSignal,
) {
  const command = argv.join(' ');
  if (end === 'aborted') return new UpgradeError([cancelled(signal)]);
  if (end === 'timed-out') return fail('SERVICE_COMMAND_TIMEOUT', { service: name, action, command, timeoutMs }, { log: lines });
  return fail('SERVICE_COMMAND_FAILED', { service: name, action, command, account }, { log: lines });
}
