// What each kind of probe sees, beyond what all of them promise.
import { DatabaseSync } from 'node:sqlite';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProbeConfig } from '../../../src/model/config.ts';
import { jsonAt } from '../../../src/probes/json-pointer.ts';
import { createProbeRunner } from '../../../src/probes/probe-runner.ts';
import { systemClock } from '../../../src/system-clock.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rungs-probe-kinds-'));
});
afterEach(async () => rm(root, { recursive: true, force: true }));

/** `null` where it passed, else the detail. */
async function seen(probe: ProbeConfig): Promise<string | null> {
  const runner = createProbeRunner({
    config: {
      root,
      databases: {
        app: { kind: 'sqlite', file: join(root, 'app.db') },
        far: { kind: 'postgres', url: 'postgres://x', attempts: 1, backoffMs: 1 },
      },
      services: {},
    },
    look: async () => ({ status: 'stopped', identity: null, account: 'is not asked' }),
    clock: systemClock,
    scrub: (text) => text,
  });
  const { status, detail } = await runner.run(probe);
  return status === 'passed' ? null : (detail ?? '');
}

describe('http', () => {
  const pages: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => unknown>> = {
    '/ok': (_, response) => response.setHeader('X-Version', '0.3.0').end('{"ok":true,"a/b":[{"~c":1}]}'),
    '/text': (_, response) => response.end('it works'),
    '/broken': (_, response) => response.writeHead(500).end('no such table: users'),
    '/here': (_, response) => response.writeHead(302, { location: '/ok' }).end(),
    '/round': (_, response) => response.writeHead(302, { location: '/round' }).end(),
    '/away': (_, response) => response.writeHead(302, { location: 'http://127.0.0.2:1/ok' }).end(),
    '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/silent': () => undefined,
    '/gone': (request) => request.socket.destroy(),
    '/endless': (_, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(64 * 1024))) {
          /* until it is full */
        }
      };
      response.on('drain', more);
      more();
    },
  };
  const server = createServer((request, response) => pages[request.url ?? '']?.(request, response));
  let address = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const expectation = { status: 200, json: {}, headers: {}, body: null };
  test.each([
    { path: '/ok', expect: { json: { '/ok': true, '/a~1b/0/~0c': 1 } }, why: 'JSON pointers with escapes' },
    { path: '/ok', expect: { json: { '/a~1b': [{ '~c': 1 }] } }, why: 'JSON values that are compared deeply' },
    { path: '/ok', expect: { headers: { 'x-version': '0.3.0' } }, why: 'headers in any case' },
    { path: '/text', expect: { body: '^it \\w+$' }, why: 'a regular expression' },
    { path: '/here', expect: { json: { '/ok': true } }, why: 'a redirect on the same host' },
    { path: '/away', expect: { status: 302 }, why: 'a redirect that is expected itself' },
    { path: '/endless', expect: { body: '^x+$' }, why: 'an answer without an end, of which a megabyte is read' },
  ])('passes: $why', async ({ path, expect: over }) => {
    expect(
      await seen({ kind: 'http', name: 'p', withinMs: 3_000, url: address + path, expect: { ...expectation, ...over }, tls: null }),
    ).toBeNull();
  });

  test.each([
    { path: '/broken', expect: {}, detail: /\/broken answered 500, expected 200 \("no such table: users"\)$/ },
    { path: '/ok', expect: { json: { '/ok': 'true' } }, detail: /\/ok is true, expected "true"/ },
    { path: '/ok', expect: { json: { '/no/such': 1 } }, detail: /\/no\/such is nothing, expected 1/ },
    { path: '/ok', expect: { json: { '/toString': 1 } }, detail: /\/toString is nothing/ },
    { path: '/ok', expect: { headers: { 'X-Version': '1' } }, detail: /header X-Version is "0.3.0", expected "1"/ },
    { path: '/text', expect: { json: { '/ok': true } }, detail: /did not answer with JSON but with "it works"/ },
    { path: '/text', expect: { body: 'fails' }, detail: /does not match \/fails\/: "it works"/ },
    { path: '/away', expect: {}, detail: /answered 302, expected 200/ },
    { path: '/file', expect: {}, detail: /answered 302, expected 200/ },
    { path: '/round', expect: {}, detail: /answered 302, expected 200/ },
    { path: '/silent', expect: {}, detail: /^no answer within 1\.0 s$/ },
    { path: '/gone', expect: {}, detail: /closed the connection without an answer/ },
  ])('fails: $path $detail', async ({ path, expect: over, detail }) => {
    expect(
      await seen({ kind: 'http', name: 'p', withinMs: 150, url: address + path, expect: { ...expectation, ...over }, tls: null }),
    ).toMatch(detail);
  });

  test('fails where nothing listens, or the name is not known', async () => {
    expect(await seen({ kind: 'http', name: 'p', withinMs: 1, url: 'http://127.0.0.1:1/', expect: expectation, tls: null })).toMatch(
      /127\.0\.0\.1:1 refuses the connection/,
    );
    expect(
      await seen({ kind: 'http', name: 'p', withinMs: 1_000, url: 'http://no-such-host.invalid/', expect: expectation, tls: null }),
    ).toMatch(/no-such-host\.invalid/);
  });
});

describe('file', () => {
  const expectation = { exists: true, contains: null, mode: null };
  test.each([
    { file: 'none', expect: { exists: false }, detail: null },
    { file: 'app.conf', expect: { exists: false }, detail: /is there, and should not be/ },
    { file: 'app.conf', expect: { mode: 0o600 }, detail: /has mode 0640, expected 0600/ },
    { file: 'app.conf', expect: { contains: 'never' }, detail: /does not contain "never"/ },
    { file: 'app.conf/below', expect: {}, detail: /is not there/ },
    { file: 'large', expect: { contains: 'needle' }, detail: null },
  ])('$file with $expect: $detail', async ({ file, expect: over, detail }) => {
    await writeFile(join(root, 'app.conf'), 'mail = on\n');
    await chmod(join(root, 'app.conf'), 0o640);
    // Across the border of two pieces that are read.
    await writeFile(join(root, 'large'), `${'x'.repeat(64 * 1024 - 3)}needle${'x'.repeat(1_000)}`);
    const detailSeen = await seen({
      kind: 'file',
      name: 'p',
      withinMs: 1,
      file: join(root, file),
      expect: { ...expectation, ...over },
    });
    if (detail === null) expect(detailSeen).toBeNull();
    else expect(detailSeen).toMatch(detail);
  });
});

describe('sqlite', () => {
  const ask = (query: string, value: unknown, database = 'app') =>
    seen({ kind: 'sqlite', name: 'p', withinMs: 1, database, query, expect: { value } });
  beforeEach(() => {
    const database = new DatabaseSync(join(root, 'app.db'));
    database.exec(
      "pragma journal_mode = wal; create table users (id integer primary key, name text, score real); insert into users values (9007199254740993, 'ada', 1.5)",
    );
    database.close();
  });

  test.each([
    { query: 'select count(*) from users', value: 1 },
    { query: 'select name from users', value: 'ada' },
    { query: 'select score from users', value: 1.5 },
    { query: 'select null', value: null },
    { query: 'select 1', value: true },
    { query: 'pragma integrity_check', value: 'ok' },
  ])('$query gives $value', async ({ query, value }) => {
    expect(await ask(query, value)).toBeNull();
  });

  test.each([
    {
      query: 'select id from users',
      value: 9007199254740992,
      detail: /gave 9007199254740993, expected 9007199254740992/,
      why: 'integers are compared exactly',
    },
    { query: 'select count(*) from users', value: '1', detail: /gave 1, expected "1"/, why: 'a number is not a text' },
    { query: 'select name from users where id = 5', value: 'ada', detail: /gave no row, expected "ada"/, why: 'no row' },
    { query: 'select * from nowhere', value: 1, detail: /no such table: nowhere/, why: 'a query that is wrong' },
    { query: "insert into users values (1, 'eve', 0) returning id", value: 1, detail: /readonly/, why: 'a query that writes' },
  ])('fails: $why', async ({ query, value, detail }) => {
    expect(await ask(query, value)).toMatch(detail);
  });

  test('a database that is not there is not made', async () => {
    await rm(join(root, 'app.db'));
    expect(await ask('select 1', 1)).toMatch(/app\.db is not there/);
    expect(await readdir(root)).toEqual([]);
  });

  test('a database that the config does not have, or not as SQLite', async () => {
    expect([await ask('select 1', 1, 'none'), await ask('select 1', 1, 'far')]).toEqual([
      expect.stringContaining('"none"'),
      expect.stringContaining('"far"'),
    ]);
  });

  test('reading leaves the folder as it was, also for a database in WAL mode', async () => {
    const before = await readFile(join(root, 'app.db'));
    expect(await ask('select name from users', 'ada')).toBeNull();
    expect(await readdir(root)).toEqual(['app.db']);
    expect((await readFile(join(root, 'app.db'))).equals(before)).toBe(true);
  });

  test('what a running service has written but not yet put into the main file is seen', async () => {
    const service = new DatabaseSync(join(root, 'app.db'));
    service.exec("update users set name = 'grace'");
    expect(await ask('select name from users', 'grace')).toBeNull();
    service.close();
  });
});

test.each([
  { pointer: '', value: { a: { '': [10, 20] } } },
  { pointer: '/a//1', value: 20 },
  { pointer: '/a//01', value: undefined },
  { pointer: '/a//-', value: undefined },
  { pointer: '/a/b/c', value: undefined },
])('JSON pointer "$pointer"', ({ pointer, value }) => {
  expect(jsonAt({ a: { '': [10, 20] } }, pointer)).toEqual(value);
});
