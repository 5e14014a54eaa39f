// Services that are containers: by themselves, or as services of a Compose project.
import { failure, failuresOf } from '../../model/failure.ts';
import type { Finding } from '../../model/plan.ts';
import { finding } from '../finding.ts';
import type { ControllerContext, KindOfService } from '../registry.ts';
import { checkEngine } from './check-engine.ts';
import { createContainerController } from './container-controller.ts';
import { findContainer, targetOf, type ContainerService } from './containers.ts';
import { openEngine, type Engine } from './engine.ts';

export const docker: KindOfService<'docker'> = { create: createContainerController, findings: containerFindings };
export const compose: KindOfService<'compose'> = { create: createContainerController, findings: containerFindings };

/** An engine that cannot be asked is one finding, not one for each service. */
async function containerFindings(services: readonly ContainerService[], { clock }: ControllerContext): Promise<readonly Finding[]> {
  try {
    const engine = await openEngine(clock);
    await checkEngine(engine);
    return (await Promise.all(services.map(async (service) => presence(engine, service)))).flat();
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}

async function presence(engine: Engine, service: ContainerService): Promise<readonly Finding[]> {
  try {
    if ((await findContainer(engine, service)) !== null) return [];
    return [finding('block', failure('CONTAINER_MISSING', { service: service.name, target: targetOf(service) }))];
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}
