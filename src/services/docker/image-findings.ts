// What keeps a plan's images from being used, told before anything is changed: of all transitions at once.
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../../model/config.ts';
import { failure, failuresOf, type Failure } from '../../model/failure.ts';
import type { Finding, NeededImage } from '../../model/plan.ts';
import { checkEngine } from './check-engine.ts';
import { findOverride } from './compose-override.ts';
import { findContainer, isContainerService, nameOf, type Container, type ContainerService } from './containers.ts';
import type { Engine } from './engine.ts';
import { whyNotPullable } from './fetch-image.ts';
import { inspectImage } from './replace-container.ts';
import { containersSharing } from './shared-containers.ts';

export async function imageFindings(
  openEngine: () => Promise<Engine>,
  config: Pick<Config, 'services'>,
  images: readonly NeededImage[],
): Promise<readonly Finding[]> {
  if (images.length === 0) return [];
  const wrong = images.flatMap(({ service, transition }): readonly Finding[] => {
    const kind = config.services[service]?.kind ?? 'unknown';
    return kind === 'docker' || kind === 'compose' ? [] : [block(failure('IMAGE_FOR_OTHER_KIND', { service, kind, transition }))];
  });
  const named = new Set(images.map(({ service }) => service));
  const services = Object.values(config.services)
    .filter(isContainerService)
    .filter(({ name }) => named.has(name));
  if (services.length === 0) return wrong;
  const usable = images.filter(({ service }) => services.some(({ name }) => name === service));
  try {
    const engine = await openEngine();
    await checkEngine(engine);
    const ofContainers = await Promise.all(services.map(async (service) => containerFindings(engine, config, service)));
    const ofImages = await Promise.all(usable.map(async (needed) => availability(engine, needed)));
    return [...wrong, ...ofContainers.flat(), ...ofImages.flat()];
  } catch (error) {
    return [...wrong, ...failuresOf(error).map(block)];
  }
}

async function containerFindings(engine: Engine, config: Pick<Config, 'services'>, service: ContainerService): Promise<readonly Finding[]> {
  const container = await findContainer(engine, service);
  // That it is missing is told of every service, whether it gets an image or not.
  if (container === null) return [];
  const about = { service: service.name, container: nameOf(container) };
  const problems = [
    ...ownProblems(service, container),
    ...(await imageProblems(engine, container)),
    ...(await sharingProblems(engine, config, service, container)),
  ];
  return [
    ...problems.map((problem) => block(failure('CONTAINER_NOT_RECREATABLE', { ...about, ...problem }))),
    ...overrideFindings(service, container),
  ];
}

interface Problem {
  readonly why: string;
  readonly remedy: string;
}

function ownProblems(service: ContainerService, container: Container): readonly Problem[] {
  const problems: Problem[] = [];
  if (container.HostConfig.AutoRemove === true) {
    problems.push({
      why: 'it was started with --rm, so the engine removes it as soon as it is stopped, and nothing could be put back',
      remedy: 'Start it without --rm.',
    });
  }
  if (service.kind === 'docker' && typeof service.container === 'string' && service.container !== nameOf(container)) {
    problems.push({
      why: `upgrade.yaml names it by its id (${service.container}), and a new container has another one`,
      remedy: `Name it by its name: services: { ${service.name}: { docker: ${nameOf(container)} } }.`,
    });
  }
  return problems;
}

async function imageProblems(engine: Engine, { Image, Config }: Container): Promise<readonly Problem[]> {
  if ((await inspectImage(engine, Image)) !== null) return [];
  return [
    {
      why: `its image ${Config.Image} (${Image}) is no longer there, so what came from the image cannot be told from what somebody set`,
      remedy: 'Bring the image back (docker pull, docker load), or create the container anew from an image that is there.',
    },
  ];
}

async function sharingProblems(
  engine: Engine,
  config: Pick<Config, 'services'>,
  { name }: ContainerService,
  { Id }: Container,
): Promise<readonly Problem[]> {
  const strangers = (await containersSharing(engine, config, [Id])).filter(({ service }) => service === null);
  return strangers.map(({ container }) => ({
    why: `container ${nameOf(container)} shares its network, processes or IPC, and is no service of upgrade.yaml`,
    remedy: `Add it, so that it is made again too: services: { ${nameOf(container)}: { docker: ${nameOf(container)}, after: [${name}] } }.`,
  }));
}

function overrideFindings(service: ContainerService, container: Container): readonly Finding[] {
  if (service.kind !== 'compose') return [];
  const { file, isRead } = findOverride(service.file, container.Config.Labels);
  if (isRead) return [];
  const names = { file: path.basename(file), composeFile: path.basename(service.file) };
  return [{ ...block(failure('COMPOSE_OVERRIDE_UNREAD', { service: service.name, ...names })), level: 'warn' }];
}

async function availability(engine: Engine, { service, image, file, id, transition }: NeededImage): Promise<readonly Finding[]> {
  if ((await inspectImage(engine, id ?? image)) !== null) return [];
  if (file !== null)
    return existsSync(file) ? [] : [block(failure('IMAGE_FILE_UNUSABLE', { service, file, why: 'there is no such file' }))];
  const error = await whyNotPullable(engine, image);
  return error === null ? [] : [block(failure('IMAGE_NOT_AVAILABLE', { service, image, transition, error }))];
}

function block({ code, message, hint, place }: Failure): Finding {
  return { level: 'block', code, message, hint, ...(place === undefined ? {} : { place }) };
}
