// What the Docker engine, or the way to it, answers with, as failures of the registry.
import { userInfo } from 'node:os';
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import { cancelled } from '../cancelled.ts';

interface Circumstances {
  readonly what: string;
  readonly address: string;
  readonly timeoutMs: number;
  readonly isTimedOut: boolean;
  readonly signal: AbortSignal | undefined;
}

export function engineError(error: unknown, { what, address, timeoutMs, isTimedOut, signal }: Circumstances): UpgradeError {
  if (error instanceof UpgradeError) return error;
  if (signal?.aborted === true) return new UpgradeError([cancelled(signal)]);
  if (isTimedOut) return fail('DOCKER_TIMEOUT', { what, address, timeoutMs }, {}, error);
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return fail('DOCKER_PERMISSION', { address, user: userInfo().username }, {}, error);
  const text = engineText(error);
  if (statusOf(error) === undefined) return fail('DOCKER_UNREACHABLE', { address, error: text }, {}, error);
  const version = /client version [\d.]+ is too (?:new|old).*/i.exec(text)?.[0];
  if (version !== undefined) return fail('DOCKER_API_VERSION', { address, error: version }, {}, error);
  const port = /(?:Bind for (\S+) failed: port is already allocated|listen (?:tcp|udp)\d? (\S+): bind: address already in use)/.exec(text);
  if (port !== null) return fail('CONTAINER_PORT_TAKEN', { what, port: port[1] ?? port[2] ?? 'a port' }, {}, error);
  const name = /The container name "\/?([^"]+)" is already in use/.exec(text)?.[1];
  if (name !== undefined) return fail('CONTAINER_NAME_TAKEN', { name }, {}, error);
  return fail('DOCKER_CALL_FAILED', { what, error: text }, {}, error);
}

/** The HTTP status, where the engine answered. */
export function statusOf(error: unknown): number | undefined {
  const status: unknown = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

/** The daemon is away, or went away in the middle: whether it did what it was asked is not known. */
export function isConnectionLost(error: unknown): boolean {
  if (statusOf(error) !== undefined) return false;
  const code = codeOf(error);
  if (code !== undefined && lost.has(code)) return true;
  return error instanceof Error && /socket hang up/i.test(error.message);
}

const lost: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT']);

function codeOf(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The engine's own sentence, without what the client puts around it. */
function engineText(error: unknown): string {
  const body: unknown = typeof error === 'object' && error !== null && 'json' in error ? error.json : undefined;
  const message: unknown = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined;
  return (typeof message === 'string' ? message : messageOf(error)).trim();
}
