// M.O.S.S.'s own promise, kept: containers of one image start together, one migrates, the others wait and start; its environment variables count.
import { appendFileSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect } from 'vitest';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { makeFleet, repository, until } from './fleet.ts';

const tree = path.join(repository, 'tests/fixtures/moss');
const config = readFileSync(path.join(tree, 'upgrade.yaml'), 'utf8');
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

testWithPostgres('three containers of the image start on an empty database: each migration ran once, and every one serves', async () => {
  const url = await postgres.database();
  const env = { DATABASE_URL: url, AUTO_MIGRATE: 'true', MIGRATION_TIMEOUT_MS: '300000', MIGRATION_LOCK_TIMEOUT_MS: '60000' };
  // What containers share is the database, so that is where the journal goes.
  const fleet = makeFleet({ config: `${config}journal: { postgres: "\${DATABASE_URL}" }\n`, files: {}, hosts: 3, env });
  for (const { root } of fleet.hosts) {
    for (const part of ['migrations', 'package.json']) cpSync(path.join(tree, part), path.join(root, part), { recursive: true });
  }
  const serve = ['boot', '--', 'sh', '-c', 'echo serving'];
  const ended = await Promise.all(fleet.hosts.map(async (host) => host.start(serve).ended));
  for (const { code, stdout, stderr } of ended) expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'serving\n' });
  const files = readdirSync(path.join(tree, 'migrations')).filter((name) => /^\d{3}_/.test(name));
  const steps = await postgres.query(url, 'SELECT number FROM rungs.ladder_steps ORDER BY number');
  expect(steps.map(({ number }) => Number(number))).toEqual(files.map((name) => Number(name.slice(0, 3))).toSorted((a, b) => a - b));
  expect(await postgres.query(url, 'SELECT outcome FROM rungs.runs')).toEqual([{ outcome: 'committed' }]);
  expect(await postgres.query(url, "SELECT to_regclass('devices') IS NOT NULL AS made")).toEqual([{ made: true }]);
  const [again] = await Promise.all(fleet.hosts.slice(0, 1).map(async (host) => host.start(serve).ended));
  expect(again?.stderr).toContain('boot: nothing to do');
});

testWithPostgres('a database that is still starting is waited for, and said to be', async () => {
  const url = await postgres.database();
  const [other, journal] = [await postgres.database(), await postgres.database()];
  const patient = config.replace('attempts: 5, backoff: 1s', 'attempts: 20, backoff: 100ms');
  expect(patient).not.toBe(config);
  const fleet = makeFleet({ config: patient, files: {}, hosts: 2, env: { DATABASE_URL: url, JOURNAL_URL: journal } });
  for (const { root } of fleet.hosts) {
    for (const part of ['migrations', 'package.json']) cpSync(path.join(tree, part), path.join(root, part), { recursive: true });
  }
  const [alone, shared] = fleet.hosts;
  if (alone === undefined || shared === undefined) throw new Error('no hosts');
  appendFileSync(path.join(shared.root, 'upgrade.yaml'), 'journal: { postgres: "${JOURNAL_URL}" }\n');
  postgres.stop('fast');
  const waiting = [alone.start(['boot', '--', 'true'], { DATABASE_URL: other }), shared.start(['boot', '--', 'true'])];
  for (const [at, name] of ['main', 'journal'].entries())
    await until(
      `it says that ${name} is silent`,
      () => waiting[at]?.heard().includes(`boot: ${name} (127.0.0.1:${postgres.port}/`) === true,
    );
  // Asked to stop, it stops.
  const stopped = alone.start(['boot', '--', 'true']);
  await until('it waits', () => stopped.heard().includes('does not answer yet'));
  stopped.child.kill('SIGTERM');
  expect((await stopped.ended).code).toBe(143);
  postgres.start();
  for (const one of waiting) {
    const { code, stderr } = await one.ended;
    expect(code, stderr).toBe(0);
  }
});
