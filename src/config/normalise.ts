// From `upgrade.yaml` as it is written to `Config`: defaults filled in, paths absolute, durations in milliseconds. Pure; the shape was checked before.
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { DatabaseText, ProbeText, ServiceText, UpgradeConfigText } from '../../schemas/upgrade-config.ts';
import type {
  AfterBackup,
  CommandSource,
  Config,
  DatabaseConfig,
  LadderConfig,
  ProbeConfig,
  ServiceConfig,
  VersionSource,
} from '../model/config.ts';
import { parseDuration } from '../model/units.ts';
import { volumeSource } from './volume-source.ts';

interface Surroundings {
  readonly file: string;
  readonly root: string;
  readonly secrets: readonly string[];
}

export function normalise(text: UpgradeConfigText, { file, root, secrets }: Surroundings): Config {
  const inRoot = (relative: string) => path.resolve(root, relative);
  const state = inRoot(text.state ?? '.upgrade');
  return {
    file,
    product: text.product,
    root,
    version: versionSource(text.version, inRoot),
    migrations: path.resolve(path.dirname(file), text.migrations ?? 'migrations'),
    ladders: mapValues(text.ladders ?? {}, (ladder): LadderConfig => {
      const dir = inRoot(ladder.dir);
      const common = {
        dir,
        group: ladder.group ?? false,
        fresh: ladder.fresh === undefined ? null : inRoot(ladder.fresh),
        writeBack: ladder.writeBack ?? false,
      };
      if (ladder.index !== undefined)
        return { ...common, kind: 'index', index: inRoot(ladder.index), onFailure: ladder.onFailure ?? 'keep' };
      return { ...common, kind: 'folder', database: ladder.database ?? null, onFailure: ladder.onFailure ?? 'rollback' };
    }),
    state,
    journal: text.journal === undefined ? { kind: 'sqlite' } : { kind: 'postgres', url: text.journal.postgres },
    databases: mapValues(text.databases ?? {}, (database) => databaseConfig(database, inRoot)),
    backup: {
      dir: text.backup?.dir === undefined ? path.join(state, 'backups') : inRoot(text.backup.dir),
      include: text.backup?.include ?? null,
      exclude: text.backup?.exclude ?? [],
      onDrift: text.backup?.onDrift ?? 'report',
      keep: text.backup?.keep ?? 10,
      keepDays: text.backup?.keepDays ?? null,
      restoreTest: text.backup?.restoreTest ?? false,
      commands: commandSources(text.backup),
      afterBackup: afterBackup(text.backup?.afterBackup),
      recipients: text.backup?.encrypt?.age ?? [],
    },
    services: mapValues(text.services ?? {}, (service, name) => serviceConfig(service, name, inRoot)),
    parallelRestarts: text.parallelRestarts ?? 32,
    soakMs: ms(text.soak, 0),
    verify: (text.verify ?? []).map((probe) => probeConfig(probe, inRoot)),
    timeouts: {
      stepMs: ms(text.timeouts?.step, 600_000),
      lockMs: ms(text.timeouts?.lock, 30_000),
      totalMs: ms(text.timeouts?.total, 7_200_000),
    },
    boot: {
      onFailure: text.boot?.onFailure ?? 'stop',
      lockMs: text.boot?.lockTimeout === undefined ? null : parseDuration(text.boot.lockTimeout),
      totalMs: text.boot?.timeout === undefined ? null : parseDuration(text.boot.timeout),
    },
    notify: (text.notify ?? []).map(({ webhook, on, template, name, secret, headers }, at) => ({
      key: name ?? createHash('sha256').update(webhook).digest('hex').slice(0, 16),
      name: name ?? `notify[${at}]`,
      webhook,
      on: on ?? ['rolled-back', 'stranded'],
      template: template ?? 'json',
      secret: secret ?? null,
      headers: headers ?? {},
    })),
    metrics: { textfile: text.metrics?.textfile === undefined ? null : inRoot(text.metrics.textfile) },
    secrets,
  };
}

type InRoot = (relative: string) => string;

function versionSource(text: UpgradeConfigText['version'], inRoot: InRoot): VersionSource {
  if (text === undefined) return { kind: 'journal' };
  if ('file' in text) return { kind: 'file', file: inRoot(text.file) };
  if ('json' in text) return { kind: 'json', file: inRoot(text.json), pointer: text.pointer ?? '/version' };
  if ('command' in text) return { kind: 'command', command: text.command };
  return { kind: 'journal' };
}

function commandSources(text: UpgradeConfigText['backup']): Readonly<Record<string, CommandSource>> {
  const own = mapValues(text?.commands ?? {}, ({ backup, restore, digest, timeout }): CommandSource => {
    return { backup, restore, digest: digest ?? null, timeoutMs: ms(timeout, 3_600_000) };
  });
  return { ...own, ...Object.fromEntries((text?.volumes ?? []).map((name) => [`volume.${name}`, volumeSource(name)])) };
}

function afterBackup(text: NonNullable<UpgradeConfigText['backup']>['afterBackup']): AfterBackup | null {
  if (text === undefined) return null;
  return { command: text.command, timeoutMs: ms(text.timeout, 3_600_000), onFailure: text.onFailure ?? 'warn' };
}

function databaseConfig(text: DatabaseText, inRoot: InRoot): DatabaseConfig {
  if ('sqlite' in text) return { kind: 'sqlite', file: inRoot(text.sqlite) };
  return { kind: 'postgres', url: text.postgres, attempts: text.connect?.attempts ?? 5, backoffMs: ms(text.connect?.backoff, 1000) };
}

function serviceConfig(text: ServiceText, name: string, inRoot: InRoot): ServiceConfig {
  const common = {
    name,
    after: text.after ?? [],
    stopDuringUpgrade: text.stopDuringUpgrade ?? false,
    timeoutMs: ms(text.timeout, 60_000),
    stableForMs: ms(text.stableFor, 3000),
    ...(text.writes === undefined ? {} : { writes: text.writes.map((path) => path.replace(/^\.\//, '').replace(/\/+$/, '')) }),
  };
  if ('command' in text) {
    const { restart = null, stop = null, start = null, health = null, status = null } = text.command;
    return {
      ...common,
      kind: 'command',
      commands: { restart, stop, start, health, status },
      pidFile: text.pidFile === undefined ? null : inRoot(text.pidFile),
    };
  }
  if ('systemd' in text) return { ...common, kind: 'systemd', unit: text.systemd, scope: text.scope ?? 'system' };
  if ('docker' in text) return { ...common, kind: 'docker', container: text.docker };
  return { ...common, kind: 'compose', file: inRoot(text.compose), service: text.service };
}

function probeConfig(text: ProbeText, inRoot: InRoot): ProbeConfig {
  const common = { name: text.name, withinMs: ms(text.within, 30_000) };
  if ('http' in text) {
    const { status = 200, json = {}, headers = {}, body = null } = text.expect ?? {};
    const { ca, client, serverName = null, insecure = false } = text.tls ?? {};
    const tls =
      text.tls === undefined
        ? null
        : {
            caFile: ca === undefined ? null : inRoot(ca),
            client: client === undefined ? null : { certFile: inRoot(client.cert), keyFile: inRoot(client.key) },
            serverName,
            isInsecure: insecure,
          };
    return { ...common, kind: 'http', url: text.http, expect: { status, json, headers, body }, tls };
  }
  if ('tcp' in text) {
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(text.tcp) ?? [];
    return { ...common, kind: 'tcp', host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  }
  if ('command' in text)
    return {
      ...common,
      kind: 'command',
      command: text.command,
      expect: { exitCode: text.expect?.exitCode ?? 0, stdout: text.expect?.stdout ?? null },
    };
  if ('file' in text) {
    const { exists = true, contains = null, mode } = text.expect ?? {};
    return {
      ...common,
      kind: 'file',
      file: inRoot(text.file),
      expect: { exists, contains, mode: mode === undefined ? null : Number.parseInt(mode, 8) },
    };
  }
  if ('sqlite' in text)
    return { ...common, kind: 'sqlite', database: text.sqlite, query: text.query, expect: { value: text.expect.value } };
  if ('postgres' in text)
    return { ...common, kind: 'postgres', database: text.postgres, query: text.query, expect: { value: text.expect.value } };
  if ('docker' in text) return { ...common, kind: 'docker', service: text.docker };
  return { ...common, kind: 'systemd', service: text.systemd };
}

function ms(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : (parseDuration(text) ?? otherwise);
}

function mapValues<T, R>(map: Readonly<Record<string, T>>, to: (value: T, key: string) => R): Readonly<Record<string, R>> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, to(value, key)]));
}
