// What strangers try: no token, a wrong one, one that has ended, other hosts and origins, tricks with paths, headers of a megabyte, slowness, crowds.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDatabase, type Small } from '../cli/installation.ts';
import { until } from '../pipeline/installation.ts';
import { startReceiver } from './receiver.ts';
import { makeScene, type Scene } from './scene.ts';
import { makeToken, startServe, type Served } from './server.ts';

const secrets = {
  APP_KEY: 'k3y-of-the-app',
  DB_URL: 'postgres://me:pa55-of-db@127.0.0.1:9/none',
};
let scene: Scene;
let served: Served;

beforeAll(async () => {
  scene = makeScene({ steps: 2 });
  served = await startServe(scene);
  scene.go('fail');
  await scene.upgrade(['--to', '3.0.0', '--yes']);
});
afterAll(async () => {
  await served.stop();
  scene.remove();
});

const guarded = [
  '/api/v1/status',
  '/api/v1/runs',
  '/api/v1/plan',
  '/api/v1/graph',
  '/api/v1/backups',
  '/api/v1/services',
  '/api/v1/events',
  '/metrics',
  '/api/admin/migrations/status',
];

describe('tokens', () => {
  test.each(guarded)('%s tells nothing without one', async (url) => {
    const { status, headers, body } = await served.ask(url, { token: null });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toMatch(/^Bearer/);
    expect(JSON.parse(body)).toMatchObject({ failure: { code: 'API_UNAUTHORIZED' } });
    expect(body).not.toContain('2.0.0');
  });

  test('a path that does not exist tells nothing either', async () => {
    expect((await served.ask('/api/v1/secret', { token: null })).status).toBe(401);
    expect((await served.ask('/api/v1/secret')).status).toBe(404);
  });

  test('a wrong one, half of one, and another kind are refused', async () => {
    for (const token of ['rungs_wrong', served.token.slice(0, -1), `${served.token}x`])
      expect((await served.ask('/api/v1/status', { token })).status).toBe(401);
    const headers = { authorization: `Basic ${Buffer.from(`:${served.token}`).toString('base64')}` };
    expect((await served.ask('/api/v1/status', { token: null, headers })).status).toBe(401);
    // Nor is it taken from where it would end up in logs.
    expect((await served.ask(`/api/v1/status?token=${served.token}`, { token: null })).status).toBe(401);
  });

  test('one that has ended is refused, with the reason', async () => {
    const token = await makeToken(scene, 'short', ['--expires', '1s']);
    await until('it has ended', async () => (await served.ask('/api/v1/status', { token })).status === 401);
    expect((await served.ask('/api/v1/status', { token })).body).toContain('expired');
  });

  test('one that is taken back is refused at once, by the server that runs', async () => {
    const token = await makeToken(scene, 'fleeting');
    expect((await served.ask('/api/v1/status', { token })).status).toBe(200);
    expect((await scene.upgrade(['token', 'revoke', 'fleeting'])).code).toBe(0);
    expect((await served.ask('/api/v1/status', { token })).status).toBe(401);
  });

  test('a scope opens its own paths and no others', async () => {
    const token = await makeToken(scene, 'scraper', ['--scope', 'metrics']);
    expect((await served.ask('/metrics', { token })).status).toBe(200);
    const refused = await served.ask('/api/v1/status', { token });
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('API_SCOPE');
    const reader = await makeToken(scene, 'reader', ['--scope', 'read']);
    const { runs } = await served.json<{ runs: readonly { id: string }[] }>('/api/v1/runs', { token: reader });
    expect((await served.ask(`/api/v1/runs/${runs[0]?.id}/log`, { token: reader })).status).toBe(403);
  });

  test('on disk there is no token, and nobody else may look', async () => {
    const folder = path.join(scene.root, '.upgrade/tokens');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(folder)) {
      expect(statSync(path.join(folder, file)).mode & 0o777).toBe(0o600);
      expect(readFileSync(path.join(folder, file), 'utf8')).not.toContain(served.token);
    }
  });

  test('a name is no path, and the same name does not come twice', async () => {
    expect((await scene.upgrade(['token', 'create', '../evil'])).stderr).toContain('TOKEN_NAME');
    expect((await scene.upgrade(['token', 'create', 'scraper'])).stderr).toContain('TOKEN_EXISTS');
    expect(existsSync(path.join(scene.root, '.upgrade/evil.json'))).toBe(false);
  });
});

describe('requests', () => {
  test.each(['evil.example', 'localhost', '127.0.0.1:1', `127.0.0.1.evil.example`])('the host %s is not ours', async (host) => {
    expect((await served.ask('/api/v1/status', { headers: { host } })).status).toBe(421);
    expect((await served.ask('/', { token: null, headers: { host } })).status).toBe(421);
  });

  test.each(['http://evil.example', 'null', 'http://127.0.0.1', 'http://localhost:1'])('a page of %s may not ask', async (origin) => {
    const { status, headers } = await served.ask('/api/v1/status', { headers: { origin } });
    expect(status).toBe(403);
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  test('our own page may', async () => {
    expect((await served.ask('/api/v1/status', { headers: { origin: served.url } })).status).toBe(200);
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s changes nothing', async (method) => {
    expect((await served.ask('/api/v1/status', { method })).status).toBe(405);
  });

  test.each([
    '/../../etc/passwd',
    '/assets/../../../etc/passwd',
    '/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/assets/..%5c..%5cetc%5cpasswd',
    '//etc/passwd',
    '/api/v1/runs/..%2f..%2fjournal.db',
    '/api/v1/runs/..%2f..%2f..%2fetc/log',
    '/api/v1/runs/%00/log',
    `/api/v1/runs/${'A'.repeat(4_000)}/log`,
    '/api/v1/runs/%',
  ])('%s leads nowhere', async (url) => {
    const { status, body } = await served.ask(url);
    expect([400, 404, 414]).toContain(status);
    expect(body).not.toContain('root:');
  });

  test('queries are taken by their word or not at all', async () => {
    for (const url of [
      '/api/v1/runs?limit=-1',
      '/api/v1/runs?limit=1&limit=2',
      '/api/v1/events?after=1',
      '/api/v1/status?x=1',
      '/api/v1/runs?__proto__[x]=1',
    ]) {
      const { status } = await served.ask(url);
      expect([url, [200, 400].includes(status)]).toEqual([url, true]);
    }
    expect((await served.ask('/api/v1/runs?limit=-1')).status).toBe(400);
    expect((await served.ask('/api/v1/events', { headers: { 'last-event-id': '../1' } })).status).toBe(400);
    expect((await served.ask('/api/v1/plan?to=..%2f..')).status).toBe(422);
  });

  test('headers of a megabyte are cut off, and the server goes on', async () => {
    await served.ask('/api/v1/status', { headers: { 'x-big': 'a'.repeat(1_000_000) } }).then(
      ({ status }) => expect(status).toBe(431),
      // It may be gone before it has all been sent.
      (error: Error) => expect(error.message).toMatch(/ECONNRESET|EPIPE|socket hang up/),
    );
    expect((await served.ask('/healthz', { token: null })).status).toBe(200);
  });

  test('what is no HTTP gets an end', async () => {
    const socket = connect(served.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()).on('error', () => undefined));
    socket.write('\u0016\u0003\u0001 hello\r\n\r\n');
    socket.resume();
    await closed;
  });

  test('slow clients are let go, and keep nobody from being answered', async () => {
    const slow = Array.from({ length: 50 }, () => connect(served.port, '127.0.0.1'));
    const gone = slow.map((socket) => new Promise<void>((resolve) => socket.on('error', () => undefined).once('close', () => resolve())));
    for (const socket of slow) socket.write('GET /api/v1/status HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => slow.forEach((socket) => socket.writable && socket.write('X-Slow: a\r\n')), 500);
    for (const socket of slow) socket.resume();
    try {
      expect((await served.ask('/api/v1/status')).status).toBe(200);
      await Promise.all(gone);
    } finally {
      clearInterval(drip);
      slow.forEach((socket) => socket.destroy());
    }
  });

  test('many wrong tokens are slowed down, and the right one is not', async () => {
    const answers: number[] = [];
    for (let tries = 0; tries < 60; tries += 1) answers.push((await served.ask('/api/v1/status', { token: `rungs_${tries}` })).status);
    expect(answers.at(-1)).toBe(429);
    expect((await served.ask('/api/v1/status')).status).toBe(200);
  });

  test('the page brings its policy, and asks for no script of others', async () => {
    const { headers, body } = await served.ask('/', { token: null });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['set-cookie']).toBeUndefined();
    expect(body).not.toMatch(/https?:\/\/|<script>|style=|onclick=/);
  });
});

test('two hundred follow at once, some of them without reading: all that read hear the same run whole, and the server stays small', async () => {
  const followers = Array.from({ length: 200 }, (_, index) => follow(served, index % 4 === 0));
  await Promise.all(followers.map(async ({ opened }) => opened));
  expect((await served.ask('/api/v1/status')).status).toBe(200);
  scene.go('well');
  expect((await scene.upgrade(['--to', '3.0.0', '--yes'])).code).toBe(0);
  const reading = followers.filter(({ isDeaf }) => !isDeaf);
  await until('all who read have heard the end', () => reading.every(({ text }) => text().includes('"outcome":"committed"')), 60_000);
  const ids = reading.map(({ text }) => [...text().matchAll(/^id: (\w+:\d+)$/gm)].map(([, id]) => id).join(' '));
  expect(new Set(ids).size).toBe(1);
  const [, kilobytes = '0'] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${served.pid}/status`, 'utf8')) ?? [];
  expect(Number(kilobytes)).toBeLessThan(400_000);
  for (const { socket } of followers) socket.destroy();
  await until('they are let go', async () => (await served.ask('/api/v1/status')).status === 200);
});

test('no secret is in any answer, though steps, errors, URLs and settings hold them', async () => {
  const leaky: Small = makeScene({ steps: 0 });
  const step = `#!/bin/sh\n# rungs: { description: Prints what it should not }\necho "key $APP_KEY and <script>alert(1)</script>"; printf '\\033]0;owned\\007\\n'; exit 7\n`;
  mkdirSync(path.join(leaky.dir, 'migrations/v3.0.0_to_v4.0.0'), { recursive: true });
  writeFileSync(path.join(leaky.dir, 'migrations/v3.0.0_to_v4.0.0/001_leak.sh'), step, { mode: 0o755 });
  writeFileSync(path.join(leaky.root, 'VERSION'), '3.0.0\n');
  const file = path.join(leaky.root, 'upgrade.yaml');
  const extra = `notify: [{ webhook: "\${HOOK_URL}", secret: "\${APP_KEY}", headers: { Authorization: "\${APP_KEY}" } }]\nmetrics: { textfile: out.prom }\n`;
  writeFileSync(file, `${readFileSync(file, 'utf8')}${extra}`);
  makeDatabase(path.join(leaky.root, 'data/other.db'), 'CREATE TABLE t (x)');
  const receiver = await startReceiver();
  const env = { ...secrets, HOOK_URL: `${receiver.url}/hook-with-s3cret`, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const ran = await leaky.upgrade(['--to', '4.0.0', '--yes', '--json'], { env });
  expect(ran.code).toBe(10);
  expect(new Set(receiver.received.map(({ path: at }) => at))).toEqual(new Set(['/hook-with-s3cret', '/v1/traces']));
  const server = await startServe(leaky, { env });
  try {
    const [run] = (await server.json<{ runs: readonly { id: string }[] }>('/api/v1/runs')).runs;
    const urls = [
      ...guarded.filter((url) => !url.endsWith('events') && !url.includes('admin')),
      `/api/v1/runs/${run?.id}`,
      `/api/v1/runs/${run?.id}/log`,
      '/api/v1/openapi.json',
    ];
    const bodies = await Promise.all(urls.map(async (url) => (await server.ask(url)).body));
    const heard = follow(server, false, `${run?.id}:0`);
    await until('the run is told', () => heard.text().includes('run-finished'));
    heard.socket.destroy();
    const files = ['.upgrade/runs', '.upgrade/tokens'].flatMap((dir) =>
      readdirSync(path.join(leaky.root, dir), { recursive: true, withFileTypes: true }).flatMap((entry) =>
        entry.isFile() && !entry.name.endsWith('.sh') ? [readFileSync(path.join(entry.parentPath, entry.name), 'utf8')] : [],
      ),
    );
    const listed = await leaky.upgrade(['notify', 'list', '--json'], { env });
    const journal = readFileSync(path.join(leaky.root, '.upgrade/journal.db'), 'latin1');
    const all = [
      ...bodies,
      heard.text(),
      ...files,
      listed.stdout,
      ran.stdout,
      ran.stderr,
      journal,
      readFileSync(path.join(leaky.root, 'out.prom'), 'utf8'),
      server.said(),
      ...receiver.received.map(({ body }) => body),
    ];
    for (const secret of ['k3y-of-the-app', 'hook-with-s3cret', 'pa55-of-db'])
      expect(all.filter((text) => text.includes(secret))).toEqual([]);
    expect(all.join('')).toContain('key ***');
    expect([...bodies, heard.text()].filter((text) => text.includes('\u001b'))).toEqual([]);
  } finally {
    await server.stop();
    await receiver.close();
    rmSync(leaky.dir, { recursive: true, force: true });
  }
});

interface Follower {
  readonly socket: Socket;
  readonly isDeaf: boolean;
  readonly opened: Promise<void>;
  readonly text: () => string;
}

/** A follower by hand; a deaf one never reads. */
function follow(server: Served, isDeaf: boolean, after?: string): Follower {
  const socket = connect(server.port, '127.0.0.1');
  let text = '';
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('connect', () => isDeaf && resolve());
    if (!isDeaf) {
      socket.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.includes('welcome')) resolve();
      });
    }
  });
  socket.on('error', () => undefined);
  const place = after === undefined ? '' : `?after=${after}`;
  socket.write(`GET /api/v1/events${place} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${server.token}\r\n\r\n`);
  if (isDeaf) socket.pause();
  return { socket, isDeaf, opened, text: () => text.replace(/\r\n[0-9a-f]+\r\n/g, '') };
}
