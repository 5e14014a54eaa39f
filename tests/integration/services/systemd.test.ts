// What becomes of units in an upgrade, on a real systemd: each ends committed, or rolled back with files, units and states exactly as before.
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import type { FailureCode } from '../../../src/model/failure.ts';
import type { Outcome, ServiceReport } from '../../../src/model/run.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
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

const user = (unit: string, { stableFor = '300ms', ...more }: Readonly<Record<string, string>> = {}) =>
  `{ ${Object.entries({ systemd: unit, scope: 'user', timeout: '15s', stableFor, ...more })
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')} }`;
/** Behaves until the step has left a mark. */
const worsens = (bad: string, service = '') =>
  `[Service]\nExecStart=/bin/sh -c 'if [ -e %h/worse ]; then ${bad}; fi; echo fine; exec sleep 1000'\n${service}\n`;

interface Row extends Scenario {
  readonly why: string;
  readonly outcome: Outcome;
  /** Of the services in the result, in any order. */
  readonly services_: Readonly<Record<string, ServiceReport['status']>>;
  readonly failure?: FailureCode;
  readonly log?: RegExp;
  /** Of the failure. */
  readonly message?: RegExp;
  /** Which are other processes afterwards. */
  readonly renewed?: readonly string[];
}

const mark = '[ "$1" = backward ] && rm -f "$HOME/worse" || touch "$HOME/worse"';

const rows: readonly Row[] = [
  {
    why: 'a unit is restarted, and its name needs no suffix',
    units: { 'a.service': daemon() },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a') },
    before: ['start a'],
    outcome: 'committed',
    services_: { a: 'running' },
    renewed: ['a.service'],
  },
  {
    why: 'an instance of a template is restarted',
    units: { 'worker@.service': daemon() },
    services: { one: user('worker@1'), two: user('worker@2.service') },
    steps: { '001_x.sh': restarts('one') },
    before: ['start worker@1 worker@2'],
    outcome: 'committed',
    services_: { one: 'running' },
    renewed: ['worker@1.service'],
  },
  {
    why: 'a timer is restarted, and its service left alone',
    units: { 't.timer': '[Timer]\nOnActiveSec=1h\n', 't.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n' },
    services: { t: user('t.timer') },
    steps: { '001_x.sh': restarts('t') },
    before: ['start t.timer'],
    outcome: 'committed',
    services_: { t: 'running' },
    renewed: ['t.timer'],
  },
  {
    why: 'a target takes what is part of it along',
    units: { 'all.target': '[Unit]\nWants=p.service\n', 'p.service': daemon({ unit: 'PartOf=all.target' }) },
    services: { all: user('all.target') },
    steps: { '001_x.sh': restarts('all') },
    before: ['start all.target'],
    outcome: 'committed',
    services_: { all: 'running' },
    renewed: ['all.target', 'p.service'],
  },
  {
    why: 'a oneshot unit that remains is run again',
    units: { 'o.service': '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' },
    services: { o: user('o') },
    steps: { '001_x.sh': restarts('o') },
    before: ['start o'],
    outcome: 'committed',
    services_: { o: 'running' },
    renewed: ['o.service'],
  },
  {
    why: 'a unit that says itself that it is ready is healthy',
    units: {
      'n.service': `[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\n`,
    },
    services: { n: user('n') },
    steps: { '001_x.sh': restarts('n') },
    before: ['start n'],
    outcome: 'committed',
    services_: { n: 'healthy' },
    renewed: ['n.service'],
  },
  {
    why: 'a socket is restarted under the service that runs on it',
    units: {
      's.socket': '[Socket]\nListenStream=%t/s.sock\n',
      's.service': '[Service]\nExecStart=/bin/sleep 1000\n',
    },
    services: { s: user('s.socket') },
    steps: { '001_x.sh': restarts('s') },
    before: ['start s.socket', 'start s.service'],
    outcome: 'committed',
    services_: { s: 'running' },
    renewed: ['s.socket', 's.service'],
  },
  {
    why: 'what is stopped for the upgrade is not woken by its socket, and both run again',
    units: {
      's.socket': '[Socket]\nListenStream=%t/s.sock\n',
      's.service': '[Service]\nExecStart=/bin/sleep 1000\n',
    },
    services: { s: user('s', { stopDuringUpgrade: 'true' }) },
    steps: { '001_x.sh': '#!/bin/sh\nsystemctl --user is-active s.socket s.service\n[ $? != 0 ]\n' },
    before: ['start s.socket', 'start s.service'],
    outcome: 'committed',
    services_: { s: 'running' },
    renewed: ['s.socket', 's.service'],
  },
  {
    why: 'a disabled unit that runs is restarted and stays disabled',
    units: { 'd.service': daemon() },
    services: { d: user('d') },
    steps: { '001_x.sh': restarts('d') },
    before: ['disable d', 'start d'],
    outcome: 'committed',
    services_: { d: 'running' },
    renewed: ['d.service'],
  },
  {
    why: 'only what ran is started: all that are named, masked ones and unknown ones among them',
    units: { 'a.service': daemon(), 'b.service': daemon(), 'm.service': daemon() },
    services: { a: user('a'), b: user('b'), m: user('m'), u: user('unheard-of') },
    steps: { '001_x.sh': restarts('"*"') },
    before: ['start a', 'mask m'],
    outcome: 'committed',
    services_: { a: 'running', b: 'not-restarted', m: 'not-restarted', u: 'not-restarted' },
    renewed: ['a.service'],
  },
  {
    why: 'starts that were counted before the upgrade do not keep it from starting a unit',
    units: { 'l.service': daemon({ unit: 'StartLimitBurst=2\nStartLimitIntervalSec=1h' }) },
    services: { l: user('l', { stopDuringUpgrade: 'true' }) },
    steps: { '001_x.sh': '#!/bin/sh\ntrue\n' },
    before: ['start l', 'restart l'],
    outcome: 'committed',
    services_: { l: 'running' },
    renewed: ['l.service'],
  },
  {
    why: 'a masked unit that runs is refused before anything happens',
    units: { 'm.service': daemon() },
    services: { m: user('m') },
    steps: { '001_x.sh': restarts('m') },
    before: ['start m', 'mask m'],
    outcome: 'refused',
    services_: {},
    failure: 'SYSTEMD_UNIT_MASKED',
  },
  {
    why: 'a circle that systemd closes is refused before anything happens',
    units: { 'a.service': daemon({ unit: 'After=b.service' }), 'b.service': daemon() },
    services: { a: user('a'), b: user('b', { after: '[a]' }) },
    steps: { '001_x.sh': restarts('a') },
    before: ['start a', 'start b'],
    outcome: 'refused',
    services_: {},
    failure: 'SERVICE_CYCLE',
  },
  {
    why: 'a unit that the new version breaks at once',
    units: { 'a.service': worsens('echo no such table: users >&2; exit 3') },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SERVICE_ENDED',
    log: /no such table: users/,
    renewed: ['a.service'],
  },
  {
    why: 'a unit whose start fails',
    units: { 'a.service': worsens('exit 0', "ExecStartPre=/bin/sh -c 'test ! -e %h/worse || { echo not like this >&2; exit 4; }'") },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /not like this/,
    renewed: ['a.service'],
  },
  {
    why: 'a unit that always restarts and fails after two seconds, though it was well for as long as it had to be',
    services: { a: user('a'), slow: user('slow', { after: '[a]', stableFor: '3s' }) },
    units: {
      'a.service': worsens('echo trying; sleep 2; echo giving up >&2; exit 7', 'Restart=always\nRestartSec=100ms'),
      'slow.service': daemon(),
    },
    steps: { '001_x.sh': restarts('a, slow', mark) },
    before: ['start a', 'start slow'],
    outcome: 'rolled-back',
    services_: { a: 'running', slow: 'running' },
    failure: 'SERVICE_LOST',
    log: /giving up/,
    renewed: ['a.service', 'slow.service'],
  },
  {
    why: 'a unit that is started again and again while it is watched',
    units: { 'a.service': worsens('sleep 0.5; echo giving up >&2; exit 7', 'Restart=always\nRestartSec=100ms\nStartLimitIntervalSec=0') },
    services: { a: user('a', { stableFor: '5s' }) },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SERVICE_UNSTABLE',
    log: /giving up/,
    renewed: ['a.service'],
  },
  {
    why: 'a unit that hits its start limit',
    units: {
      'a.service': `[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1h\n${worsens('exit 7', 'Restart=on-failure\nRestartSec=50ms')}`,
    },
    services: { a: user('a', { stableFor: '2s' }) },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SERVICE_ENDED',
    message: /failed \(.*\) after it was started again 3 times/,
    renewed: ['a.service'],
  },
  {
    why: 'a unit that was well and dies after three seconds, watched by the soak',
    units: { 'a.service': worsens('echo well; sleep 3; echo out of memory >&2; exit 9') },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    config: 'soak: 20s\n',
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SERVICE_LOST',
    log: /out of memory/,
    renewed: ['a.service'],
  },
  {
    why: 'a dependency that fails',
    units: {
      'db.service': worsens('exit 0', "ExecStartPre=/bin/sh -c 'test ! -e %h/worse || { echo db is gone >&2; exit 4; }'"),
      'api.service': daemon({ unit: 'Requires=db.service\nAfter=db.service' }),
    },
    services: { api: user('api'), db: user('db') },
    steps: { '001_x.sh': restarts('api, db', mark) },
    before: ['start api'],
    outcome: 'rolled-back',
    services_: { api: 'running', db: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /db is gone/,
    renewed: ['api.service', 'db.service'],
  },
  {
    why: 'a unit that a step has disabled and one that it has masked, when a later step fails',
    units: { 'a.service': daemon(), 'b.service': daemon() },
    services: { a: user('a'), b: user('b') },
    steps: {
      '001_x.sh': '#!/bin/sh\n[ "$1" = backward ] && exit 0\nsystemctl --user disable --now a && systemctl --user mask --now b\n',
      '002_y.sh': breaks,
    },
    before: ['enable --now a', 'start b'],
    outcome: 'rolled-back',
    services_: { a: 'running', b: 'running' },
    failure: 'STEP_FAILED',
    renewed: ['a.service', 'b.service'],
  },
  {
    why: 'a unit that a step has enabled and started, when a later step fails',
    units: { 'a.service': daemon() },
    services: { a: user('a') },
    steps: { '001_x.sh': '#!/bin/sh\n[ "$1" = backward ] || systemctl --user enable --now a\n', '002_y.sh': breaks },
    outcome: 'rolled-back',
    services_: {},
    failure: 'STEP_FAILED',
  },
  {
    why: 'services that were stopped for an upgrade whose step fails run again',
    units: { 'a.service': daemon(), 'b.service': daemon(), 'idle.service': daemon() },
    services: {
      a: user('a', { stopDuringUpgrade: 'true' }),
      b: user('b', { stopDuringUpgrade: 'true', after: '[a]' }),
      idle: user('idle', { stopDuringUpgrade: 'true' }),
    },
    steps: { '001_x.sh': breaks },
    before: ['start a', 'start b'],
    outcome: 'rolled-back',
    services_: { a: 'running', b: 'running' },
    failure: 'STEP_FAILED',
    renewed: ['a.service', 'b.service'],
  },
  {
    why: 'a unit that hangs in its stop is killed when its own time is over, and the upgrade goes on',
    units: { 'h.service': `[Service]\nExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 0.1; done'\nTimeoutStopSec=1s\n` },
    services: { h: user('h') },
    steps: { '001_x.sh': restarts('h') },
    before: ['start h'],
    outcome: 'committed',
    services_: { h: 'running' },
    renewed: ['h.service'],
  },
  {
    why: 'a unit whose file a step breaks',
    units: { 'a.service': daemon(), 'a.service.d/own.conf': '[Service]\nEnvironment=ME=old\n' },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', '[ "$1" = backward ] || printf "[Service]\\nExecStart=\\n" > units/a.service.d/own.conf') },
    before: ['start a'],
    outcome: 'rolled-back',
    services_: { a: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /bad unit file setting|lacks/,
    renewed: ['a.service'],
  },
];

describe('units in an upgrade', () => {
  test.each(rows)('$why', async ({ outcome, services_, failure, log, message, renewed = [], ...scenario }) => {
    world = await makeWorld(systemd, scenario);
    const { invocation } = world;
    const units = [
      ...new Set([...renewed, ...Object.keys(scenario.units).filter((name) => /^[^@]*\.(service|socket|timer|target)$/.test(name))]),
    ];
    const starts = async () => Object.fromEntries(await Promise.all(units.map(async (unit) => [unit, await invocation(unit)] as const)));
    const [before, startsBefore] = [await world.look(), await starts()];
    const { result } = await world.upgrade();
    expect(result.failure?.code).toBe(failure);
    expect(result.outcome).toBe(outcome);
    expect(Object.fromEntries(result.services.map(({ name, status }) => [name, status]))).toEqual(services_);
    if (message !== undefined) expect(result.failure?.message).toMatch(message);
    if (log !== undefined) expect(result.failures.flatMap((one) => one.log ?? []).join('\n')).toMatch(log);
    const startsAfter = await starts();
    expect(units.filter((unit) => startsAfter[unit] !== startsBefore[unit]).toSorted()).toEqual(renewed.toSorted());
    const after = await world.look();
    if (outcome === 'committed') expect(after).toEqual({ ...(before as object), version: '1.1.0', tree: expect.anything() });
    else expect(after).toEqual(before);
    for (const { status, why } of result.services) if (status === 'not-restarted') expect(why).toMatch(/did not run/);
  });
});

describe('unit files that a step changes', () => {
  const scenario: Scenario = {
    units: { 'a.service': daemon(), 'a.service.d/own.conf': '[Service]\nEnvironment=ME=old\n' },
    services: { a: user('a') },
    steps: {
      '001_x.sh': restarts('a', '[ "$1" = backward ] || printf "[Service]\\nEnvironment=ME=new\\n" > units/a.service.d/own.conf'),
    },
    before: ['start a'],
  };
  const lines = async () => systemd.run(['journalctl', '--user-unit', 'a.service', '-o', 'cat', '--no-pager', '-n', '2']);

  test('are read before the restart', async () => {
    world = await makeWorld(systemd, scenario);
    expect((await world.upgrade()).result.outcome).toBe('committed');
    expect(await lines()).toContain('I am new');
    expect(await world.systemctl('show', '-p', 'NeedDaemonReload', 'a')).toContain('=no');
  });

  test('are read again when a rollback has put them back', async () => {
    world = await makeWorld(systemd, { ...scenario, config: 'verify:\n  - { name: never, command: ["false"], within: 1s }\n' });
    const before = await world.look();
    const { result } = await world.upgrade();
    expect(result).toMatchObject({ outcome: 'rolled-back', failure: { code: 'VERIFY_FAILED' } });
    expect(await lines()).toContain('I am old');
    expect(await world.look()).toEqual(before);
    expect(readFileSync(path.join(world.root, 'units/a.service.d/own.conf'), 'utf8')).toContain('ME=old');
  });
});
