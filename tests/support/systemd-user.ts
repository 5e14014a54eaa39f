// A real `systemd --user` with a journald of its own, on machines with and without systemd as their first process. Ended with the test file.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, type test } from 'vitest';
import { testAsRoot } from './needs.ts';
import { openRoom, reaper, type Room } from './room.ts';
import { until } from './until.ts';

export interface TestSystemd {
  /** Standard output of a command inside; rejects where it fails. */
  run(argv: readonly string[]): Promise<string>;
  /** The command line that does `argv` inside, for those who start it themselves. */
  inside(argv: readonly string[], env?: Readonly<Record<string, string>>): readonly [string, ...string[]];
  /** Where unit files go. */
  readonly unitDir: string;
  readonly scope: 'user' | 'system';
  stop(): Promise<void>;
}

/** `test` where it can be started, else one that is skipped and says why; CI fails instead. */
export const testWithSystemd: typeof test = testAsRoot('systemctl', 'journalctl', 'dbus-daemon', 'unshare');

const started: TestSystemd[] = [];
// Here, not where one is started: a hook that is added while another one runs is never called.
afterAll(async () => {
  for (const systemd of started.splice(0)) await systemd.stop();
});

/**
 * Its journal holds what units print: `journalctl --user-unit NAME` (not `--user -u`: root's lines lie in the system's journal).
 * HOME is a folder of its own, so that nothing of the real one is read or touched.
 */
export async function startUserSystemd({ hasJournal = true } = {}): Promise<TestSystemd> {
  const home = mkdtempSync(path.join(tmpdir(), 'rungs-systemd-'));
  const unitDir = path.join(home, '.config/systemd/user');
  mkdirSync(unitDir, { recursive: true });
  const env = { HOME: home, XDG_RUNTIME_DIR: '/run/user/0', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/0/bus' };
  const room = await openRoom({ name: path.basename(home), script: firstProcess(hasJournal ? journal : ''), unshare: ['--cgroup'], env });
  return track(room, { scope: 'user', unitDir, folder: home, isUp: ['systemctl', '--user', 'is-system-running'] });
}

// Units are told apart by control groups: those of a user's units lie where journald and systemctl look for them.
const firstProcess = (log: string) => `
set -e
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/systemd/journald.conf.d /run/user/0 /run/log/journal
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nRateLimitBurst=0\\n' > /run/systemd/journald.conf.d/tests.conf
groups=/sys/fs/cgroup
manager=$groups/user.slice/user-0.slice/user@0.service
mkdir -p $manager/init.scope $groups/system.slice/systemd-journald.service
${log}
dbus-daemon --session --address=$DBUS_SESSION_BUS_ADDRESS --nofork --nopidfile &
(echo 0 > $manager/init.scope/cgroup.procs; exec /lib/systemd/systemd --user) &
${reaper}
`;

const journal = `(echo 0 > $groups/system.slice/systemd-journald.service/cgroup.procs; exec /lib/systemd/systemd-journald) &
while [ ! -S /run/systemd/journal/stdout ]; do sleep 0.02; done`;

interface Manager {
  readonly scope: 'user' | 'system';
  readonly unitDir: string;
  /** Removed at the end. */
  readonly folder: string | null;
  readonly isUp: readonly string[];
}

/** What this file and its sibling for the system's manager have in common. */
export async function track(room: Room, { scope, unitDir, folder, isUp }: Manager): Promise<TestSystemd> {
  let isStopped = false;
  const systemd: TestSystemd = {
    scope,
    unitDir,
    run: async (argv) => room.run(argv),
    inside: (argv, env) => room.inside(argv, env),
    stop: async () => {
      if (isStopped) return;
      isStopped = true;
      await room.end();
      if (folder !== null) rmSync(folder, { recursive: true, force: true });
    },
  };
  started.push(systemd);
  await until(`systemd (${scope}) to be up`, async () =>
    systemd.run(isUp).then(
      () => true,
      () => null,
    ),
  );
  return systemd;
}
