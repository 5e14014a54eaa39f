// What the preflight can tell of the services without touching them, kind by kind: engines, commands, units, containers.
import type { Config, ServiceConfig } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import type { Clock } from '../model/ports.ts';
import { finding } from './finding.ts';
import type { ControllerContext, ServiceKind, ServiceOf } from './registry.ts';
import { serviceKinds } from './registry.ts';

/** All findings at once. Reads, writes nothing, starts nothing; engines that no service of the config needs are not asked. */
export async function serviceFindings(
  { root, state, services }: Pick<Config, 'root' | 'state' | 'services'>,
  clock: Clock,
): Promise<readonly Finding[]> {
  const all = Object.values(services);
  return (await Promise.all(serviceKinds.map((kind) => findingsOf(kind, all, { root, state, clock })))).flat();
}

async function findingsOf(kind: ServiceKind, all: readonly ServiceConfig[], context: ControllerContext): Promise<readonly Finding[]> {
  if (!all.some((service) => service.kind === kind)) return [];
  switch (kind) {
    case 'command':
      return (await import('./command/kind.ts')).command.findings(all.filter(isOf(kind)), context);
    case 'systemd':
      return (await import('./systemd/kind.ts')).systemd.findings(all.filter(isOf(kind)), context);
    case 'docker':
    case 'compose':
      return all.filter(isOf(kind)).map(({ name }) => finding('block', failure('SERVICE_KIND_UNSUPPORTED', { service: name, kind })));
  }
}

function isOf<K extends ServiceKind>(kind: K): (service: ServiceConfig) => service is ServiceOf<K> {
  return (service): service is ServiceOf<K> => service.kind === kind;
}
