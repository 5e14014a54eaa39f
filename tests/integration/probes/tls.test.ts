// Probes of an HTTPS server that has a certificate of its own, and that wants one of whoever asks.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ProbeConfig } from '../../../src/model/config.ts';
import { probeHttp } from '../../../src/probes/http.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { testNeeding } from '../../support/needs.ts';

type Tls = NonNullable<Extract<ProbeConfig, { kind: 'http' }>['tls']>;

const test = testNeeding('openssl');
const dir = mkdtempSync(path.join(tmpdir(), 'rungs-tls-'));
const own = (file: string): string => path.join(dir, 'own', file);
const foreign = (file: string): string => path.join(dir, 'foreign', file);
let server: Server;
let url: string;

beforeAll(async () => {
  makeCertificates(path.join(dir, 'own'));
  makeCertificates(path.join(dir, 'foreign'));
  const [ca, cert, key] = ['ca.pem', 'server.pem', 'server-key.pem'].map((file) => readFileSync(own(file)));
  server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (_, response) => response.end('{"ok":true}'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/health`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
});

const ask = async (tls: Partial<Tls> | null): Promise<string | null> => {
  const probe = {
    kind: 'http' as const,
    name: 'health',
    withinMs: 5_000,
    url,
    expect: { status: 200, json: { '/ok': true }, headers: {}, body: null },
    tls: tls === null ? null : { caFile: null, client: null, serverName: null, isInsecure: false, ...tls },
  };
  const context = {
    config: { root: dir, databases: {}, services: {} },
    look: () => Promise.reject(new Error('it looks at no service')),
    signal: AbortSignal.timeout(20_000),
    limitMs: 5_000,
  };
  return probeHttp(probe, context).catch((error: unknown) => String(error));
};
const client = { certFile: own('cert.pem'), keyFile: own('key.pem') };

test('its authority and our certificate: it is well', async () => {
  expect(await ask({ caFile: own('ca.pem'), client })).toBeNull();
});

test('without its authority, and with that of somebody else, it is not trusted, and that is said', async () => {
  expect(await ask(null)).toContain('shows a certificate that is not trusted');
  expect(await ask({ client })).toContain('shows a certificate that is not trusted');
  expect(await ask({ caFile: foreign('ca.pem'), client })).toContain('shows a certificate that is not trusted');
});

test('a certificate for another name is not trusted; the name that is expected can be given', async () => {
  expect(await ask({ caFile: own('ca.pem'), client, serverName: 'other.example' })).toContain('shows a certificate that is not trusted');
});

test('a server that wants a certificate of ours gets none, or that of a stranger: what it wants is said', async () => {
  expect(await ask({ caFile: own('ca.pem') })).toMatch(/wants a certificate of ours|closed the connection/);
  const stranger = { certFile: foreign('cert.pem'), keyFile: foreign('key.pem') };
  // It complains and closes: where both arrive at once, the end may be heard first.
  expect(await ask({ caFile: own('ca.pem'), client: stranger })).toMatch(/does not accept our certificate|closed the connection/);
});

test('where it is told to trust anybody, it asks whoever is there', async () => {
  expect(await ask({ client, isInsecure: true })).toBeNull();
});
