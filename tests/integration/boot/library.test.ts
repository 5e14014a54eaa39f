// `migrateOnBoot()` in an application's own process: what it resolves and rejects with.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeFleet, textIn, until, type Host, type Started } from './fleet.ts';

const config = `product: single
version: { file: VERSION }
databases: { app: { sqlite: app.db } }
ladders: { main: { dir: db, database: app } }
backup: { include: [VERSION] }
`;
const good = { 'db/001_one.sql': 'CREATE TABLE one (id INTEGER PRIMARY KEY);\n-- backward\nDROP TABLE one;\n' };
const broken = { ...good, 'db/002_broken.sql': 'INSERT INTO nowhere VALUES (1);\n-- backward\nSELECT 1;\n' };
const gated = {
  ...good,
  'db/002_gate.sh':
    '#!/bin/sh\n# rungs: { idempotent: true }\n[ "$1" = backward ] && exit 0\ntouch begun\nwhile [ ! -e go ]; do sleep 0.02; done\n',
};

function hostWith(files: Readonly<Record<string, string>>): Host {
  const inHost = Object.fromEntries(Object.entries({ VERSION: '1.0.0\n', ...files }).map(([file, text]) => [`host/${file}`, text]));
  const [host] = makeFleet({ config, files: inHost, hosts: 1, isOneFolder: true }).hosts;
  if (host === undefined) throw new Error('no host');
  return host;
}

/** What the application said: the result that it got, or the error. */
async function answerOf(started: Started): Promise<unknown> {
  const { stdout, stderr } = await started.ended;
  expect(stdout, stderr).not.toBe('');
  return JSON.parse(stdout.split('\n')[0] ?? '');
}

test('resolves with the result, and with nothing to do the second time', async () => {
  const host = hostWith(good);
  expect(await answerOf(host.startApplication({}))).toMatchObject({
    result: { outcome: 'committed', product: 'single', steps: [{ id: 'main/001_one', status: 'applied' }], failure: null },
  });
  expect(await answerOf(host.startApplication({}))).toMatchObject({ result: { outcome: 'nothing-to-do', runId: null, steps: [] } });
});

test('rejects where a step fails: a bare await does not go on; the result is the cause', async () => {
  const host = hostWith(broken);
  expect(await answerOf(host.startApplication({}))).toMatchObject({
    name: 'UpgradeError',
    cause: 'rolled-back',
    failures: [{ code: 'STEP_FAILED', step: 'main/002_broken' }],
  });
});

test('start-anyway resolves with what failed, also where nothing could be begun', async () => {
  const host = hostWith(broken);
  const options = { onFailure: 'start-anyway' };
  expect(await answerOf(host.startApplication(options))).toMatchObject({
    result: { outcome: 'rolled-back', failure: { step: 'main/002_broken' } },
  });
  writeFileSync(path.join(host.root, 'upgrade.yaml'), 'produckt: x\n');
  const refused = await answerOf(host.startApplication(options));
  expect(refused).toMatchObject({ result: { outcome: 'refused', product: '' } });
  expect(JSON.stringify(refused)).toContain('UNKNOWN_KEY');
});

test('the environment counts as for the command', async () => {
  const host = hostWith(broken);
  const off = host.startApplication({}, [], { AUTO_MIGRATE: 'false' });
  expect(await answerOf(off)).toMatchObject({ result: { outcome: 'nothing-to-do', product: '' } });
  expect(off.heard()).toContain('{"type":"disabled"}');
  expect(textIn(path.join(host.root, '.upgrade/journal.db'))).toBeNull();
  const wrong = host.startApplication({ onFailure: 'start-anyway' }, [], { MIGRATION_TIMEOUT_MS: 'soon' });
  expect(await answerOf(wrong)).toMatchObject({ failures: [{ code: 'BOOT_ENVIRONMENT' }] });
});

test('waits for another process, which is named; an aborted signal ends the waiting, and then nothing starts', async () => {
  const host = hostWith(gated);
  const holder = host.start(['boot']);
  await until('the step waits', () => textIn(path.join(host.root, 'begun')) !== null);
  const late = await answerOf(host.startApplication({ lockTimeoutMs: 0 }));
  expect(late).toMatchObject({ cause: null, failures: [{ code: 'LOCK_HELD' }] });
  expect(JSON.stringify(late)).toContain(`process ${holder.child.pid}`);
  const stopped = host.startApplication({ onFailure: 'start-anyway' });
  const patient = host.startApplication({});
  for (const one of [stopped, patient]) await until('it waits', () => one.heard().includes('"type":"waiting"'));
  stopped.child.kill('SIGTERM');
  expect(await answerOf(stopped)).toMatchObject({ failures: [{ code: 'CANCELLED' }] });
  writeFileSync(path.join(host.root, 'go'), '');
  expect(await answerOf(patient)).toMatchObject({ result: { outcome: 'nothing-to-do' } });
  expect((await holder.ended).code).toBe(0);
});
