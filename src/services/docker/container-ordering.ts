// What comes before a container: those whose network it shares, those that it links to, and what Compose's `depends_on` says.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import type { EngineOrdering } from '../registry.ts';
import { composeLabels, nameOf, type Container, type ContainerService } from './containers.ts';
import { sharedNamespaces } from './create-options.ts';

export function orderingOf(service: ContainerService, container: Container | null): EngineOrdering {
  if (container === null) return { names: [], after: [] };
  const { Labels } = container.Config;
  const project = Labels[composeLabels.project];
  const own = Labels[composeLabels.service];
  const links: readonly string[] = Array.isArray(container.HostConfig.Links) ? container.HostConfig.Links : [];
  return {
    names: [
      `docker:${container.Id}`,
      `docker:${nameOf(container)}`,
      ...(project === undefined || own === undefined ? [] : [`compose:${project}:${own}`]),
    ],
    after: [
      ...sharedNamespaces(container).map((id) => ({ name: `docker:${id}`, source: `the namespaces that ${nameOf(container)} shares` })),
      ...links.map((link) => ({ name: `docker:${link.replace(/^\/([^:]+):.*$/, '$1')}`, source: `links of ${nameOf(container)}` })),
      ...(project === undefined
        ? []
        : dependenciesOf(service, Labels).map(({ on, source }) => ({ name: `compose:${project}:${on}`, source }))),
    ],
  };
}

interface Dependency {
  readonly on: string;
  readonly source: string;
}

/** The plugin writes it to a label; docker-compose does not, so there the file is read, without what it extends or includes. */
function dependenciesOf(service: ContainerService, labels: Readonly<Record<string, string>>): readonly Dependency[] {
  const label = labels[composeLabels.dependsOn] ?? '';
  if (label !== '')
    return label.split(',').map((entry) => ({ on: entry.split(':')[0] ?? '', source: `the label ${composeLabels.dependsOn}` }));
  if (service.kind !== 'compose') return [];
  const written = serviceIn(service.file, service.service);
  const dependsOn: unknown = written['depends_on'];
  const names = Array.isArray(dependsOn) ? dependsOn.map(String) : Object.keys(isMap(dependsOn) ? dependsOn : {});
  return names.map((on) => ({ on, source: `depends_on of ${service.service} in ${path.basename(service.file)}` }));
}

function serviceIn(file: string, name: string): Readonly<Record<string, unknown>> {
  try {
    const document: unknown = parse(readFileSync(file, 'utf8'), { logLevel: 'silent' });
    const services: unknown = isMap(document) ? document['services'] : null;
    const service: unknown = isMap(services) ? services[name] : null;
    return isMap(service) ? service : {};
  } catch {
    // Compose itself says what is wrong with it.
    return {};
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
