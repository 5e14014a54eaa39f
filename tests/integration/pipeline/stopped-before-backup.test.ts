// What must not run during the upgrade is stopped before the backup, so that all of it is of one moment; a run that ends there starts it again.
import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fixtures, makeTiny, until, type State, type Tiny } from './installation.ts';

let tiny: Tiny;
let before: State;
beforeEach(async () => {
  tiny = makeTiny();
  await tiny.start();
  before = await tiny.look();
});
afterEach(() => tiny.remove());

interface Told {
  readonly type: string;
  readonly phase?: string;
  readonly action?: string;
}

test('services are down while the backup is made, and one is made', async () => {
  const { code, stdout } = await tiny.upgrade(['--events', '--yes']);
  expect(code).toBe(0);
  const told = stdout
    .split('\n')
    .flatMap((line): Told[] => (line.startsWith('{"type"') || line.includes('"seq"') ? [JSON.parse(line)] : []));
  const keys = told.map(({ type, phase, action }) => [type, phase ?? action].filter(Boolean).join(' '));
  const at = (key: string): number => keys.indexOf(key);
  expect(at('phase-started backup')).toBeGreaterThan(-1);
  expect(at('service stopped')).toBeGreaterThan(at('phase-started backup'));
  expect(at('backup-verified')).toBeGreaterThan(at('service stopped'));
  expect(keys.filter((key) => key === 'backup-verified')).toHaveLength(1);
  expect(await tiny.answer()).not.toBeNull();
  const simultaneous = async (): Promise<unknown> => {
    const [listed] = JSON.parse((await tiny.upgrade(['backup', 'list', '--json'])).stdout);
    expect(JSON.parse(readFileSync(listed.manifest, 'utf8')).simultaneous).toBe(listed.simultaneous);
    return listed.simultaneous;
  };
  expect(await simultaneous()).toBe(true);
  // By hand services run on.
  expect((await tiny.upgrade(['backup', 'create'])).code).toBe(0);
  expect(await simultaneous()).toBe(false);
});

test('a run that is refused after the backup starts them again', async () => {
  const edited = path.join(tiny.migrations, 'v1.0.0_to_v1.1.0/002_stock.sql');
  const { code, stdout } = await tiny.upgrade(['--events', '--yes'], {
    onSpawn: (child) =>
      child.stdout?.on('data', (text: string) => {
        // The plan is frozen by now: the discovery finds another step.
        if (/"phase-started","phase":"backup"/.test(text)) appendFileSync(edited, '\n-- edited\n');
      }),
  });
  expect(code).toBe(3);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ outcome: 'refused', failure: { phase: 'discovery' } });
  expect((await tiny.look()).tree).toEqual(before.tree);
  expect(await tiny.answer()).not.toBeNull();
});

describe.each(['service stopping app#1', 'service stopped app#1', 'backup-verified#1'])('killed at "%s"', (moment) => {
  test.each(['resume', 'rollback'])('%s ends it with the service running', async (way) => {
    const killer = path.join(fixtures, 'programs/kill-at.mjs');
    expect((await tiny.node([killer, tiny.configFile, 'run', 'orchestrator', moment])).signal).toBe('SIGKILL');
    let code: number | null = 75;
    await until('the lock is free', async () => {
      ({ code } = await tiny.upgrade([way, '--json']));
      return code !== 75;
    });
    expect(code).toBe(way === 'resume' ? 0 : 10);
    expect(await tiny.answer()).not.toBeNull();
    if (way === 'rollback') expect((await tiny.look()).tree).toEqual(before.tree);
  });
});
