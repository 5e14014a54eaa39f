// What becomes of units in an upgrade, on a real systemd: each ends committed, or rolled back with files, units and states exactly as before.
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect } from 'vitest';
import { startSystemSystemd } from '../../support/systemd-system.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
import { play, type Ending } from './scenario.ts';
import { breaks, daemon, makeWorld, restarts, type Scenario, type World } from './world.ts';

let systemd: TestSystemd;
let system: TestSystemd;
beforeAll(async () => {
  [systemd, system] = await Promise.all([startUserSystemd(), startSystemSystemd()]);
});
let world: World | undefined;
afterEach(async () => {
  await world?.remove();
  world = undefined;
});

const user = (unit: string, more: Readonly<Record<string, string>> = {}) =>
  `{ ${Object.entries({ systemd: unit, scope: 'user', timeout: '15s', stableFor: '300ms', ...more })
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')} }`;
const ofSystem = (unit: string) => user(unit, { scope: 'system' });
/** Behaves until the step has left a mark. */
const worsens = (bad: string, service = '') =>
  `[Service]\nExecStart=/bin/sh -c 'if [ -e /run/worse ]; then ${bad}; fi; echo fine; exec sleep 1000'\n${service}\n`;

interface Row extends Scenario, Ending {
  /** Of the manager; default: the user's. */
  readonly scope?: 'system';
}

const mark = '[ "$1" = backward ] && rm -f /run/worse || touch /run/worse';

const scenarios: readonly Row[] = [
  {
    name: 'a unit is restarted, and its name needs no suffix',
    units: { 'a.service': daemon() },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a') },
    before: ['start a'],
    ends: 'committed',
    reports: { a: 'running' },
    renewed: ['a.service'],
  },
  {
    name: 'an instance of a template is restarted',
    units: { 'worker@.service': daemon() },
    services: { one: user('worker@1'), two: user('worker@2.service') },
    steps: { '001_x.sh': restarts('one') },
    before: ['start worker@1 worker@2'],
    ends: 'committed',
    reports: { one: 'running' },
    renewed: ['worker@1.service'],
  },
  {
    name: 'a timer is restarted, and its service left alone',
    units: { 't.timer': '[Timer]\nOnActiveSec=1h\n', 't.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n' },
    services: { t: user('t.timer') },
    steps: { '001_x.sh': restarts('t') },
    before: ['start t.timer'],
    ends: 'committed',
    reports: { t: 'running' },
    renewed: ['t.timer'],
  },
  {
    name: 'a target takes what is part of it along',
    units: { 'all.target': '[Unit]\nWants=p.service\n', 'p.service': daemon({ unit: 'PartOf=all.target' }) },
    services: { all: user('all.target') },
    steps: { '001_x.sh': restarts('all') },
    before: ['start all.target'],
    ends: 'committed',
    reports: { all: 'running' },
    renewed: ['all.target', 'p.service'],
  },
  {
    name: 'a oneshot unit that remains is run again',
    units: { 'o.service': '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' },
    services: { o: user('o') },
    steps: { '001_x.sh': restarts('o') },
    before: ['start o'],
    ends: 'committed',
    reports: { o: 'running' },
    renewed: ['o.service'],
  },
  {
    name: 'a unit that says itself that it is ready is healthy',
    units: {
      'n.service': `[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\n`,
    },
    services: { n: user('n') },
    steps: { '001_x.sh': restarts('n') },
    before: ['start n'],
    ends: 'committed',
    reports: { n: 'healthy' },
    renewed: ['n.service'],
  },
  {
    name: 'a socket is restarted under the service that runs on it',
    units: {
      's.socket': '[Socket]\nListenStream=%t/s.sock\n',
      's.service': '[Service]\nExecStart=/bin/sleep 1000\n',
    },
    services: { s: user('s.socket') },
    steps: { '001_x.sh': restarts('s') },
    before: ['start s.socket', 'start s.service'],
    ends: 'committed',
    reports: { s: 'running' },
    renewed: ['s.socket', 's.service'],
  },
  {
    name: 'what is stopped for the upgrade is not woken by its socket, and both run again',
    units: {
      's.socket': '[Socket]\nListenStream=%t/s.sock\n',
      's.service': '[Service]\nExecStart=/bin/sleep 1000\n',
    },
    services: { s: user('s', { stopDuringUpgrade: 'true' }) },
    steps: { '001_x.sh': '#!/bin/sh\nsystemctl --user is-active s.socket s.service\n[ $? != 0 ]\n' },
    before: ['start s.socket', 'start s.service'],
    ends: 'committed',
    reports: { s: 'running' },
    renewed: ['s.socket', 's.service'],
  },
  {
    name: 'a disabled unit that runs is restarted and stays disabled',
    units: { 'd.service': daemon() },
    services: { d: user('d') },
    steps: { '001_x.sh': restarts('d') },
    before: ['disable d', 'start d'],
    ends: 'committed',
    reports: { d: 'running' },
    renewed: ['d.service'],
  },
  {
    name: 'only what ran is started: all that are named, masked ones and unknown ones among them',
    units: { 'a.service': daemon(), 'b.service': daemon(), 'm.service': daemon() },
    services: { a: user('a'), b: user('b'), m: user('m'), u: user('unheard-of') },
    steps: { '001_x.sh': restarts('"*"') },
    before: ['start a', 'mask m'],
    ends: 'committed',
    reports: { a: 'running', b: 'not-restarted', m: 'not-restarted', u: 'not-restarted' },
    renewed: ['a.service'],
  },
  {
    name: 'starts that were counted before the upgrade do not keep it from starting a unit',
    units: { 'l.service': daemon({ unit: 'StartLimitBurst=2\nStartLimitIntervalSec=1h' }) },
    services: { l: user('l', { stopDuringUpgrade: 'true' }) },
    steps: { '001_x.sh': '#!/bin/sh\ntrue\n' },
    before: ['start l', 'restart l'],
    ends: 'committed',
    reports: { l: 'running' },
    renewed: ['l.service'],
  },
  {
    name: 'a masked unit that runs is refused before anything happens',
    units: { 'm.service': daemon() },
    services: { m: user('m') },
    steps: { '001_x.sh': restarts('m') },
    before: ['start m', 'mask m'],
    ends: 'refused',
    reports: {},
    failure: 'SYSTEMD_UNIT_MASKED',
  },
  {
    name: 'a circle that systemd closes is refused before anything happens',
    units: { 'a.service': daemon({ unit: 'After=b.service' }), 'b.service': daemon() },
    services: { a: user('a'), b: user('b', { after: '[a]' }) },
    steps: { '001_x.sh': restarts('a') },
    before: ['start a', 'start b'],
    ends: 'refused',
    reports: {},
    failure: 'SERVICE_CYCLE',
  },
  {
    name: 'a unit that the new version breaks at once',
    units: { 'a.service': worsens('echo no such table: users >&2; exit 3') },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SERVICE_ENDED',
    log: /no such table: users/,
    renewed: ['a.service'],
  },
  {
    name: 'a unit whose start fails',
    units: { 'a.service': worsens('exit 0', "ExecStartPre=/bin/sh -c 'test ! -e /run/worse || { echo not like this >&2; exit 4; }'") },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /not like this/,
    renewed: ['a.service'],
  },
  {
    name: 'a unit that always restarts and fails after two seconds, though it was well for as long as it had to be',
    services: { a: user('a'), slow: user('slow', { after: '[a]', stableFor: '3s' }) },
    units: {
      'a.service': worsens('echo trying; sleep 2; echo giving up >&2; exit 7', 'Restart=always\nRestartSec=100ms'),
      'slow.service': daemon(),
    },
    steps: { '001_x.sh': restarts('a, slow', mark) },
    before: ['start a', 'start slow'],
    ends: 'rolled-back',
    reports: { a: 'running', slow: 'running' },
    failure: 'SERVICE_LOST',
    log: /giving up/,
    renewed: ['a.service', 'slow.service'],
  },
  {
    name: 'a unit that is started again and again while it is watched',
    units: { 'a.service': worsens('sleep 0.5; echo giving up >&2; exit 7', 'Restart=always\nRestartSec=100ms\nStartLimitIntervalSec=0') },
    services: { a: user('a', { stableFor: '5s' }) },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SERVICE_UNSTABLE',
    log: /giving up/,
    renewed: ['a.service'],
  },
  {
    name: 'a unit that hits its start limit',
    units: {
      'a.service': `[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1h\n${worsens('exit 7', 'Restart=on-failure\nRestartSec=50ms')}`,
    },
    services: { a: user('a', { stableFor: '2s' }) },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SERVICE_ENDED',
    message: /failed \(.*\) after it was started again 3 times/,
    renewed: ['a.service'],
  },
  {
    name: 'a unit that was well and dies after three seconds, watched by the soak',
    units: { 'a.service': worsens('echo well; sleep 3; echo out of memory >&2; exit 9') },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    config: 'soak: 20s\n',
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SERVICE_LOST',
    log: /out of memory/,
    renewed: ['a.service'],
  },
  {
    name: 'a dependency that fails',
    units: {
      'db.service': worsens('exit 0', "ExecStartPre=/bin/sh -c 'test ! -e /run/worse || { echo db is gone >&2; exit 4; }'"),
      'api.service': daemon({ unit: 'Requires=db.service\nAfter=db.service' }),
    },
    services: { api: user('api'), db: user('db') },
    steps: { '001_x.sh': restarts('api, db', mark) },
    before: ['start api'],
    ends: 'rolled-back',
    reports: { api: 'running', db: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /db is gone/,
    renewed: ['api.service', 'db.service'],
  },
  {
    name: 'a unit that a step has disabled and one that it has masked, when a later step fails',
    units: { 'a.service': daemon(), 'b.service': daemon() },
    services: { a: user('a'), b: user('b') },
    steps: {
      '001_x.sh': '#!/bin/sh\n[ "$1" = backward ] && exit 0\nsystemctl --user disable --now a && systemctl --user mask --now b\n',
      '002_y.sh': breaks,
    },
    before: ['enable --now a', 'start b'],
    ends: 'rolled-back',
    reports: { a: 'running', b: 'running' },
    failure: 'STEP_FAILED',
    renewed: ['a.service', 'b.service'],
  },
  {
    name: 'a unit that a step has enabled and started, when a later step fails',
    units: { 'a.service': daemon() },
    services: { a: user('a') },
    steps: { '001_x.sh': '#!/bin/sh\n[ "$1" = backward ] || systemctl --user enable --now a\n', '002_y.sh': breaks },
    ends: 'rolled-back',
    reports: {},
    failure: 'STEP_FAILED',
  },
  {
    name: 'services that were stopped for an upgrade whose step fails run again',
    units: { 'a.service': daemon(), 'b.service': daemon(), 'idle.service': daemon() },
    services: {
      a: user('a', { stopDuringUpgrade: 'true' }),
      b: user('b', { stopDuringUpgrade: 'true', after: '[a]' }),
      idle: user('idle', { stopDuringUpgrade: 'true' }),
    },
    steps: { '001_x.sh': breaks },
    before: ['start a', 'start b'],
    ends: 'rolled-back',
    reports: { a: 'running', b: 'running' },
    failure: 'STEP_FAILED',
    renewed: ['a.service', 'b.service'],
  },
  {
    name: 'a unit that hangs in its stop is killed when its own time is over, and the upgrade goes on',
    units: { 'h.service': `[Service]\nExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 0.1; done'\nTimeoutStopSec=1s\n` },
    services: { h: user('h') },
    steps: { '001_x.sh': restarts('h') },
    before: ['start h'],
    ends: 'committed',
    reports: { h: 'running' },
    renewed: ['h.service'],
  },
  {
    name: 'a unit whose file a step breaks',
    units: { 'a.service': daemon(), 'a.service.d/own.conf': '[Service]\nEnvironment=ME=old\n' },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', '[ "$1" = backward ] || printf "[Service]\\nExecStart=\\n" > units/a.service.d/own.conf') },
    before: ['start a'],
    ends: 'rolled-back',
    reports: { a: 'running' },
    failure: 'SYSTEMD_ACTION_FAILED',
    log: /bad unit file setting|lacks/,
    renewed: ['a.service'],
  },
  {
    name: 'a unit whose stop takes longer than our deadline',
    units: { 'h.service': daemon({ service: "ExecStop=/bin/sh -c 'test ! -e /run/worse || sleep 5'\nTimeoutStopSec=infinity" }) },
    services: { h: user('h', { timeout: '3s' }) },
    steps: { '001_x.sh': restarts('h', mark) },
    before: ['start h'],
    ends: 'rolled-back',
    reports: { h: 'running' },
    failure: 'SYSTEMD_TIMEOUT',
    message: /deactivating/,
    renewed: ['h.service'],
  },
  {
    name: 'a unit of the system is restarted, and stays enabled',
    scope: 'system',
    units: { 'a.service': daemon({ install: 'WantedBy=tests.target' }), 'b.service': daemon() },
    services: { a: ofSystem('a'), b: ofSystem('b') },
    steps: { '001_x.sh': restarts('a') },
    before: ['enable --now a', 'start b'],
    ends: 'committed',
    reports: { a: 'running' },
    renewed: ['a.service'],
  },
  {
    name: 'a unit of the system that the new version breaks, and one that a step has disabled',
    scope: 'system',
    units: { 'a.service': worsens('echo no such table: users >&2; exit 3'), 'b.service': daemon() },
    services: { a: ofSystem('a'), b: ofSystem('b') },
    steps: {
      '001_x.sh': restarts('a', mark),
      '002_y.sh': '#!/bin/sh\n[ "$1" = backward ] || systemctl --system disable --now b\n',
    },
    before: ['start a', 'enable --now b'],
    ends: 'rolled-back',
    reports: { a: 'running', b: 'running' },
    failure: 'SERVICE_ENDED',
    log: /no such table: users/,
    renewed: ['a.service', 'b.service'],
  },
];

describe('units in an upgrade', () => {
  test.each(scenarios.map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const one = (world = await makeWorld(row.scope === 'system' ? system : systemd, row));
    const units = [
      ...new Set([...(row.renewed ?? []), ...Object.keys(row.units).filter((name) => /^[^@]*\.(service|socket|timer|target)$/.test(name))]),
    ];
    const { before, after } = await play(row, {
      look: one.look,
      starts: async () => Object.fromEntries(await Promise.all(units.map(async (unit) => [unit, await one.invocation(unit)] as const))),
      upgrade: async () => (await one.upgrade()).result,
    });
    if (row.ends === 'committed') expect(after).toEqual({ ...(before as object), version: '1.1.0', tree: expect.anything() });
  });
});

test('where no journal is kept, the failure has what systemd itself knows of the unit', async () => {
  const silent = await startUserSystemd({ hasJournal: false });
  const one = (world = await makeWorld(silent, {
    units: { 'a.service': worsens('exit 3') },
    services: { a: user('a') },
    steps: { '001_x.sh': restarts('a', mark) },
    before: ['start a'],
  }));
  const before = await one.look();
  const { result } = await one.upgrade();
  expect(result).toMatchObject({ outcome: 'rolled-back', failure: { code: 'SERVICE_ENDED' } });
  expect(result.failure?.log?.join('\n')).toMatch(/a\.service.*code=exited, status=3/s);
  expect(await one.look()).toEqual(before);
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
