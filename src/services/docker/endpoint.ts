// Where the Docker engine listens, as the `docker` command finds it: DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), DOCKER_CONTEXT,
// the current context, the default socket. Given the environment; promises options to connect with, or DOCKER_ENDPOINT_INVALID.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { fail, messageOf } from '../../model/failure.ts';

export type Endpoint = { /** For people. */ readonly address: string } & (
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls: Tls | null }
);

export interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly isVerified: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const defaultSocket = '/var/run/docker.sock';

export function findEndpoint(env: Environment = process.env): Endpoint {
  const given = env['DOCKER_HOST'] ?? '';
  if (given !== '') return parseAddress(given, 'DOCKER_HOST', tlsFromEnvironment(env));
  const context = contextName(env);
  return context === null ? { address: `unix://${defaultSocket}`, socketPath: defaultSocket } : contextEndpoint(context, env);
}

/** `~/.docker`, or where DOCKER_CONFIG says: also where the credentials of registries are. */
export function dockerConfigFolder(env: Environment = process.env): string {
  return env['DOCKER_CONFIG'] ?? path.join(env['HOME'] ?? homedir(), '.docker');
}

/** `config.json`, or an empty one where there is none. */
export function readDockerConfig(env: Environment = process.env): Readonly<Record<string, unknown>> {
  const file = path.join(dockerConfigFolder(env), 'config.json');
  return existsSync(file) ? readJson(file) : {};
}

function parseAddress(address: string, source: string, tls: Tls | null): Endpoint {
  if (address.startsWith('unix://')) return { address, socketPath: address.slice('unix://'.length) || defaultSocket };
  const url = URL.parse(address.includes('://') ? address.replace(/^tcp:/, 'http:') : `http://${address}`);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw fail('DOCKER_ENDPOINT_INVALID', { source, value: address, why: 'it is neither unix://… nor tcp://…' });
  const isTls = tls !== null || url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 2376 : 2375) : Number(url.port);
  return { address, host: url.hostname.replace(/^\[|\]$/g, ''), port, tls: isTls ? (tls ?? { isVerified: true }) : null };
}

function tlsFromEnvironment(env: Environment): Tls | null {
  const isVerified = (env['DOCKER_TLS_VERIFY'] ?? '') !== '';
  if (!isVerified && (env['DOCKER_TLS'] ?? '') === '') return null;
  const folder = env['DOCKER_CERT_PATH'] ?? '';
  return { ...certificates(folder === '' ? dockerConfigFolder(env) : folder), isVerified };
}

function certificates(folder: string): Omit<Tls, 'isVerified'> {
  const found: Record<string, Buffer> = {};
  for (const name of ['ca', 'cert', 'key']) {
    const file = path.join(folder, `${name}.pem`);
    if (!existsSync(file)) continue;
    try {
      found[name] = readFileSync(file);
    } catch (error) {
      throw fail('DOCKER_ENDPOINT_INVALID', { source: 'DOCKER_CERT_PATH', value: folder, why: messageOf(error) });
    }
  }
  return found;
}

function contextName(env: Environment): string | null {
  const named = env['DOCKER_CONTEXT'] ?? readDockerConfig(env)['currentContext'];
  return typeof named !== 'string' || named === '' || named === 'default' ? null : named;
}

function contextEndpoint(name: string, env: Environment): Endpoint {
  const id = createHash('sha256').update(name).digest('hex');
  const folder = dockerConfigFolder(env);
  const meta = path.join(folder, 'contexts', 'meta', id, 'meta.json');
  const source = `the Docker context "${name}"`;
  if (!existsSync(meta)) throw fail('DOCKER_ENDPOINT_INVALID', { source, value: name, why: `there is no ${meta}` });
  const endpoints = readJson(meta)['Endpoints'];
  const docker = isMap(endpoints) && isMap(endpoints['docker']) ? endpoints['docker'] : {};
  const address = docker['Host'];
  if (typeof address !== 'string') throw fail('DOCKER_ENDPOINT_INVALID', { source, value: name, why: `${meta} names no Docker host` });
  const tlsFolder = path.join(folder, 'contexts', 'tls', id, 'docker');
  const tls = existsSync(tlsFolder) ? { ...certificates(tlsFolder), isVerified: docker['SkipTLSVerify'] !== true } : null;
  return parseAddress(address, source, tls);
}

function readJson(file: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isMap(value) ? value : {};
  } catch (error) {
    throw fail('DOCKER_ENDPOINT_INVALID', { source: file, value: file, why: messageOf(error) });
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
