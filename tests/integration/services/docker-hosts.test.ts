// Where the engine is: over TCP, over TLS with certificates of its own, and behind a socket that we may not open.
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, vi } from 'vitest';
import { makeCertificates } from '../../support/certificates.ts';
import { startDockerEngine, type DockerEngine } from '../../support/docker-engine.ts';
import { makeImage } from '../../support/docker-images.ts';
import { testAsRoot } from '../../support/needs.ts';
import { makeInstallation } from './docker-installation.ts';

const test = testAsRoot('dockerd', 'docker', 'busybox', 'unshare', 'openssl', 'setpriv');
const isThere = test !== (test.skip as unknown);
const program = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');
const dir = mkdtempSync(path.join(tmpdir(), 'rungs-certificates-'));
const certificates = path.join(dir, 'good');
const strangers = path.join(dir, 'strangers');
let tcp: { readonly engine: DockerEngine; readonly port: number };
let tls: { readonly engine: DockerEngine; readonly port: number };

beforeAll(async () => {
  if (!isThere) return;
  makeCertificates(certificates);
  makeCertificates(strangers);
  const of = (file: string) => path.join(certificates, file);
  const verified = ['--tlsverify', `--tlscacert=${of('ca.pem')}`, `--tlscert=${of('server.pem')}`, `--tlskey=${of('server-key.pem')}`];
  [tcp, tls] = await Promise.all([startOn([]), startOn(verified)]);
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function startOn(flags: readonly string[]) {
  const port = await freePort();
  const engine = await startDockerEngine({ flags: [`--host=tcp://127.0.0.1:${port}`, ...flags] });
  await makeImage(engine, 'web:1');
  await makeImage(engine, 'web:2');
  await engine.docker('run', '--detach', '--name', 'web', '--network', 'none', '--stop-timeout', '1', 'web:1');
  return { engine, port };
}

const service = '{ web: { docker: web, timeout: 20s, stableFor: 300ms } }';
const install = () => makeInstallation({ services: service, images: '{ web: "web:2" }' });

describe('DOCKER_HOST', () => {
  test('over TCP: a container gets a new image', async () => {
    vi.stubEnv('DOCKER_HOST', `tcp://127.0.0.1:${tcp.port}`);
    expect((await install().run()).failure).toBeNull();
    expect((await tcp.engine.inspect('web'))['Config']).toMatchObject({ Image: 'web:2' });
  });

  test('over TLS, where each side shows a certificate: a container gets a new image', async () => {
    vi.stubEnv('DOCKER_HOST', `tcp://127.0.0.1:${tls.port}`);
    vi.stubEnv('DOCKER_TLS_VERIFY', '1');
    vi.stubEnv('DOCKER_CERT_PATH', certificates);
    expect((await install().run()).failure).toBeNull();
    expect((await tls.engine.inspect('web'))['Config']).toMatchObject({ Image: 'web:2' });
  });

  test.each([
    { what: 'no TLS', env: {}, says: /400|HTTP request to an HTTPS server/ },
    { what: 'certificates of strangers', env: { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: strangers }, says: /certificate/ },
  ])('with $what, where the engine wants its own, it is refused untouched', async ({ env, says }) => {
    vi.stubEnv('DOCKER_HOST', `tcp://127.0.0.1:${tls.port}`);
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const result = await install().run();
    expect(result.outcome).toBe('refused');
    expect(result.failure?.message).toMatch(says);
  });
});

test('permission denied on the socket: the doctor says who may not, and what helps', async () => {
  const home = install();
  const { socket, host } = tcp.engine;
  chownSync(socket, 65534, 65534);
  chmodSync(socket, 0o600);
  // Root, but with no right to pass over permissions.
  const without = ['--bounding-set', '-dac_override,-dac_read_search', '--inh-caps', '-dac_override,-dac_read_search'];
  const told = await new Promise<{ readonly code: number | null; readonly stdout: string }>((resolve) => {
    const child = execFile(
      'setpriv',
      [...without, process.execPath, program, 'doctor', '--json', '-c', home.configFile],
      { encoding: 'utf8', env: { ...process.env, DOCKER_HOST: host } },
      (_, stdout) => resolve({ code: child.exitCode, stdout }),
    );
  });
  expect(told.code).toBe(3);
  expect(JSON.parse(told.stdout)).toMatchObject({
    findings: expect.arrayContaining([
      expect.objectContaining({ level: 'block', code: 'DOCKER_PERMISSION', hint: expect.stringContaining('usermod -aG docker') }),
    ]),
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
