// What a test needs of the machine. Where it is missing the test is skipped with the reason and the package that brings it; CI fails instead.
import { spawnSync } from 'node:child_process';
import { test } from 'vitest';

/** Debian's package for each command that tests use. */
const packages: Readonly<Record<string, string>> = {
  busybox: 'busybox-static',
  getfattr: 'attr',
  setfacl: 'acl',
  debugfs: 'e2fsprogs',
  'dbus-daemon': 'dbus',
  docker: 'docker.io',
  'docker-compose': 'docker-compose',
  dockerd: 'docker.io',
  age: 'age',
  bash: 'bash',
  fish: 'fish',
  chromium: 'chromium',
  flock: 'util-linux',
  'mkfs.ext4': 'e2fsprogs',
  journalctl: 'systemd',
  mount: 'mount',
  openssl: 'openssl',
  psql: 'postgresql',
  python3: 'python3',
  'redis-server': 'redis-server',
  rsync: 'rsync',
  setpriv: 'util-linux',
  sqlite3: 'sqlite3',
  'ssh-keygen': 'openssh-client',
  strace: 'strace',
  systemctl: 'systemd',
  'systemd-analyze': 'systemd',
  tar: 'tar',
  tmux: 'tmux',
  unshare: 'util-linux',
  zsh: 'zsh',
  zstd: 'zstd',
};

/** Programs of the system's administrator are not in everybody's PATH. */
export const withSystemPrograms = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** `test` where all commands are there, else a test that is skipped and says why. */
export function testNeeding(...commands: readonly (keyof typeof packages)[]): typeof test {
  const missing = commands.filter((command) => !isThere(command));
  if (missing.length === 0) return test;
  const reason = missing.map((command) => `${command} is missing: install the package ${packages[command] ?? command}`).join('; ');
  if (process.env.CI === 'true') throw new Error(`CI must run everything: ${reason}`);
  process.stderr.write(`skipped: ${reason}\n`);
  return test.skip as unknown as typeof test;
}

/** The same for needing to be root: mounting, other owners. */
export function testAsRoot(...commands: readonly (keyof typeof packages)[]): typeof test {
  if (process.getuid?.() === 0) return testNeeding(...commands);
  if (process.env.CI === 'true') throw new Error('CI must run everything: these tests need root');
  process.stderr.write('skipped: these tests need root\n');
  return test.skip as unknown as typeof test;
}

export function isThere(command: string): boolean {
  return (
    spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { stdio: 'ignore', env: { ...process.env, PATH: withSystemPrograms } })
      .status === 0
  );
}
