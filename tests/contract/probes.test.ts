// What every kind of probe promises: it passes, it says what it saw and what it expected, it is tried again, and it ends in time.
import { DatabaseSync } from 'node:sqlite';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProbeConfig } from '../../src/model/config.ts';
import type { ProbeRunner } from '../../src/model/ports.ts';
import { createProbeRunner } from '../../src/probes/probe-runner.ts';
import { createServiceControl } from '../../src/services/service-control.ts';
import { systemClock } from '../../src/system-clock.ts';
import { commandService } from '../integration/services-command/installation.ts';
import { programs, startPostgres, type TestPostgres } from '../support/postgres.ts';

interface World {
  readonly root: string;
  readonly port: number;
  /** Of a PostgreSQL database. */
  readonly url?: string;
  /** Makes true what the probe looks for. */
  readonly comeTrue: () => Promise<void>;
}

interface Member {
  readonly kind: ProbeConfig['kind'];
  readonly prepare: (root: string) => Promise<Omit<World, 'root'> & { readonly close: () => Promise<void> }>;
  readonly probe: (world: World) => Omit<Extract<ProbeConfig, { kind: ProbeConfig['kind'] }>, 'name' | 'withinMs'>;
  /** What was seen, and what was expected. */
  readonly detail: RegExp;
}

const nothing = async () => undefined;
const closed = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
const listening = (server: Server, port = 0) =>
  new Promise<number>((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

const members: readonly Member[] = [
  {
    kind: 'http',
    async prepare() {
      let isUp = false;
      const server = createHttpServer((_, response) => response.writeHead(isUp ? 200 : 503).end(JSON.stringify({ ok: isUp })));
      return {
        port: await listening(server),
        comeTrue: async () => {
          isUp = true;
        },
        close: () => closed(server),
      };
    },
    probe: ({ port }) => ({
      kind: 'http',
      url: `http://127.0.0.1:${port}/health`,
      expect: { status: 200, json: { '/ok': true }, headers: {}, body: null },
      tls: null,
    }),
    detail: /answered 503, expected 200.*\/ok is false, expected true/,
  },
  {
    kind: 'tcp',
    async prepare() {
      const finder = createServer();
      const port = await listening(finder);
      await closed(finder);
      const server = createServer((socket) => socket.destroy());
      return {
        port,
        comeTrue: async () => {
          await listening(server, port);
        },
        close: () => closed(server),
      };
    },
    probe: ({ port }) => ({ kind: 'tcp', host: '127.0.0.1', port }),
    detail: /127\.0\.0\.1:\d+ refuses the connection/,
  },
  {
    kind: 'command',
    prepare: async (root) => ({ port: 0, comeTrue: () => writeFile(join(root, 'ready'), ''), close: nothing }),
    probe: () => ({
      kind: 'command',
      command: ['sh', '-c', 'test -f ready && echo smoke 3 || { echo no fire >&2; exit 4; }'],
      expect: { exitCode: 0, stdout: '^smoke \\d+\\n$' },
    }),
    detail: /exited with 4, expected 0: no fire/,
  },
  {
    kind: 'file',
    prepare: async (root) => ({
      port: 0,
      async comeTrue() {
        await writeFile(join(root, 'app.conf'), 'mail = on\n');
        await chmod(join(root, 'app.conf'), 0o640);
      },
      close: nothing,
    }),
    probe: ({ root }) => ({ kind: 'file', file: join(root, 'app.conf'), expect: { exists: true, contains: 'mail = on', mode: 0o640 } }),
    detail: /app\.conf is not there/,
  },
  {
    kind: 'sqlite',
    async prepare(root) {
      const database = new DatabaseSync(join(root, 'app.db'));
      database.exec('create table users (id integer primary key); insert into users values (1), (2)');
      return { port: 0, comeTrue: async () => database.exec('insert into users values (3)'), close: async () => database.close() };
    },
    probe: () => ({ kind: 'sqlite', database: 'app', query: 'select count(*) from users', expect: { value: 3 } }),
    detail: /"select count\(\*\) from users" gave 2, expected 3/,
  },
  ...(['docker', 'systemd'] as const).map((kind) => ({
    kind,
    prepare: async (root: string) => ({ port: 0, comeTrue: () => writeFile(join(root, 'ready'), ''), close: nothing }),
    probe: () => ({ kind, service: 'web' }),
    detail: /^service web "sh -c test -f ready" exited with 1$/,
  })),
  ...(programs() === null
    ? []
    : [
        {
          kind: 'postgres' as const,
          async prepare() {
            const url = await server.database();
            await server.query(url, 'create table users (id integer primary key); insert into users values (1), (2)');
            return { port: 0, url, comeTrue: async () => void (await server.query(url, 'insert into users values (3)')), close: nothing };
          },
          probe: () => ({ kind: 'postgres' as const, database: 'main', query: 'select count(*) from users', expect: { value: 3 } }),
          detail: /"select count\(\*\) from users" gave 2, expected 3/,
        },
      ]),
];

let server: TestPostgres;
beforeAll(async () => {
  if (programs() !== null) server = await startPostgres();
});

const config = ({ root, url = '' }: Pick<World, 'root' | 'url'>) => ({
  root,
  databases: {
    app: { kind: 'sqlite' as const, file: join(root, 'app.db') },
    main: { kind: 'postgres' as const, url, attempts: 1, backoffMs: 1 },
  },
  // How a service is known to be well is its controller's; that the probe asks for it is what is promised here.
  services: { web: commandService({ name: 'web' }, { status: ['true'], health: ['sh', '-c', 'test -f ready'] }) },
});

const looking = ({ root }: Pick<World, 'root'>) =>
  createServiceControl({ config: { root, state: join(root, '.upgrade') }, clock: systemClock, scrub: (text) => text }).look;

describe.each(members)('a probe of kind $kind', ({ prepare, probe, detail }) => {
  let world: World;
  let runner: ProbeRunner;
  let close: () => Promise<void>;
  const wanted = (withinMs: number) => ({ ...probe(world), name: 'it works', withinMs }) as ProbeConfig;

  beforeEach(async () => {
    const root = await mkdtemp(join(tmpdir(), 'rungs-probes-'));
    const prepared = await prepare(root);
    world = { root, ...prepared };
    close = prepared.close;
    runner = createProbeRunner({
      config: config(world),
      look: looking(world),
      clock: systemClock,
      scrub: (text) => text,
    });
  });
  afterEach(async () => {
    // A TCP server that never came true is not open.
    await close();
    await rm(world.root, { recursive: true, force: true });
  });

  test('passes at the first attempt where all is well', async () => {
    await world.comeTrue();
    const report = await runner.run(wanted(5_000));
    expect(report).toEqual({ name: 'it works', status: 'passed', attempts: 1, durationMs: expect.any(Number) });
  });

  test('says what it saw and what it expected', async () => {
    const report = await runner.run(wanted(2_000));
    expect(report).toMatchObject({ status: 'failed', detail: expect.stringMatching(detail) });
    expect(report.attempts).toBeGreaterThan(1);
  });

  test('is tried until it comes true', async () => {
    const running = runner.run(wanted(20_000));
    setTimeout(() => void world.comeTrue(), 1_000);
    const report = await running;
    expect(report).toMatchObject({ status: 'passed' });
    expect(report.attempts).toBeGreaterThan(1);
  });

  test('ends at once when the run is cancelled', async () => {
    const started = performance.now();
    const report = await runner.run(wanted(60_000), AbortSignal.timeout(200));
    expect(report).toMatchObject({ status: 'failed', detail: expect.stringContaining('cancelled') });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('has no secrets in what it says', async () => {
    const secretive = createProbeRunner({
      config: config(world),
      look: looking(world),
      clock: systemClock,
      scrub: () => '***',
    });
    expect(await secretive.run(wanted(1))).toMatchObject({ status: 'failed', detail: '***' });
  });
});
