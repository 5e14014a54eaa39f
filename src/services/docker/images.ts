// The `Images` port: fetches images and makes containers again with them. Opens the engine when it is first asked, so that an installation
// without containers never does.
import type { Config } from '../../model/config.ts';
import { fail } from '../../model/failure.ts';
import type { Clock, ContainerBefore, Images, PinnedImage, Replacement, Replacements } from '../../model/ports.ts';
import { composeHash } from './compose-hash.ts';
import { findOverride, withImages, writeOverride } from './compose-override.ts';
import {
  composeLabels,
  inspectContainer,
  isContainerService,
  nameOf,
  theContainer,
  type Container,
  type ContainerService,
} from './containers.ts';
import { sharedNamespaces } from './create-options.ts';
import { openEngine, type Engine } from './engine.ts';
import { fetchImage } from './fetch-image.ts';
import { imageFindings } from './image-findings.ts';
import { dropContainer, putContainerBack, replaceContainer } from './replace-container.ts';
import { containersSharing } from './shared-containers.ts';

interface Found {
  readonly service: ContainerService;
  readonly container: Container;
  readonly image: PinnedImage;
  readonly isNew: boolean;
}

export function createImages(config: Pick<Config, 'services'>, clock: Clock): Images {
  let opened: Promise<Engine> | null = null;
  const engine = () => (opened ??= openEngine(clock));
  return {
    findings: async (images) => imageFindings(engine, config, images),
    fetch: async (needed, request) => fetchImage(await engine(), needed, request),
    describe: async (images) => describe(await engine(), config, images),
    async replace(name, all, { runId, isStarted, signal }) {
      const replacement = all[name];
      if (replacement === undefined) return;
      const docker = await engine();
      await replaceContainer(docker, {
        service: name,
        runId,
        before: replacement.before,
        image: replacement.image,
        labels: await labelsFor(docker, config, name, replacement),
        others: Object.values(all).map(({ before }) => before),
        isStarted,
        signal,
      });
    },
    async putBack(name, { before, override }, runId) {
      const service = config.services[name];
      // First, since it needs no engine.
      if (override !== null && service?.kind === 'compose') writeOverride(override.file, override.before, service.file);
      await putContainerBack(await engine(), name, before, runId);
    },
    drop: async ({ before }, runId) => dropContainer(await engine(), before, runId),
  };
}

async function describe(
  engine: Engine,
  config: Pick<Config, 'services'>,
  images: Readonly<Record<string, PinnedImage>>,
): Promise<Replacements> {
  const found: Found[] = [];
  for (const [name, image] of Object.entries(images)) {
    const service = config.services[name];
    if (service === undefined || !isContainerService(service)) throw fail('SERVICE_UNKNOWN', { services: [name], known: [] });
    const container = await theContainer(engine, service);
    const isThereAlready = container.Image === image.id && container.Config.Image === image.image;
    if (!isThereAlready) found.push({ service, container, image, isNew: true });
  }
  const ids = found.map(({ container }) => container.Id);
  for (const { service, container } of await containersSharing(engine, config, ids)) {
    if (service === null || ids.includes(container.Id)) continue;
    found.push({ service, container, image: { image: container.Config.Image, id: container.Image }, isNew: false });
  }
  const replacements = found.map(async (one): Promise<readonly [string, Replacement]> => {
    const shared = sharedNamespaces(one.container);
    const after = found.flatMap(({ service, container }) => (shared.includes(container.Id) ? [service.name] : []));
    return [one.service.name, { before: beforeOf(one.container), image: one.image, after, override: await overrideOf(one, found) }];
  });
  return Object.fromEntries(await Promise.all(replacements));
}

function beforeOf({ Id, Name, Image, Config, HostConfig }: Container): ContainerBefore {
  const { Name: policy = '', MaximumRetryCount = 0 } = HostConfig.RestartPolicy ?? {};
  return {
    id: Id,
    name: nameOf({ Name }),
    image: { image: Config.Image, id: Image },
    restartPolicy: { Name: policy, MaximumRetryCount },
  };
}

/** One file for all services of a project: what it is to hold has the images of all of them. */
async function overrideOf({ service, container, isNew }: Found, all: readonly Found[]): Promise<Replacement['override']> {
  if (service.kind !== 'compose' || !isNew) return null;
  const override = findOverride(service.file, container.Config.Labels);
  const siblings = all.flatMap((one) =>
    one.isNew && one.service.kind === 'compose' && one.service.file === service.file
      ? [[one.service.service, one.image.image] as const]
      : [],
  );
  const { Labels } = container.Config;
  const hash = await composeHash(Labels, service.service);
  return {
    file: override.file,
    before: override.before,
    after: withImages(override, service.file, Object.fromEntries(siblings)),
    isCurrent: hash !== null && hash === Labels[composeLabels.hash],
  };
}

/**
 * With the hash that Compose has for the new image, the next `docker compose up` finds the container up to date. One that was behind its
 * file before is still behind it: its old hash stays, and Compose makes it again.
 */
async function labelsFor(
  engine: Engine,
  { services }: Pick<Config, 'services'>,
  name: string,
  { override, before, image }: Replacement,
): Promise<Readonly<Record<string, string>>> {
  const service = services[name];
  if (override === null || service?.kind !== 'compose') return {};
  writeOverride(override.file, override.after, service.file);
  const old = (await inspectContainer(engine, before.id))?.Config.Labels ?? {};
  const hash = override.isCurrent ? await composeHash(old, service.service, [override.file]) : null;
  return {
    ...(hash === null ? {} : { [composeLabels.hash]: hash }),
    ...(old[composeLabels.image] === undefined ? {} : { [composeLabels.image]: image.id }),
  };
}
