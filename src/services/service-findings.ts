// What the preflight can tell of the services without touching them, kind by kind: engines, commands, units, containers.
import type { Config, ServiceConfig } from '../model/config.ts';
import type { Finding } from '../model/plan.ts';
import type { Clock } from '../model/ports.ts';
import type { ControllerContext, ServiceKind, ServiceOf } from './registry.ts';
import { serviceKinds } from './registry.ts';

/** All findings at once. Reads, writes nothing, starts nothing; engines that no service of the config needs are not asked. */
export async function serviceFindings(
  { root, state, services }: Pick<Config, 'root' | 'state' | 'services'>,
  clock: Clock,
): Promise<readonly Finding[]> {
  const all = Object.values(services);
  const found = (await Promise.all(serviceKinds.map((kind) => findingsOf(kind, all, { root, state, clock })))).flat();
  // Two kinds may be the same engine's.
  return found.filter(({ message }, at) => found.findIndex((other) => other.message === message) === at);
}

async function findingsOf(kind: ServiceKind, all: readonly ServiceConfig[], context: ControllerContext): Promise<readonly Finding[]> {
  if (!all.some((service) => service.kind === kind)) return [];
  switch (kind) {
    case 'command':
      return (await import('./command/kind.ts')).command.findings(all.filter(isOf(kind)), context);
    case 'systemd':
      return (await import('./systemd/kind.ts')).systemd.findings(all.filter(isOf(kind)), context);
    case 'docker':
      return (await import('./docker/kind.ts')).docker.findings(all.filter(isOf(kind)), context);
    case 'compose':
      return (await import('./docker/kind.ts')).compose.findings(all.filter(isOf(kind)), context);
  }
}

function isOf<K extends ServiceKind>(kind: K): (service: ServiceConfig) => service is ServiceOf<K> {
  return (service): service is ServiceOf<K> => service.kind === kind;
}
