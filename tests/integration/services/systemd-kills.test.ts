// kill -9 while units are restarted: then resume finishes the upgrade.
import path from 'node:path';
import { afterEach, beforeAll, expect } from 'vitest';
import type { ResultDocument } from '../../../src/model/run.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
import { until } from '../../support/until.ts';
import { daemon, makeWorld, restarts, type Scenario, type World } from './world.ts';

let systemd: TestSystemd;
beforeAll(async () => {
  systemd = await startUserSystemd();
});
let world: World | undefined;
afterEach(async () => {
  await world?.remove();
  world = undefined;
});

const killer = path.resolve(import.meta.dirname, '../../fixtures/pipeline/programs/kill-at.mjs');
const service = (unit: string, more: string) => `{ systemd: ${unit}, scope: user, stableFor: 100ms, timeout: 20s${more} }`;
const scenario: Scenario = {
  units: { 'a.service': daemon(), 'b.service': daemon({ unit: 'After=a.service' }), 'idle.service': daemon() },
  services: { a: service('a', ''), b: service('b', ', stopDuringUpgrade: true'), idle: service('idle', '') },
  steps: { '001_x.sh': restarts('a, idle') },
  before: ['enable a', 'start a b'],
};

/** As soon as the lock is free: what the killed one left behind may still be ending. */
async function takeUp(one: World, command: 'resume'): Promise<ResultDocument> {
  return until('the lock to be free', async () => {
    const { code, stdout, stderr } = await one.run(command, '--json');
    if (code === 75) return null;
    if (stdout === '') throw new Error(`no document (exit ${code}): ${stderr}`);
    return JSON.parse(stdout) as ResultDocument;
  });
}

test('killed while a restarted unit is waited for, the upgrade is finished by resume', async () => {
  world = await makeWorld(systemd, scenario);
  const before = await world.look();
  await world.node(killer, path.join(world.root, 'upgrade.yaml'), 'run', 'orchestrator', 'service waiting a#1');
  expect((await takeUp(world, 'resume')).outcome).toBe('committed');
  expect(await world.look()).toEqual({ ...(before as object), version: '1.1.0', tree: expect.anything() });
});
