// A connection to the Docker engine. Given what to ask; promises that every call ends by its deadline, that a daemon which is restarted is
// waited for (calls are made so that they may be repeated), and that whatever the engine refuses is a failure of the registry.
import { Agent as HttpsAgent } from 'node:https';
import type Docker from 'dockerode';
import type { Clock } from '../../model/ports.ts';
import { engineError, isConnectionLost, statusOf } from './engine-errors.ts';
import { findEndpoint, type Endpoint } from './endpoint.ts';

export interface Engine {
  readonly address: string;
  /** Makes the call; `what` completes "could not …". Connection errors are tried again until `patienceMs` is over. */
  call<T>(what: string, work: (docker: Docker, signal: AbortSignal) => Promise<T>, options?: CallOptions): Promise<T>;
  /** The same, with `null` for what is not there. */
  find<T>(what: string, work: (docker: Docker, signal: AbortSignal) => Promise<T>, options?: CallOptions): Promise<T | null>;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of one attempt. Default: 30 s. */
  readonly timeoutMs?: number;
  /** How long a daemon that does not answer is waited for. Default: 30 s. */
  readonly patienceMs?: number;
}

const callMs = 30_000;
const defaultPatienceMs = 30_000;
const [shortestPauseMs, longestPauseMs] = [50, 500];

/** Throws DOCKER_ENDPOINT_INVALID. Nothing is connected yet. */
export async function openEngine(clock: Clock): Promise<Engine> {
  const endpoint = findEndpoint();
  const { address } = endpoint;
  // It loads gRPC: only those who have containers pay for that.
  const { default: Dockerode } = await import('dockerode');
  const docker = new Dockerode(clientOptions(endpoint));

  async function call<T>(
    what: string,
    work: (docker: Docker, signal: AbortSignal) => Promise<T>,
    { signal, timeoutMs = callMs, patienceMs = defaultPatienceMs }: CallOptions = {},
  ): Promise<T> {
    const giveUpAt = clock.monotonic() + patienceMs;
    for (let pause = shortestPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
      const limit = AbortSignal.timeout(timeoutMs);
      try {
        const ending = signal === undefined ? limit : AbortSignal.any([signal, limit]);
        // Not every call of the client listens to a signal.
        return await Promise.race([work(docker, ending), rejected(ending)]);
      } catch (error) {
        const isOver = clock.monotonic() + pause >= giveUpAt || signal?.aborted === true;
        if (isOver || !isConnectionLost(error)) throw engineError(error, { what, address, timeoutMs, isTimedOut: limit.aborted, signal });
        await clock.sleep(pause, signal).catch(() => undefined);
      }
    }
  }

  async function find<T>(what: string, work: (docker: Docker, signal: AbortSignal) => Promise<T>, options?: CallOptions) {
    return call<T | null>(
      what,
      async (docker, signal) => {
        try {
          return await work(docker, signal);
        } catch (error) {
          if (statusOf(error) === 404) return null;
          throw error;
        }
      },
      options,
    );
  }

  return { address, call, find };
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** Everything is given, so that nothing is taken from the environment behind our back. */
function clientOptions(endpoint: Endpoint): Docker.DockerOptions {
  if ('socketPath' in endpoint) return { socketPath: endpoint.socketPath, host: undefined };
  const { host, port, tls } = endpoint;
  if (tls === null) return { host, port, protocol: 'http', socketPath: undefined };
  const { isVerified, ...certificates } = tls;
  const unverified = isVerified ? {} : { agent: new HttpsAgent({ rejectUnauthorized: false }) };
  return { host, port, protocol: 'https', socketPath: undefined, ...certificates, ...unverified };
}
