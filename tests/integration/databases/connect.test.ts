// Connecting to a real server: at once, while it starts, and when it never will.
import { beforeAll, describe, expect } from 'vitest';
import { connectPostgres, serverOf } from '../../../src/databases/postgres/connect.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});

const caught = (work: Promise<unknown>) =>
  work.then(
    () => [],
    (error: unknown) => failuresOf(error),
  );

describe('connectPostgres', () => {
  test('connects, and shows who it is', async () => {
    const client = await connectPostgres(
      { url: await server.database(), attempts: 1, backoffMs: 1 },
      { name: 'main', application: 'rungs test' },
    );
    const { rows } = await client.query<{ application_name: string }>('SHOW application_name');
    await client.end();
    expect(rows[0]?.application_name).toBe('rungs test');
  });

  test('waits for a server that is being started', async () => {
    const url = await server.database();
    server.stop('fast');
    const connecting = connectPostgres({ url, attempts: 60, backoffMs: 50 }, { name: 'main' });
    server.start();
    const client = await connecting;
    await client.end();
  });

  test('gives up at once for what waiting does not mend, and names the server without its password', async () => {
    const [problem] = await caught(
      connectPostgres(
        { url: `postgres://postgres:secret@127.0.0.1:${server.port}/nowhere`, attempts: 50, backoffMs: 10_000 },
        { name: 'main' },
      ),
    );
    expect(problem?.code).toBe('POSTGRES_UNREACHABLE');
    expect(problem?.message).toContain(`127.0.0.1:${server.port}/nowhere`);
    expect(JSON.stringify(problem)).not.toContain('secret');
  });

  test('tells how often it tried', async () => {
    const [problem] = await caught(connectPostgres({ url: 'postgres://127.0.0.1:1/x', attempts: 3, backoffMs: 1 }, { name: 'main' }));
    expect(problem?.message).toContain('after 3 attempts');
  });

  test('an aborted wait ends', async () => {
    const controller = new AbortController();
    const connecting = connectPostgres(
      { url: 'postgres://127.0.0.1:1/x', attempts: 3, backoffMs: 60_000 },
      { name: 'main', signal: controller.signal },
    );
    controller.abort();
    await expect(connecting).rejects.toThrow();
  });

  test('a socket is a server, too', () => {
    expect(serverOf('postgres:///moss?host=/run/postgresql')).toBe('/run/postgresql/moss');
  });
});
