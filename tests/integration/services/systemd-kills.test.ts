// kill -9 at each event while units are stopped, restarted and waited for: then resume finishes the upgrade, and rollback undoes it.
import path from 'node:path';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import type { ResultDocument } from '../../../src/model/run.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
import { until } from '../../support/until.ts';
import { breaks, daemon, makeWorld, restarts, type Scenario, type World } from './world.ts';

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
async function takeUp(one: World, command: 'resume' | 'rollback'): Promise<ResultDocument> {
  return until('the lock to be free', async () => {
    const { code, stdout, stderr } = await one.run(command, '--json');
    if (code === 75) return null;
    if (stdout === '') throw new Error(`no document (exit ${code}): ${stderr}`);
    return JSON.parse(stdout) as ResultDocument;
  });
}

const forwards = [
  'service stopping b#1',
  'service stopped b#1',
  'service restarting a#1',
  'service waiting a#1',
  'service-settled a#1',
  'service starting b#1',
  'service waiting b#1',
  'service-settled b#1',
];

describe.each(forwards)('killed at "%s"', (key) => {
  test.each(['resume', 'rollback'] as const)('%s brings it to its end', async (command) => {
    world = await makeWorld(systemd, scenario);
    const before = await world.look();
    await world.node(killer, path.join(world.root, 'upgrade.yaml'), 'run', 'orchestrator', key);
    const { outcome } = await takeUp(world, command);
    expect(outcome).toBe(command === 'resume' ? 'committed' : 'rolled-back');
    const after = await world.look();
    expect(after).toEqual(command === 'resume' ? { ...(before as object), version: '1.1.0', tree: expect.anything() } : before);
  });
});

describe('killed while a rollback puts services back', () => {
  // The step fails before anything is started forwards: the first start is the one that puts it back.
  test.each(['service starting b#1', 'service waiting b#1', 'service-settled b#1'])('at "%s": resume ends it', async (key) => {
    world = await makeWorld(systemd, { ...scenario, steps: { '001_x.sh': restarts('a'), '002_y.sh': breaks } });
    const before = await world.look();
    await world.node(killer, path.join(world.root, 'upgrade.yaml'), 'run', 'orchestrator', key);
    expect((await takeUp(world, 'resume')).outcome).toBe('rolled-back');
    expect(await world.look()).toEqual(before);
  });
});
