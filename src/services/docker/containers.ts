// Finds the one container that a service is: by name, id, label or Compose's labels. What a run has put aside is never it.
import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { ContainerInfo, ContainerInspectInfo } from 'dockerode';
import type { ServiceConfig } from '../../model/config.ts';
import { fail } from '../../model/failure.ts';
import type { ServiceOf } from '../registry.ts';
import type { Engine } from './engine.ts';
import { isKeptName } from './kept-name.ts';

export type ContainerService = ServiceOf<'docker'> | ServiceOf<'compose'>;
export type Container = ContainerInspectInfo;

export function isContainerService(service: ServiceConfig): service is ContainerService {
  return service.kind === 'docker' || service.kind === 'compose';
}

export const composeLabels = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  folder: 'com.docker.compose.project.working_dir',
  files: 'com.docker.compose.project.config_files',
  oneOff: 'com.docker.compose.oneoff',
  hash: 'com.docker.compose.config-hash',
  image: 'com.docker.compose.image',
  dependsOn: 'com.docker.compose.depends_on',
} as const;

/** `null` where there is none. Throws CONTAINER_AMBIGUOUS where there are several, and what the engine fails with. */
export async function findContainer(engine: Engine, service: ContainerService, signal?: AbortSignal): Promise<Container | null> {
  if (service.kind === 'docker' && typeof service.container === 'string') return inspectContainer(engine, service.container, signal);
  const matching =
    service.kind === 'docker' ? await byLabel(engine, labelOf(service), signal) : await byComposeFile(engine, service, signal);
  const found = matching.filter(({ Names }) => !Names.some(isKeptName));
  if (found.length > 1)
    throw fail('CONTAINER_AMBIGUOUS', { service: service.name, target: targetOf(service), names: found.map(nameIn).sort() });
  const [only] = found;
  return only === undefined ? null : inspectContainer(engine, only.Id, signal);
}

/** Throws CONTAINER_MISSING too. */
export async function theContainer(engine: Engine, service: ContainerService, signal?: AbortSignal): Promise<Container> {
  const found = await findContainer(engine, service, signal);
  if (found === null) throw fail('CONTAINER_MISSING', { service: service.name, target: targetOf(service) });
  return found;
}

/** By name or id; `null` where there is none. */
export async function inspectContainer(engine: Engine, nameOrId: string, signal?: AbortSignal): Promise<Container | null> {
  return engine.find(`look at container ${nameOrId}`, (docker, abortSignal) => docker.getContainer(nameOrId).inspect({ abortSignal }), {
    signal,
  });
}

/** Without the slash. */
export function nameOf({ Name }: Pick<Container, 'Name'>): string {
  return Name.replace(/^\//, '');
}

/** For people: `container web`, `label role=web`, `service jobs of compose.yaml`. */
export function targetOf(service: ContainerService): string {
  if (service.kind === 'compose') return `service ${service.service} of ${path.basename(service.file)}`;
  return typeof service.container === 'string' ? `container ${service.container}` : `label ${service.container.label}`;
}

export async function listContainers(engine: Engine, filters: Readonly<Record<string, string[]>>, signal?: AbortSignal) {
  return engine.call(
    'list containers',
    (docker, abortSignal) => docker.listContainers({ all: true, filters: { ...filters }, abortSignal }),
    { signal },
  );
}

function labelOf({ container }: ServiceOf<'docker'>): string {
  return typeof container === 'string' ? '' : container.label;
}

async function byLabel(engine: Engine, label: string, signal?: AbortSignal): Promise<readonly ContainerInfo[]> {
  return listContainers(engine, { label: [label] }, signal);
}

/** Of the project that was started from this file, whatever it is called. */
async function byComposeFile(
  engine: Engine,
  { file, service }: ServiceOf<'compose'>,
  signal?: AbortSignal,
): Promise<readonly ContainerInfo[]> {
  const found = await listContainers(engine, { label: [`${composeLabels.service}=${service}`, `${composeLabels.oneOff}=False`] }, signal);
  const wanted = followed(file);
  return found.filter(({ Labels }) => composeFilesOf(Labels).some((candidate) => followed(candidate) === wanted));
}

/** Absolute. */
export function composeFilesOf(labels: Readonly<Record<string, string>>): readonly string[] {
  const folder = labels[composeLabels.folder] ?? '/';
  const files = (labels[composeLabels.files] ?? '').split(',').filter((file) => file !== '');
  return files.map((file) => path.resolve(folder, file));
}

function followed(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function nameIn({ Names, Id }: ContainerInfo): string {
  return Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12);
}
