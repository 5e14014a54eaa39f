// What `upgrade boot -- CMD` does around the run: whether CMD is started, as which process, with which exit code, and what is said.
import { chmodSync, constants, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { testAsRoot } from '../../support/needs.ts';
import { makeFleet, textIn, until, type Host } from './fleet.ts';

const config = `product: single
version: { file: VERSION }
databases: { app: { sqlite: app.db } }
ladders: { main: { dir: db, database: app } }
backup: { include: [VERSION] }
`;
const table = (name: string): string => `CREATE TABLE ${name} (id INTEGER PRIMARY KEY);\n-- backward\nDROP TABLE ${name};\n`;
/** Waits until the test lets it go on. */
const gated =
  '#!/bin/sh\n# rungs: { idempotent: true }\n[ "$1" = backward ] && exit 0\necho x >> begun\nwhile [ ! -e go ]; do sleep 0.02; done\n';
const failing = 'CREATE TABLE half (id INTEGER PRIMARY KEY);\nINSERT INTO nowhere VALUES (1);\n-- backward\nSELECT 1;\n';

function hostWith(files: Readonly<Record<string, string>>, { more = '', hosts = 1 } = {}): Host {
  const inHost = Object.fromEntries(Object.entries({ VERSION: '1.0.0\n', ...files }).map(([file, text]) => [`host/${file}`, text]));
  const [host] = makeFleet({ config: config + more, files: inHost, hosts, isOneFolder: true }).hosts;
  if (host === undefined) throw new Error('no host');
  return host;
}

const one = { 'db/001_one.sql': table('one') };
const broken = { ...one, 'db/002_broken.sql': failing };
const sayStarted = ['--', 'sh', '-c', 'echo started; exit 7'];

test('the command is the same process, with its own exit code, its own stdout and its arguments as they are', async () => {
  const host = hostWith(one);
  const started = host.start(['boot', '--', 'sh', '-c', 'echo $$ "$@"; exit 7', 'sh', 'a b', '--json', '']);
  const { code, stdout, stderr } = await started.ended;
  expect(stdout).toBe(`${started.child.pid} a b --json \n`);
  expect(code).toBe(7);
  expect(stderr).toContain('single has climbed its ladders');
  expect(stderr).toMatch(/boot: starting sh\n$/);
  const again = await host.start(['boot', ...sayStarted]).ended;
  expect(again).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(again.stderr).toMatch(/^boot: nothing to do, at 1\.0\.0 \(.*\)\nboot: starting sh\n$/);
});

test('signals reach the command, and it starts with none of them ignored', async () => {
  const host = hostWith(one);
  const started = host.start([
    'boot',
    '--',
    'sh',
    '-c',
    'trap "exit 42" TERM; grep SigIgn /proc/$$/status > ready.new; mv ready.new ready; while :; do sleep 0.02; done',
  ]);
  await until('it is ready', () => textIn(path.join(host.root, 'ready')) !== null);
  expect(textIn(path.join(host.root, 'ready'))).toMatch(/^SigIgn:\s+0+\n$/);
  started.child.kill('SIGTERM');
  expect(await started.ended).toMatchObject({ code: 42 });
  const killed = host.start(['boot', '--', 'sh', '-c', 'kill -KILL $$']);
  expect(await killed.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
});

test('its standard streams wait where they are full, as every program expects', async () => {
  const { code, stdout } = await hostWith(one).start([
    'boot',
    '--',
    'sh',
    '-c',
    'cat /proc/$$/fdinfo/0 /proc/$$/fdinfo/1 /proc/$$/fdinfo/2',
  ]).ended;
  const flags = [...stdout.matchAll(/^flags:\s+(\d+)$/gm)].map(([, octal = '']) => Number.parseInt(octal, 8));
  expect(code).toBe(0);
  expect(flags).toHaveLength(3);
  for (const each of flags) expect(each & constants.O_NONBLOCK).toBe(0);
});

test('where the process cannot be replaced, signals are passed on and the exit code is passed through', async () => {
  const host = hostWith(one);
  const env = { NODE_OPTIONS: '--import=data:text/javascript,delete%20process.execve' };
  const started = host.start(
    ['boot', '--', 'sh', '-c', 'trap "exit 42" TERM; echo $$ > ready.new; mv ready.new ready; while :; do sleep 0.02; done'],
    env,
  );
  await until('it is ready', () => textIn(path.join(host.root, 'ready')) !== null);
  expect(Number(textIn(path.join(host.root, 'ready')))).not.toBe(started.child.pid);
  started.child.kill('SIGTERM');
  expect(await started.ended).toMatchObject({ code: 42 });
  expect(await host.start(['boot', '--', 'sh', '-c', 'kill -USR1 $$'], env).ended).toMatchObject({ code: 138 });
});

testAsRoot('unshare')('as the first process of a container: migrates, becomes the command, and leaves nobody behind', async () => {
  const host = hostWith({ ...one, 'db/002_two.sh': '#!/bin/sh\n# rungs: { idempotent: true }\nexit 0\n' });
  const executable = path.resolve(import.meta.dirname, '../../../bin/upgrade.mjs');
  writeFileSync(
    path.join(host.root, 'container'),
    `#!/bin/sh\nunset AUTO_MIGRATE\nexec unshare --pid --fork --mount-proc --kill-child -- "${process.execPath}" "${executable}" boot -- sh -c 'echo $$; grep -l "^State:.Z" /proc/[0-9]*/status; exit 7'\n`,
  );
  chmodSync(path.join(host.root, 'container'), 0o755);
  // AUTO_MIGRATE off: this one is only there to start the container.
  const { code, stdout, stderr } = await host.start(['boot', '--', './container'], { AUTO_MIGRATE: 'false' }).ended;
  expect({ code, stdout }, stderr).toEqual({ code: 7, stdout: '1\n' });
  expect(stderr).toContain('single has climbed its ladders');
});

test.each([
  { cmd: ['no-such-program'], code: 127, says: 'BOOT_PROGRAM_MISSING' },
  { cmd: ['./no/such'], code: 127, says: 'BOOT_PROGRAM_MISSING' },
  { cmd: ['./db'], code: 126, says: 'BOOT_PROGRAM_NOT_EXECUTABLE' },
  { cmd: ['./VERSION'], code: 126, says: 'BOOT_PROGRAM_NOT_EXECUTABLE' },
  { cmd: ['./strange'], code: 126, says: 'its interpreter /no/such/shell does not exist' },
])('$cmd cannot be started ($code): told before anything is migrated', async ({ cmd, code, says }) => {
  const host = hostWith({ ...one, strange: '#!/no/such/shell\n' });
  chmodSync(path.join(host.root, 'strange'), 0o755);
  const ended = await host.start(['boot', '--', ...cmd]).ended;
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(ended.stderr.replaceAll(/\s+/g, ' ')).toContain(says);
  expect(textIn(path.join(host.root, '.upgrade/journal.db'))).toBeNull();
});

test('a script without a first line that names its shell is the shell’s', async () => {
  const host = hostWith({ ...one, plain: 'echo "$0 $1"\nexit 5\n' });
  chmodSync(path.join(host.root, 'plain'), 0o755);
  expect(await host.start(['boot', '--', './plain', 'x']).ended).toMatchObject({ code: 5, stdout: `${path.join(host.root, 'plain')} x\n` });
});

test('AUTO_MIGRATE=false: nothing is looked at, not even the config, and the command starts', async () => {
  const host = hostWith(one);
  writeFileSync(path.join(host.root, 'upgrade.yaml'), 'what: [is this');
  for (const off of ['false', '0', 'No', 'OFF']) {
    const ended = await host.start(['boot', ...sayStarted], { AUTO_MIGRATE: off }).ended;
    expect(ended).toEqual({
      code: 7,
      signal: null,
      stdout: 'started\n',
      stderr: `boot: AUTO_MIGRATE is ${off}: nothing is looked at and nothing is run\n`,
    });
  }
  expect(await host.start(['boot', ...sayStarted], { AUTO_MIGRATE: 'yes' }).ended).toMatchObject({ code: 2, stdout: '' });
});

test.each([
  ['AUTO_MIGRATE', 'perhaps'],
  ['MIGRATION_TIMEOUT_MS', '0'],
  ['MIGRATION_TIMEOUT_MS', '5s'],
  ['MIGRATION_LOCK_TIMEOUT_MS', '-1'],
])('%s=%s makes no sense, and is an error', async (name, value) => {
  const ended = await hostWith(one).start(['boot', ...sayStarted], { [name]: value }).ended;
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain('BOOT_ENVIRONMENT');
  expect(ended.stderr).toContain(`${name} is "${value}"`);
});

test('a step fails: everything is back, the command is not started, and the exit code is the run’s', async () => {
  const ended = await hostWith(broken).start(['boot', ...sayStarted]).ended;
  expect(ended).toMatchObject({ code: 10, stdout: '' });
  expect(ended.stderr).toContain('main/002_broken');
});

test.each([
  { how: 'by the flag', args: ['--on-failure', 'start-anyway'], more: '' },
  { how: 'by upgrade.yaml', args: [], more: 'boot: { onFailure: start-anyway }\n' },
])('start-anyway $how: what failed is told, and the command is started', async ({ args, more }) => {
  const ended = await hostWith(broken, { more }).start(['boot', ...args, ...sayStarted]).ended;
  expect(ended).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(ended.stderr).toContain('main/002_broken');
  expect(ended.stderr).toMatch(/boot: starting sh all the same/);
});

test('start-anyway where the config is wrong: told and started by the flag; the file itself can say nothing', async () => {
  const host = hostWith(one);
  writeFileSync(path.join(host.root, 'upgrade.yaml'), `${config}boot: { onFailure: start-anyway }\nproduckt: x\n`);
  expect(await host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted]).ended).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(await host.start(['boot', ...sayStarted]).ended).toMatchObject({ code: 2, stdout: '' });
});

test('a stranded run is never touched and nothing starts on it, whatever is wished', async () => {
  const host = hostWith({
    ...one,
    'db/002_two.sh':
      '#!/bin/sh\n# rungs: { idempotent: true }\n[ "$1" = backward ] && exit 0\nrm -rf .upgrade/backups/*\necho 9.9.9 > VERSION\nexit 1\n',
  });
  const stranding = await host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted]).ended;
  expect(stranding, stranding.stderr).toMatchObject({ code: 12, stdout: '' });
  const before = readFileSync(path.join(host.root, '.upgrade/journal.db'));
  const refused = await host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted]).ended;
  expect(refused).toMatchObject({ code: 3, stdout: '' });
  expect(refused.stderr).toContain('RUN_STRANDED');
  expect(readFileSync(path.join(host.root, '.upgrade/journal.db')).equals(before)).toBe(true);
});

test('late-comers are refused as everywhere, at once', async () => {
  const host = hostWith({ 'db/002_two.sql': table('two') });
  expect((await host.start(['boot']).ended).code).toBe(0);
  writeFileSync(path.join(host.root, 'db/001_late.sql'), table('late'));
  const ended = await host.start(['boot', ...sayStarted]).ended;
  expect(ended).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toContain('LADDER_LATE');
});

test('versions and ladders are one run; a ladder that a transition ties moves with the version alone', async () => {
  const host = hostWith(
    {
      ...one,
      'tied/001_a.sql': table('tied_a'),
      'tied/002_b.sql': table('tied_b'),
      'migrations/v1.0.0_to_v1.1.0/001_x.sql': table('x'),
      'migrations/v1.0.0_to_v1.1.0/transition.yaml': 'ladders: { tied: 1 }\n',
    },
    { more: '' },
  );
  writeFileSync(
    path.join(host.root, 'upgrade.yaml'),
    config.replace('database: app } }', 'database: app }, tied: { dir: tied, database: app } }'),
  );
  const { code, stdout, stderr } = await host.start(['boot', '--json']).ended;
  expect(code, stderr).toBe(0);
  const result = JSON.parse(stdout) as { steps: { id: string }[] };
  expect(result).toMatchObject({ outcome: 'committed', from: '1.0.0', to: '1.1.0', version: '1.1.0' });
  expect(result.steps.map(({ id }) => id)).toEqual(['main/001_one', 'tied/001_a', 'v1.0.0_to_v1.1.0/001_x']);
  expect(JSON.parse((await host.start(['boot', '--json']).ended).stdout)).toMatchObject({ outcome: 'nothing-to-do', version: '1.1.0' });
});

test('with a command, JSON is all that stands on stderr; the events end with the result', async () => {
  const host = hostWith(one);
  const told = await host.start(['boot', '--events', ...sayStarted]).ended;
  expect(told).toMatchObject({ code: 7, stdout: 'started\n' });
  const lines = told.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines[0]).toHaveProperty('type');
  expect(lines.at(-1)).toMatchObject({ outcome: 'committed' });
  const again = await host.start(['boot', '--json', ...sayStarted]).ended;
  expect(JSON.parse(again.stderr)).toMatchObject({ outcome: 'nothing-to-do' });
  writeFileSync(path.join(host.root, 'db/002_broken.sql'), failing);
  const failed = await host.start(['boot', '--json', '--on-failure', 'start-anyway', ...sayStarted]).ended;
  expect(failed.stdout).toBe('started\n');
  expect(JSON.parse(failed.stderr)).toMatchObject({ outcome: 'rolled-back', failure: { step: 'main/002_broken' } });
});

test('somebody else holds the lock: named while it is waited for; 75 when the time is over, 143 when asked to stop, start-anyway all the same', async () => {
  const host = hostWith({ ...one, 'db/002_gate.sh': gated });
  const holder = host.start(['boot', ...sayStarted]);
  await until('the step waits', () => textIn(path.join(host.root, 'begun')) !== null);
  const late = await host.start(['boot', ...sayStarted], { MIGRATION_LOCK_TIMEOUT_MS: '200' }).ended;
  expect(late).toMatchObject({ code: 75, stdout: '' });
  const text = late.stderr.replaceAll(/\s+/g, ' ');
  expect(text).toMatch(new RegExp(`Another run holds the lock: process ${holder.child.pid} on .*, in phase orchestration, since `));
  expect(text).toContain('LOCK_HELD');
  const anyway = await host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted], { MIGRATION_LOCK_TIMEOUT_MS: '0' }).ended;
  expect(anyway).toMatchObject({ code: 7, stdout: 'started\n' });
  const limited = await host.start(['boot', ...sayStarted], { MIGRATION_TIMEOUT_MS: '300' }).ended;
  expect(limited, limited.stderr).toMatchObject({ code: 3, stdout: '' });
  expect(limited.stderr).toContain('RUN_TIMED_OUT');
  const stopped = host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted]);
  await until('it waits', () => stopped.heard().includes('Waiting for it, 30.0 s at most'));
  stopped.child.kill('SIGTERM');
  expect(await stopped.ended).toMatchObject({ code: 143, stdout: '' });
  expect(stopped.heard()).toContain('nothing was begun');
  const waiting = host.start(['boot', ...sayStarted]);
  await until('it waits', () => waiting.heard().includes('Waiting for it'));
  writeFileSync(path.join(host.root, 'go'), '');
  expect(await holder.ended).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(await waiting.ended).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(textIn(path.join(host.root, 'begun'))).toBe('x\n');
});

test('SIGTERM while a run goes on: it is rolled back (10), and nothing starts', async () => {
  const host = hostWith({ ...one, 'db/002_gate.sh': gated });
  const started = host.start(['boot', '--on-failure', 'start-anyway', ...sayStarted]);
  await until('the step waits', () => textIn(path.join(host.root, 'begun')) !== null);
  started.child.kill('SIGTERM');
  const ended = await started.ended;
  expect(ended, ended.stderr).toMatchObject({ code: 10, stdout: '' });
  const { ladders } = JSON.parse((await host.start(['status', '--json']).ended).stdout) as { ladders: unknown };
  expect(ladders).toMatchObject([{ height: 0 }]);
});

test('MIGRATION_TIMEOUT_MS is over while a run goes on: it is rolled back', async () => {
  const host = hostWith({ ...one, 'db/002_gate.sh': gated });
  const ended = await host.start(['boot', ...sayStarted], { MIGRATION_TIMEOUT_MS: '4000' }).ended;
  // A machine that is so slow that no step was begun by then has nothing to roll back.
  const hasBegun = textIn(path.join(host.root, 'begun')) !== null;
  expect(ended, ended.stderr).toMatchObject({ code: hasBegun ? 10 : 3, stdout: '' });
  expect(ended.stderr).toContain('RUN_TIMED_OUT');
});

test('a run that was killed is finished before anything else', async () => {
  const host = hostWith({ ...one, 'db/002_gate.sh': gated });
  const killed = host.start(['boot', ...sayStarted]);
  await until('the step waits', () => textIn(path.join(host.root, 'begun')) !== null);
  process.kill(-(killed.child.pid ?? 0), 'SIGKILL');
  await killed.ended;
  writeFileSync(path.join(host.root, 'go'), '');
  writeFileSync(path.join(host.root, 'db/003_three.sql'), table('three'));
  const ended = await host.start(['boot', ...sayStarted]).ended;
  expect(ended, ended.stderr).toMatchObject({ code: 7, stdout: 'started\n' });
  expect(ended.stderr).toMatch(/boot: run \w+ was left unfinished; finishing it first/);
  const runs = JSON.parse((await host.start(['history', '--json']).ended).stdout) as { outcome: string }[];
  expect(runs.map(({ outcome }) => outcome)).toEqual(['committed', 'committed']);
  const { ladders } = JSON.parse((await host.start(['status', '--json']).ended).stdout) as { ladders: unknown };
  expect(ladders).toMatchObject([{ height: 3, pending: 0 }]);
});
