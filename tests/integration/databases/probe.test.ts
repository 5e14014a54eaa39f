// The postgres probe against a real server: what it takes for the same, that it only reads, and that it never hangs.
import { beforeAll, describe, expect } from 'vitest';
import { createProbeRunner } from '../../../src/probes/probe-runner.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { startPostgres, testWithPostgres as test, type TestPostgres } from '../../support/postgres.ts';

let server: TestPostgres;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
  await server.query(url, 'CREATE TABLE t (a int); INSERT INTO t VALUES (1)');
});

const ask = async (query: string, value: unknown, { at = url, withinMs = 1 } = {}) =>
  createProbeRunner({
    config: {
      root: '/',
      databases: { main: { kind: 'postgres', url: at, attempts: 5, backoffMs: 1 }, app: { kind: 'sqlite', file: '/x' } },
      services: {},
    },
    look: async () => ({ status: 'stopped', identity: null, account: 'is not asked' }),
    clock: systemClock,
    scrub: (text) => text,
  }).run({ kind: 'postgres', name: 'p', withinMs, database: 'main', query, expect: { value } });

describe('a probe of PostgreSQL', () => {
  test.each([
    { query: 'SELECT count(*) FROM t', value: 1 },
    { query: 'SELECT 1.50::numeric', value: 1.5 },
    { query: "SELECT 'a', 'b'", value: 'a' },
    { query: 'SELECT 1 AS x, 2 AS x', value: 1 },
    { query: 'SELECT a = 1 FROM t', value: true },
    { query: 'SELECT NULL', value: null },
    { query: 'SELECT 2.5::float8', value: 2.5 },
    { query: 'SELECT 9007199254740992::bigint', value: 9007199254740992 },
    { query: 'SELECT a FROM t;', value: 1 },
  ])('$query is $value', async ({ query, value }) => {
    expect(await ask(query, value)).toMatchObject({ status: 'passed' });
  });

  test.each([
    { query: "SELECT '1'", value: 1, detail: /gave "1", expected 1/ },
    { query: 'SELECT a FROM t WHERE a = 2', value: 1, detail: /gave no row, expected 1/ },
    { query: 'SELECT b FROM t', value: 1, detail: /column "b" does not exist/ },
    { query: 'DELETE FROM t RETURNING a', value: 1, detail: /read-only transaction/ },
    { query: 'COMMIT; DELETE FROM t', value: 1, detail: /multiple commands/ },
  ])('$query is not $value', async ({ query, value, detail }) => {
    expect(await ask(query, value)).toMatchObject({ status: 'failed', detail: expect.stringMatching(detail) });
    expect(await server.query(url, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('a query that hangs is given up, and ends on the server, too', async () => {
    expect(await ask('SELECT pg_sleep(600)', 1)).toMatchObject({ status: 'failed' });
    for (let left = 1; left > 0;)
      left = (
        await server.query(
          url,
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND state = 'active'",
        )
      ).length;
  });

  test('a server that is not there is told without its password', async () => {
    const report = await ask('SELECT 1', 1, { at: 'postgres://me:secret@127.0.0.1:1/x' });
    expect(report.detail).toContain('127.0.0.1:1/x');
    expect(report.detail).not.toContain('secret');
  });
});
