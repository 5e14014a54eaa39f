// Containers that live in another one's network, process or IPC namespace: they name it by its id, so they are made again when it is.
import type { Config } from '../../model/config.ts';
import {
  findContainer,
  inspectContainer,
  isContainerService,
  listContainers,
  nameOf,
  type Container,
  type ContainerService,
} from './containers.ts';
import { sharedNamespaces } from './create-options.ts';
import type { Engine } from './engine.ts';
import { isKeptName } from './kept-name.ts';

export interface Sharing {
  readonly container: Container;
  /** `null`: no service of upgrade.yaml is this container. */
  readonly service: ContainerService | null;
}

export async function containersSharing(
  engine: Engine,
  config: Pick<Config, 'services'>,
  ids: readonly string[],
): Promise<readonly Sharing[]> {
  const listed = (await listContainers(engine, {})).filter(({ Names }) => !Names.some(isKeptName));
  const all = (await Promise.all(listed.map(async ({ Id }) => inspectContainer(engine, Id)))).filter((container) => container !== null);
  const sharing = all.filter((container) => sharedNamespaces(container).some((id) => ids.includes(id)));
  if (sharing.length === 0) return [];
  const services = await Promise.all(
    Object.values(config.services)
      .filter(isContainerService)
      .map(async (service) => ({ service, container: await findContainer(engine, service) })),
  );
  const found = sharing.map((container) => ({
    container,
    service: services.find((known) => known.container?.Id === container.Id)?.service ?? null,
  }));
  // Those that share theirs with these in turn.
  const further = await containersSharing(
    engine,
    config,
    sharing.map(({ Id }) => Id).filter((id) => !ids.includes(id)),
  );
  return [...found, ...further].toSorted((a, b) => (nameOf(a.container) < nameOf(b.container) ? -1 : 1));
}
