// The systemd unit that runs "upgrade serve" with as little as it needs. Given the installation, promises a unit that `systemd-analyze security`
// rates at most 2.0.
import { realpathSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { ListenAddress } from './listen-address.ts';

export interface UnitRequest {
  readonly config: Config;
  readonly address: ListenAddress;
  /** As it was written. */
  readonly listen: string;
  readonly allowedHosts: readonly string[];
}

export function serveUnit({ config, address, listen, allowedHosts }: UnitRequest): string {
  const owner = statSync(config.file);
  const words = [
    process.execPath,
    executable(),
    'serve',
    '--config',
    config.file,
    '--root',
    config.root,
    '--listen',
    absolute(listen, address),
  ];
  for (const host of allowedHosts) words.push('--allow-host', host);
  // Webhooks lie outside of this machine; without any, nothing has to leave it.
  const isLocal =
    config.notify.length === 0 &&
    Object.values(config.databases).every(({ kind }) => kind === 'sqlite') &&
    config.journal.kind === 'sqlite';
  const lines: readonly string[] = [
    '# Made by "upgrade serve --print-unit". Put it to /etc/systemd/system/rungs-serve.service, then:',
    '#   systemctl daemon-reload && systemctl enable --now rungs-serve',
    '[Unit]',
    `Description=Status of ${escaped(config.product)} (Rungs)`,
    'After=network.target',
    '',
    '[Service]',
    'Type=notify',
    // The one who tells is systemd-notify, a child.
    'NotifyAccess=all',
    `ExecStart=${words.map(quoted).join(' ')}`,
    `User=${owner.uid === 0 ? 'root' : owner.uid}`,
    `Group=${owner.gid === 0 ? 'root' : owner.gid}`,
    'Restart=on-failure',
    'RestartSec=2s',
    'TimeoutStopSec=10s',
    '# Only what has to be told on: which notifications were delivered.',
    `ReadWritePaths=-${quoted(config.state)}`,
    ...(address.kind === 'unix' ? [`ReadWritePaths=-${quoted(path.dirname(address.path))}`] : []),
    'CapabilityBoundingSet=',
    'AmbientCapabilities=',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    // An installation may lie in a home folder: it is read all the same.
    `ProtectHome=${isInHome(config) ? 'read-only' : 'yes'}`,
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'PrivateMounts=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=default',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'RemoveIPC=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallFilter=~@privileged @resources',
    'SystemCallErrorNumber=EPERM',
    'UMask=0077',
    'MemoryMax=512M',
    'TasksMax=64',
    'LimitNOFILE=4096',
    ...(isLocal ? ['IPAddressDeny=any', 'IPAddressAllow=localhost'] : []),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ];
  return lines.join('\n');
}

function absolute(listen: string, address: ListenAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : listen;
}

/** The script that was started, or where the link to it leads. */
function executable(): string {
  const started = process.argv[1] ?? 'upgrade';
  try {
    return realpathSync(started);
  } catch {
    return path.resolve(started);
  }
}

function isInHome({ root, file, state, migrations }: Config): boolean {
  const homes = [os.homedir(), '/home', '/root', '/run/user'];
  return [root, file, state, migrations, process.execPath, executable()].some((one) =>
    homes.some((home) => one === home || one.startsWith(`${home}/`)),
  );
}

/** As systemd reads a word: quoted, with `%` and `$` meaning nothing. */
function quoted(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : `"${escaped(word).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$')}"`;
}

function escaped(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replaceAll('%', '%%');
}
