// Whether a run would end the very process that it is run by: one that is part of a service which the run restarts.
import { finding } from '../../phases/preflight.ts';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import { stepsOf, type Finding, type Plan } from '../model/plan.ts';
import type { ServiceControl } from '../model/ports.ts';
import { servicesToRestart } from '../model/service-order.ts';
import { ownService } from '../services/own-service.ts';

interface Inside {
  readonly config: Pick<Config, 'services'>;
  readonly services: Pick<ServiceControl, 'inspect'>;
  readonly plan: Plan;
  /** `run`: this process is about to run it. `look`: it only asks; where it can hand the run to a process outside, that is a warning. */
  readonly purpose: 'run' | 'look';
}

export async function insideFindings({ config, services, plan, purpose }: Inside): Promise<readonly Finding[]> {
  const touched = touchedServices(config, plan);
  if (touched.size === 0) return [];
  const own = await ownService(
    { services: Object.fromEntries(Object.entries(config.services).filter(([name]) => touched.has(name))) },
    services,
  );
  if (own === null) return [];
  // A process cannot leave its container; a unit of its own is to be had from the manager.
  if (own.kind !== 'systemd') return [finding('block', failure('RUN_INSIDE_CONTAINER', { service: own.name }))];
  return [finding(purpose === 'run' ? 'block' : 'warn', failure('RUN_INSIDE_SERVICE', { service: own.name }))];
}

function touchedServices(config: Pick<Config, 'services'>, plan: Plan): ReadonlySet<string> {
  const stopped = Object.values(config.services).filter(({ stopDuringUpgrade }) => stopDuringUpgrade);
  const recreated = plan.transitions.flatMap(({ images }) => Object.keys(images));
  return new Set([...servicesToRestart(stepsOf(plan), config), ...stopped.map(({ name }) => name), ...recreated]);
}
