// Watches one service until it is a new process, healthy, and stays so for `stableFor`; or says why it is not.
// Given what it was before; promises to end by the service's timeout (and `stableFor` after it, where it came up late), and never throws for a service that is not well.
import type { ServiceConfig } from '../model/config.ts';
import { failure, failuresOf } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { Clock, ServiceState, WellReport } from '../model/ports.ts';
import type { ServiceReport } from '../model/run.ts';
import { cancelled } from './cancelled.ts';
import type { Health, ServiceController } from './registry.ts';

interface Watch {
  readonly before: ServiceState | null;
  readonly signal?: AbortSignal | undefined;
  readonly clock: Clock;
}

/** What one look at the service shows. */
type Sight =
  | { readonly state: 'well'; readonly identity: string | null; readonly hasHealth: boolean }
  | { readonly state: 'gone'; readonly ended: string | null }
  | { readonly state: 'same'; readonly identity: string }
  | { readonly state: 'unhealthy'; readonly identity: string | null; readonly health: Extract<Health, { state: 'unhealthy' }> };

/** Since when it is well, and as which process. */
interface Spell {
  readonly since: number;
  readonly identity: string | null;
}

const shortestPauseMs = 50;
/** Also where an engine tells of its events: they may get lost. Short enough to see a service within a quarter of a second of becoming healthy. */
const longestPauseMs = 200;
/** A service that came up and went down this often is in a loop, and waiting longer does not help it. */
const mostSpells = 4;
/** How long a service that had been well may be gone before it counts as dead: somebody may be starting it again. */
const shortestMourningMs = 1_000;

export async function waitUntilWell(
  controller: ServiceController,
  service: ServiceConfig,
  { before, signal, clock }: Watch,
): Promise<WellReport> {
  const started = clock.monotonic();
  const deadline = started + service.timeoutMs;
  const report = async (status: ServiceReport['status'], problem?: Failure, log?: readonly string[]): Promise<ServiceReport> => ({
    name: service.name,
    status,
    durationMs: Math.round(clock.monotonic() - started),
    ...(problem === undefined ? {} : { failure: await withOutput(problem, log, controller) }),
  });

  const bell = listen(controller, signal);
  try {
    return await watch();
  } finally {
    bell.silence();
  }

  async function watch(): Promise<WellReport> {
    let spell: Spell | null = null;
    let spells = 0;
    let lastSpell: { readonly lastedMs: number; readonly endedAt: number } | null = null;
    let pause = shortestPauseMs;
    for (;;) {
      if (signal?.aborted === true) return report('unhealthy', cancelled(signal));
      // What happens from here on may not be in what is seen.
      const change = bell.next();
      const sight = await lookAt(controller, before, Math.max(deadline - clock.monotonic(), shortestPauseMs * 10), signal).catch(
        (error: unknown) => failuresOf(error),
      );
      const now = clock.monotonic();
      if ('length' in sight) return report('unhealthy', sight[0]);

      if (sight.state !== 'well' || spell?.identity !== sight.identity) {
        if (spell !== null) lastSpell = { lastedMs: now - spell.since, endedAt: now };
        spell = sight.state === 'well' ? { since: now, identity: sight.identity } : null;
        if (spell !== null) spells += 1;
      }
      if (sight.state === 'well' && spell !== null && now - spell.since >= service.stableForMs)
        return {
          ...(await report(sight.hasHealth ? 'healthy' : 'running')),
          ...(sight.identity === null ? {} : { identity: sight.identity }),
        };

      const isDead =
        sight.state === 'gone' && lastSpell !== null && now - lastSpell.endedAt >= Math.max(service.stableForMs, shortestMourningMs);
      const hasEnded = sight.state === 'gone' && sight.ended !== null;
      if (isDead || hasEnded || spells >= mostSpells || (spell === null && now >= deadline)) {
        const { status, problem, log } = account(service, sight, spells, lastSpell?.lastedMs ?? null);
        return report(status, problem, log);
      }
      // A service that is well is watched closely: a short death between two looks shows as another identity only where it has one.
      pause = spell === null ? Math.min(pause * 1.5, longestPauseMs) : Math.min(250, Math.max(shortestPauseMs, service.stableForMs / 10));
      await pauseUnless(change, pause);
    }
  }

  async function pauseUnless(change: Promise<void>, pauseMs: number): Promise<void> {
    const over = new AbortController();
    const until = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    await Promise.race([change, clock.sleep(pauseMs, until).catch(() => undefined)]);
    over.abort();
  }
}

/** Rings when the engine tells that something happened to the service. Never fails: without it the service is looked at now and then. */
function listen(
  { watch }: ServiceController,
  signal: AbortSignal | undefined,
): { readonly next: () => Promise<void>; readonly silence: () => void } {
  const over = new AbortController();
  let waiting = Promise.withResolvers<void>();
  const ring = (): void => {
    waiting.resolve();
    waiting = Promise.withResolvers<void>();
  };
  const until = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  void watch?.(ring, until).catch(() => undefined);
  return { next: () => waiting.promise, silence: () => over.abort() };
}

async function lookAt(controller: ServiceController, before: ServiceState | null, limitMs: number, signal?: AbortSignal): Promise<Sight> {
  const { isRunning, identity, ended = null } = await controller.inspect(signal);
  if (!isRunning) return { state: 'gone', ended };
  if (identity !== null && identity === before?.identity) return { state: 'same', identity };
  const health = await controller.health(limitMs, signal);
  return health.state === 'unhealthy'
    ? { state: 'unhealthy', identity, health }
    : { state: 'well', identity, hasHealth: health.state === 'healthy' };
}

function account(
  service: ServiceConfig,
  sight: Sight,
  spells: number,
  lastedMs: number | null,
): { status: ServiceReport['status']; problem: Failure; log?: readonly string[] } {
  const { name, timeoutMs, stableForMs } = service;
  const wasWell = lastedMs !== null;
  // What the engine says of its end says more than how often it was seen.
  if (sight.state === 'gone' && sight.ended !== null)
    return { status: 'stopped', problem: failure('SERVICE_ENDED', { service: name, account: sight.ended }) };
  if (spells > 1 && wasWell)
    return { status: 'unhealthy', problem: failure('SERVICE_UNSTABLE', { service: name, times: spells, stableForMs }) };
  switch (sight.state) {
    case 'same':
      return { status: 'not-restarted', problem: failure('SERVICE_NOT_RESTARTED', { service: name, identity: sight.identity }) };
    case 'unhealthy':
      return {
        status: 'unhealthy',
        problem: failure('SERVICE_UNHEALTHY', { service: name, timeoutMs, command: sight.health.asked, account: sight.health.account }),
        log: sight.health.log,
      };
    default:
      if (wasWell) return { status: 'stopped', problem: failure('SERVICE_DIED', { service: name, afterMs: lastedMs }) };
      return { status: 'stopped', problem: failure('SERVICE_NOT_RUNNING', { service: name, timeoutMs }) };
  }
}

/** What the service wrote, and then what the look at its health printed: the last lines are the ones that matter. */
async function withOutput(problem: Failure, log: readonly string[] = [], controller: ServiceController): Promise<Failure> {
  if (problem.log !== undefined) return problem;
  const lines = [...(await controller.lastOutput()), ...log];
  return lines.length === 0 ? problem : { ...problem, log: lines };
}
