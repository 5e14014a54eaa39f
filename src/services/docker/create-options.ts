// How a container is made again from another image. Pure: given the old container's inspect document, the configuration of its image and what
// is to be different; promises everything as somebody had set it, and nothing pinned that was only the old image's default.
import type { ContainerCreateOptions, EndpointSettings, HostConfig, ImageInspectInfo } from 'dockerode';
import { nameOf, type Container } from './containers.ts';

export interface Difference {
  /** Reference or id. */
  readonly image: string;
  /** Set over the old labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of a container that shares namespaces or volumes with another one that was made again: old id to new id. */
  readonly successors: ReadonlyMap<string, string>;
}

export interface Blueprint {
  readonly options: ContainerCreateOptions;
  /** Networks that it is connected to before it starts; older engines take only one when they create it. */
  readonly furtherNetworks: readonly { readonly network: string; readonly endpoint: EndpointSettings }[];
}

/** What an image may say: the fields that a container takes over where it does not say anything itself. */
export type ImageDefaults = Partial<ImageInspectInfo['Config']> & {
  readonly Healthcheck?: object | null | undefined;
  readonly StopSignal?: unknown;
  readonly Shell?: unknown;
};

export function blueprintOf(old: Container, defaults: ImageDefaults, { image, labels, successors }: Difference): Blueprint {
  const { Config } = old;
  const mode = old.HostConfig.NetworkMode ?? 'default';
  const sharesNetwork = mode.startsWith('container:');
  const hasOwnHostname = !sharesNetwork && mode !== 'host' && !old.Id.startsWith(Config.Hostname);
  const own = ownConfig(Config, defaults);
  const endpoints = sharesNetwork ? [] : endpointsOf(old);
  const first = endpoints.find(({ network, id }) => network === mode || id === mode) ?? endpoints[0];
  return {
    options: {
      ...own,
      ...(hasOwnHostname ? {} : { Hostname: undefined }),
      // The engine refuses both where the network is another container's.
      ...(sharesNetwork ? { ExposedPorts: undefined, MacAddress: undefined } : {}),
      name: nameOf(old),
      Image: image,
      Labels: { ...differing(Config.Labels, defaults.Labels ?? {}), ...labels },
      HostConfig: hostConfig(old, successors),
      ...(first === undefined ? {} : { NetworkingConfig: { EndpointsConfig: { [first.network]: first.endpoint } } }),
    },
    furtherNetworks: endpoints.filter((endpoint) => endpoint !== first),
  };
}

/** Ids of containers whose network, processes or IPC this one uses. */
export function sharedNamespaces({ HostConfig }: Pick<Container, 'HostConfig'>): readonly string[] {
  const modes = [HostConfig.NetworkMode, HostConfig.PidMode, HostConfig.IpcMode];
  return modes.flatMap((mode) => (mode?.startsWith('container:') === true ? [mode.slice('container:'.length)] : []));
}

function ownConfig(config: Container['Config'], defaults: ImageDefaults): ContainerCreateOptions {
  const fromImage: Readonly<Record<string, unknown>> = { ...defaults };
  const own = Object.entries(config).filter(([key, value]) => !copiedApart.has(key) && !isEqual(value, fromImage[key]));
  // An image's command belongs to its entrypoint: with an entrypoint of its own, a container has its own command too.
  const hasOwnEntrypoint = !isEqual(config.Entrypoint, fromImage['Entrypoint']);
  return {
    ...Object.fromEntries(own),
    ...(hasOwnEntrypoint ? { Cmd: config.Cmd } : {}),
    Env: (config.Env ?? []).filter((entry) => !(defaults.Env ?? []).includes(entry)),
    ExposedPorts: differing(config.ExposedPorts, defaults.ExposedPorts ?? {}),
    Volumes: differing(config.Volumes, defaults.Volumes ?? {}),
    ...ownHealthcheck(config, defaults),
  };
}

/** Field by field, as the engine fills them in: of a check whose interval alone somebody has set, the command is the image's. */
function ownHealthcheck({ Healthcheck }: Container['Config'], defaults: ImageDefaults): Pick<ContainerCreateOptions, 'Healthcheck'> {
  const own = differing({ ...Healthcheck }, { ...defaults.Healthcheck });
  return Object.keys(own).length === 0 ? {} : { Healthcheck: own };
}

const copiedApart: ReadonlySet<string> = new Set(['Env', 'ExposedPorts', 'Volumes', 'Labels', 'Image', 'OnBuild', 'Healthcheck']);

function differing<T>(
  all: Readonly<Record<string, T>> | null | undefined,
  defaults: Readonly<Record<string, unknown>> | null,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(all ?? {}).filter(([key, value]) => !(key in (defaults ?? {}) && isEqual(value, defaults?.[key]))),
  );
}

function hostConfig(old: Container, successors: Difference['successors']): HostConfig {
  const { HostConfig } = old;
  const renewed = (mode: string | undefined) => {
    const id = mode?.startsWith('container:') === true ? mode.slice('container:'.length) : null;
    return id === null ? mode : `container:${successors.get(id) ?? id}`;
  };
  const links: readonly string[] = Array.isArray(HostConfig.Links) ? HostConfig.Links : [];
  return {
    ...HostConfig,
    ...withVolumes(old),
    NetworkMode: renewed(HostConfig.NetworkMode),
    PidMode: renewed(HostConfig.PidMode),
    IpcMode: renewed(HostConfig.IpcMode),
    // Told as `/db:/web/alias`, taken as `db:alias`.
    Links: links.map((link) => link.replace(/^\/([^:]+):.*\//, '$1:')),
  };
}

function volumesFrom(config: HostConfig): readonly string[] {
  const from: unknown = config.VolumesFrom;
  return Array.isArray(from) ? from.map(String) : [];
}

/** Volumes without a name would be made anew, empty: the old ones are mounted by the names that the engine gave them. */
function withVolumes({ Config, HostConfig, Mounts }: Container): Pick<HostConfig, 'Binds' | 'Mounts'> {
  const binds = HostConfig.Binds ?? [];
  const mounts = HostConfig.Mounts ?? [];
  const named = mounts.map((mount) => {
    if (mount.Type !== 'volume' || (mount.Source ?? '') !== '') return mount;
    const there = Mounts.find(({ Destination }) => Destination === mount.Target);
    return { ...mount, Source: there?.Name ?? '' };
  });
  const declared = new Set(Object.keys(Config.Volumes ?? {}));
  const isInherited = (destination: string) => volumesFrom(HostConfig).length > 0 && !declared.has(destination);
  const told = new Set([...binds.map((bind) => bind.split(':')[1]), ...mounts.map(({ Target }) => Target)]);
  const anonymous = Mounts.flatMap(({ Type, Name, Destination, RW }) => {
    if (Type !== 'volume' || Name === undefined || told.has(Destination) || isInherited(Destination)) return [];
    return [`${Name}:${Destination}:${RW ? 'rw' : 'ro'}`];
  });
  return { Binds: [...binds, ...anonymous], ...(mounts.length === 0 ? {} : { Mounts: named }) };
}

interface Endpoint {
  readonly network: string;
  readonly id: string;
  readonly endpoint: EndpointSettings;
}

/** What somebody asked for: the engine's own findings (addresses that it chose, ids) are left out. */
function endpointsOf(old: Container): readonly Endpoint[] {
  return Object.entries(old.NetworkSettings.Networks).map(([network, settings]) => {
    const { IPAMConfig, Links, Aliases, NetworkID } = settings;
    const DriverOpts: unknown = 'DriverOpts' in settings ? settings.DriverOpts : null;
    // The engine adds the short id by itself.
    const aliases = (Aliases ?? []).filter((alias: string) => !old.Id.startsWith(alias));
    const asked = { IPAMConfig, Links, Aliases: aliases.length === 0 ? null : aliases, DriverOpts };
    return {
      network,
      id: NetworkID,
      endpoint: Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null && value !== undefined)),
    };
  });
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
}

/** Nothing, an empty text and an empty list are the same to the engine. */
function canonical(value: unknown): unknown {
  if (value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) return null;
  if (Array.isArray(value) || typeof value !== 'object') return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]));
}
