// A unit of systemd. Its identity is its invocation: systemd gives each start another one.
// Given a unit's name and scope; promises that what it did is what systemd says, not that a command returned 0.
import { fail } from '../../model/failure.ts';
import type { ServiceState } from '../../model/ports.ts';
import type { ControllerContext, EngineOrdering, Health, ServiceController, ServiceOf } from '../registry.ts';
import { keptOf, putBackUnit, readKept } from './kept.ts';
import { unitLog } from './log.ts';
import { showUnit, type ShownUnit } from './shown-unit.ts';
import { systemctl, type Answer } from './systemctl.ts';
import { fullUnitName } from './unit-name.ts';

type Service = ServiceOf<'systemd'>;
type Action = 'restart' | 'stop' | 'start';

export function createSystemdController(service: Service, { clock }: ControllerContext): ServiceController {
  const { scope, timeoutMs, name } = service;
  const unit = fullUnitName(service.unit);
  const show = (of = unit) => showUnit(of, scope, clock);
  const tell = (args: readonly string[], limitMs: number, signal?: AbortSignal) =>
    systemctl(args, { scope, clock, timeoutMs: limitMs, signal });

  async function inspect(): Promise<ServiceState> {
    const shown = await show();
    const kept = await keptOf(shown, scope, clock);
    if (isUp(shown)) return { isRunning: true, identity: shown.invocation, kept };
    return { isRunning: false, identity: null, kept, ...(isBetween(shown) ? {} : { ended: endOf(shown) }) };
  }

  async function act(action: Action, units: readonly string[], signal?: AbortSignal): Promise<void> {
    const before = await show();
    // A stop may take what the unit says that it may, and stopping is a part of restarting.
    const limitMs = timeoutMs + (action === 'start' ? 0 : (before.stopTimeoutMs ?? 0));
    const answer = await tell([action, '--', ...units], limitMs, signal);
    if (answer.end === 'exited' && answer.exitCode === 0) return;
    throw await actionError(action, answer, limitMs);
  }

  async function actionError(action: Action, answer: Answer, limitMs: number) {
    const shown = await show();
    const log = [...answer.lines, ...(await unitLog(unit, scope))];
    const details = { service: name, unit, action };
    if (answer.end === 'timed-out') return fail('SYSTEMD_TIMEOUT', { ...details, timeoutMs: limitMs, state: stateOf(shown) }, { log });
    if (shown.load === 'masked') return fail('SYSTEMD_UNIT_MASKED', { service: name, unit, scope }, { log });
    const account = shown.load === 'loaded' ? endOf(shown) : `is ${shown.load}${shown.loadError === '' ? '' : ` (${shown.loadError})`}`;
    return fail('SYSTEMD_ACTION_FAILED', { ...details, account, scope }, { log });
  }

  /** Starts that were counted before are not ours: the limit is for loops, and those are found by watching. What is not loaded has no count. */
  const forgetStarts = (signal?: AbortSignal) => tell(['reset-failed', '--', unit], timeoutMs, signal);

  async function start(signal?: AbortSignal, before?: ServiceState): Promise<void> {
    await forgetStarts(signal);
    // Sockets first: a service that they start must find them.
    await act('start', [...(readKept(before?.kept)?.triggers ?? []), unit], signal);
  }

  async function stop(signal?: AbortSignal): Promise<void> {
    // Whoever knocks at a socket would start the service again, and a timer need not even be asked.
    const { triggeredBy } = await show();
    await act('stop', [...(await activeOf(triggeredBy)), unit], signal);
    const shown = await show();
    if (isUp(shown)) throw fail('SERVICE_STILL_RUNNING', { service: name, timeoutMs }, { log: await unitLog(unit, scope) });
  }

  async function restart(signal?: AbortSignal): Promise<void> {
    await forgetStarts(signal);
    // systemd refuses to restart a socket under a service that runs on it.
    const running = unit.endsWith('.socket') ? await activeOf((await show()).triggers) : [];
    if (running.length > 0) await act('stop', running, signal);
    await act('restart', [unit], signal);
    if (running.length > 0) await act('start', running, signal);
  }

  async function activeOf(units: readonly string[]): Promise<readonly string[]> {
    const shown = await Promise.all(units.map((other) => show(other)));
    return shown.filter(isUp).map(({ id }) => id);
  }

  async function health(): Promise<Health> {
    const shown = await show();
    if (shown.active !== 'active') {
      const log = await unitLog(unit, scope);
      return { state: 'unhealthy', asked: `systemctl show ${unit}`, account: `says ${stateOf(shown)}`, log };
    }
    // Only such a unit says by itself that it is ready.
    return { state: shown.type.startsWith('notify') ? 'healthy' : 'unknown' };
  }

  async function ordering(): Promise<EngineOrdering> {
    const shown = await show();
    const named = (other: string) => `systemd:${scope}:${other}`;
    // What is required and explicitly comes later is not waited for.
    const required = shown.requires.filter((other) => !shown.before.includes(other) && !shown.after.includes(other));
    return {
      names: shown.names.map(named),
      after: [
        ...shown.after.map((other) => ({ name: named(other), source: `After=${other} of ${unit}` })),
        ...required.map((other) => ({ name: named(other), source: `Requires=${other} of ${unit}` })),
      ],
    };
  }

  return {
    isObservable: true,
    inspect,
    restart,
    stop,
    start,
    health,
    ordering,
    putBack: (before, signal) => putBackUnit(service, unit, before, { clock, signal }),
    lastOutput: () => unitLog(unit, scope),
  };
}

/** A unit that waits to be started again after a failure is down: what runs before an upgrade must run. */
function isUp({ active, sub }: ShownUnit): boolean {
  return active !== 'inactive' && active !== 'failed' && sub !== 'auto-restart';
}

/** systemd goes on with it by itself. */
function isBetween({ sub, hasJob }: ShownUnit): boolean {
  return sub === 'auto-restart' || hasJob;
}

function stateOf({ active, sub, restarts }: ShownUnit): string {
  return `${active} (${sub})${restarts === 0 ? '' : `, started again ${restarts} times`}`;
}

function endOf(shown: ShownUnit): string {
  const { active, result, exitStatus, restarts, load } = shown;
  if (load !== 'loaded') return `is ${load}`;
  if (active !== 'failed') return `is ${stateOf(shown)}`;
  const status = result === 'exit-code' ? ` ${exitStatus}` : '';
  return `failed (${result}${status})${restarts === 0 ? '' : ` after it was started again ${restarts} times`}`;
}
