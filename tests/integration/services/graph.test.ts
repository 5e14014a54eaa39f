// One graph over all kinds: who waits for whom, on a real systemd and with commands beside it.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, expect } from 'vitest';
import type { UpgradeEvent } from '../../../src/model/event.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
import { daemon, makeWorld, restarts, type World } from './world.ts';

let systemd: TestSystemd;
beforeAll(async () => {
  systemd = await startUserSystemd();
});
let world: World | undefined;
afterEach(async () => {
  await world?.remove();
  world = undefined;
});

async function eventsOf(one: World): Promise<readonly UpgradeEvent[]> {
  const { stdout } = await one.run('--events', '--yes');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as UpgradeEvent);
  return lines.filter(({ type }) => type !== undefined);
}

const user = (unit: string, more = '') => `{ systemd: ${unit}, scope: user, stableFor: 100ms, timeout: 60s${more} }`;

test('services of several kinds stop dependents first, and start in the other order', async () => {
  world = await makeWorld(systemd, {
    units: { 'db.service': daemon(), 'api.service': daemon({ unit: 'After=db.service' }) },
    services: {
      web: '{ command: { stop: [rm, -f, web.up], start: [touch, web.up], status: [cat, web.up] }, after: [api], stopDuringUpgrade: true, stableFor: 100ms }',
      api: user('api', ', stopDuringUpgrade: true'),
      db: user('db', ', stopDuringUpgrade: true'),
    },
    steps: { '001_x.sh': '#!/bin/sh\ntrue\n' },
    before: ['start db api'],
  });
  writeFileSync(path.join(world.root, 'web.up'), '');
  const told = (await eventsOf(world)).flatMap((event) => (event.type === 'service' ? [`${event.action} ${event.service}`] : []));
  expect(told).toEqual([
    ...['web', 'api', 'db'].flatMap((name) => [`stopping ${name}`, `stopped ${name}`]),
    ...['db', 'api', 'web'].flatMap((name) => [`starting ${name}`, `waiting ${name}`]),
  ]);
});

test('twenty services that do not wait for each other take no longer than 1.3 times the slowest one', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
  // Each takes its time to be ready, so that one after the other would take twenty times as long.
  const unit = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'sleep 4; systemd-notify --ready; exec sleep 1000'\n";
  world = await makeWorld(systemd, {
    units: Object.fromEntries(names.map((name) => [`${name}.service`, unit])),
    services: Object.fromEntries(names.map((name) => [name, user(name)])),
    steps: { '001_x.sh': restarts('"*"') },
    before: [`start ${names.join(' ')}`],
  });
  const events = await eventsOf(world);
  const at = (type: string, name: string) => {
    const event = events.find(
      (one) => one.type === type && (one.type === 'service' ? one.service : one.type === 'service-settled' ? one.report.name : '') === name,
    );
    return Date.parse(event?.at ?? '');
  };
  const took = names.map((name) => at('service-settled', name) - at('service', name));
  const all = Math.max(...names.map((name) => at('service-settled', name))) - Math.min(...names.map((name) => at('service', name)));
  expect(all / Math.max(...took)).toBeLessThanOrEqual(1.3);
});
