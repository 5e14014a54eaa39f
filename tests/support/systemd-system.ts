// A real systemd of the system's scope: the first process of a room, with nothing to run but its journal and what tests give it.
import { openRoom } from './room.ts';
import { track, type TestSystemd } from './systemd-user.ts';

/** Units lie in `/etc/systemd/system` of the room alone: write them by `run(['tee', …])` or `writeUnit`. */
export async function startSystemSystemd(): Promise<TestSystemd & { readonly writeUnit: (name: string, text: string) => Promise<void> }> {
  const name = `rungs-system-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const room = await openRoom({ name, script: firstProcess, unshare: ['--cgroup', '--ipc', '--uts'] });
  const systemd = await track(room, {
    scope: 'system',
    unitDir: '/etc/systemd/system',
    folder: null,
    isUp: ['systemctl', 'is-system-running'],
  });
  return {
    ...systemd,
    writeUnit: async (unit, text) => {
      await systemd.run(['sh', '-c', 'printf %s "$2" > "/etc/systemd/system/$1"', 'sh', unit, text]);
    },
  };
}

// The machine's own units are covered: what it would start is none of the tests' business. No /dev/log either, which is shared with the machine.
const firstProcess = `
set -e
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
units=/lib/systemd/system
mkdir -p /run/systemd/journald.conf.d /run/kept
for unit in sysinit.target basic.target shutdown.target sockets.target timers.target paths.target slices.target multi-user.target \\
  umount.target final.target systemd-journald.service systemd-journald.socket; do cp -a $units/$unit /run/kept; done
mount -t tmpfs none $units
mv /run/kept/* $units
mount -t tmpfs none /etc/systemd/system
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nRateLimitBurst=0\\n' > /run/systemd/journald.conf.d/tests.conf
printf '[Service]\\nSockets=\\nSockets=systemd-journald.socket\\n' > /run/kept/tests.conf
mkdir -p /etc/systemd/system/systemd-journald.service.d
mv /run/kept/tests.conf /etc/systemd/system/systemd-journald.service.d/
rmdir /run/kept
printf '[Unit]\\nRequires=basic.target systemd-journald.service\\nAfter=basic.target\\n' > /etc/systemd/system/tests.target
export container=rungs
exec /lib/systemd/systemd --system --unit=tests.target --log-target=journal --show-status=no
`;
