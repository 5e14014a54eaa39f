// A service that is a container: found by name, id or label, or as a service of a Compose project. Looks and acts through the engine's API.
// A container's identity is its id and the time at which it started: one that restarts in a loop has a new identity each time.
import { fail } from '../../model/failure.ts';
import type { ServiceState } from '../../model/ports.ts';
import type { ControllerContext, Health, ServiceController } from '../registry.ts';
import { findContainer, inspectContainer, nameOf, theContainer, type Container, type ContainerService } from './containers.ts';
import { orderingOf } from './container-ordering.ts';
import { openEngine, type Engine } from './engine.ts';
import { watchContainer } from './watch-container.ts';
import { lastLinesOf } from './last-lines.ts';

/** The engine's own default for containers that say nothing. */
const defaultGraceS = 10;
const healthCheck = 'health check';
/** Beyond the grace period: for the engine to take a container down and to answer. */
const marginMs = 30_000;

export function createContainerController(service: ContainerService, { clock }: ControllerContext): ServiceController {
  let opened: Promise<Engine> | null = null;
  const engine = () => (opened ??= openEngine(clock));

  async function inspect(signal?: AbortSignal): Promise<ServiceState> {
    return stateOf(await findContainer(await engine(), service, signal));
  }

  async function act(action: 'start' | 'stop' | 'restart', signal?: AbortSignal): Promise<void> {
    const docker = await engine();
    const container = await theContainer(docker, service, signal);
    const name = nameOf(container);
    await (action === 'stop' ? stopContainer(docker, container, signal) : startContainer(docker, container, action, signal));
    if (action === 'stop' && (await inspectContainer(docker, container.Id, signal))?.State.Running === true)
      throw fail('CONTAINER_STILL_RUNNING', { service: service.name, container: name });
  }

  async function health(limitMs: number, signal?: AbortSignal): Promise<Health> {
    const limit = AbortSignal.timeout(Math.ceil(limitMs));
    try {
      return healthOf(await theContainer(await engine(), service, signal === undefined ? limit : AbortSignal.any([signal, limit])));
    } catch (error) {
      // Our own limit is nobody's wish to end the run.
      if (!limit.aborted || signal?.aborted === true) throw error;
      return { state: 'unhealthy', asked: healthCheck, account: `got no answer of the engine within ${limitMs / 1000} s`, log: [] };
    }
  }

  async function lastOutput(): Promise<readonly string[]> {
    const docker = await engine();
    const container = await findContainer(docker, service).catch(() => null);
    return container === null ? [] : lastLinesOf(docker, container);
  }

  async function watch(onEvent: () => void, signal: AbortSignal): Promise<void> {
    const docker = await engine();
    const container = await findContainer(docker, service, signal);
    if (container !== null) await watchContainer(docker, container, onEvent, signal);
  }

  return {
    inspect,
    health,
    lastOutput,
    watch,
    ordering: async (signal) => orderingOf(service, await findContainer(await engine(), service, signal)),
    restart: (signal) => act('restart', signal),
    stop: (signal) => act('stop', signal),
    start: (signal) => act('start', signal),
    isObservable: true,
  };
}

/** Between two attempts of its restart policy a container counts as running for the engine; nothing runs. */
export function stateOf(container: Container | null): ServiceState {
  if (container === null || !container.State.Running || container.State.Restarting) return { isRunning: false, identity: null };
  return { isRunning: true, identity: `${container.Id.slice(0, 12)}:${container.State.StartedAt}` };
}

export function healthOf({ State }: Container): Health {
  const asked = healthCheck;
  if (!State.Running) return { state: 'unhealthy', asked, account: 'cannot be asked: the container does not run', log: [] };
  const check = State.Health;
  if (check === undefined || check.Status === 'none') return { state: 'unknown' };
  if (check.Status === 'healthy') return { state: 'healthy' };
  const last = check.Log?.at(-1);
  const account = check.Status === 'starting' ? 'has not passed yet' : `fails (${check.FailingStreak} times in a row)`;
  return {
    state: 'unhealthy',
    asked,
    account: last === undefined || last.ExitCode === 0 ? account : `${account}, last with exit code ${last.ExitCode}`,
    log: (last?.Output ?? '').split('\n').filter((line) => line.trim() !== ''),
  };
}

/** With the container's own grace period; done where it is stopped already. */
export async function stopContainer(engine: Engine, container: Container, signal?: AbortSignal): Promise<void> {
  await engine.call(
    `stop container ${nameOf(container)}`,
    (docker, abortSignal) => unlessDone(docker.getContainer(container.Id).stop({ abortSignal })),
    { signal, timeoutMs: deadlineOf(container) },
  );
}

export async function startContainer(
  engine: Engine,
  container: Container,
  action: 'start' | 'restart' = 'start',
  signal?: AbortSignal,
): Promise<void> {
  await engine.call(
    `${action} container ${nameOf(container)}`,
    (docker, abortSignal) => unlessDone(docker.getContainer(container.Id)[action]({ abortSignal })),
    { signal, timeoutMs: deadlineOf(container) },
  );
}

function deadlineOf({ Config }: Container): number {
  return (stopTimeoutOf(Config) ?? defaultGraceS) * 1000 + marginMs;
}

/** The types of the client do not know it. */
function stopTimeoutOf(config: object): number | undefined {
  return 'StopTimeout' in config && typeof config.StopTimeout === 'number' ? config.StopTimeout : undefined;
}

/** 304: it is so already. */
export async function unlessDone(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (typeof error === 'object' && error !== null && 'statusCode' in error && error.statusCode === 304) return;
    throw error;
  });
}
