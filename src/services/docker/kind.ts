// Services that are containers: by themselves, or as services of a Compose project.
import { fail, failure, failuresOf } from '../../model/failure.ts';
import type { Finding } from '../../model/plan.ts';
import { finding } from '../finding.ts';
import type { ControllerContext, KindOfService } from '../registry.ts';
import { createContainerController } from './container-controller.ts';
import { findContainer, targetOf, type ContainerService } from './containers.ts';
import { openEngine, type Engine } from './engine.ts';

/** Docker 19.03. */
const [oldestMajor, oldestMinor] = [1, 40];

export const docker: KindOfService<'docker'> = { create: createContainerController, findings: containerFindings };
export const compose: KindOfService<'compose'> = { create: createContainerController, findings: containerFindings };

/** An engine that cannot be asked is one finding, not one for each service. */
async function containerFindings(services: readonly ContainerService[], { clock }: ControllerContext): Promise<readonly Finding[]> {
  try {
    const engine = await openEngine(clock);
    await checkVersion(engine);
    return (await Promise.all(services.map(async (service) => presence(engine, service)))).flat();
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}

async function checkVersion(engine: Engine): Promise<void> {
  const { ApiVersion } = await engine.call('tell its version', (docker) => docker.version(), { timeoutMs: 10_000, patienceMs: 0 });
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
  const isNewEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  if (!isNewEnough) throw fail('DOCKER_API_VERSION', { address: engine.address, error: `its API is ${ApiVersion}` });
}

async function presence(engine: Engine, service: ContainerService): Promise<readonly Finding[]> {
  try {
    if ((await findContainer(engine, service)) !== null) return [];
    return [finding('block', failure('CONTAINER_MISSING', { service: service.name, target: targetOf(service) }))];
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}
