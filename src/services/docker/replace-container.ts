// Replaces a container by one with another image, keeps the old one, and puts it back. Every step looks at what is there first, by name, id and
// label: whoever was killed between two calls, or lost the daemon in the middle of one, calls the same function again.
import { fail } from '../../model/failure.ts';
import type { ContainerBefore, PinnedImage } from '../../model/ports.ts';
import { startContainer, stopContainer } from './container-controller.ts';
import { inspectContainer, nameOf, type Container } from './containers.ts';
import { blueprintOf, sharedNamespaces, type ImageDefaults } from './create-options.ts';
import type { Engine } from './engine.ts';
import { keptName } from './kept-name.ts';

/** Whose container it is: on every container that Rungs makes. */
export const runLabel = 'rungs.run';

export interface Replacing {
  readonly service: string;
  readonly runId: string;
  readonly before: ContainerBefore;
  readonly image: PinnedImage;
  /** Set over the old container's labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** What else this run replaces: a network that is shared is then the new container's. */
  readonly others: readonly ContainerBefore[];
  /** `false`: it did not run before. */
  readonly isStarted: boolean;
  readonly signal?: AbortSignal | undefined;
}

export async function replaceContainer(engine: Engine, replacing: Replacing): Promise<void> {
  const { service, before, runId, isStarted, signal } = replacing;
  const old = await theOld(engine, service, before);
  if (nameOf(old) === before.name) {
    // With its policy the daemon would start it beside the new one when it is started itself.
    if (restarts(old.HostConfig.RestartPolicy?.Name)) await setRestartPolicy(engine, old, { Name: 'no', MaximumRetryCount: 0 });
    await stopContainer(engine, old, signal);
    await rename(engine, old, keptName(before.name, runId));
  }
  const made = (await ours(engine, before, runId)) ?? (await create(engine, old, replacing));
  await connect(engine, old, made, replacing);
  if (isStarted && !made.State.Running) await startContainer(engine, made, 'start', signal);
}

/** Leaves the old container stopped, under its name, as it was; the new one is gone. One that was never replaced is left alone. */
export async function putContainerBack(engine: Engine, service: string, before: ContainerBefore, runId: string): Promise<void> {
  if (await isMadeByHand(engine, before, runId)) return;
  const old = await theOld(engine, service, before);
  const made = await ours(engine, before, runId);
  if (made !== null) {
    await stopContainer(engine, made);
    await remove(engine, made, true);
  }
  await rename(engine, old, before.name);
  if (restarts(before.restartPolicy.Name)) await setRestartPolicy(engine, old, before.restartPolicy);
}

function restarts(policy: string | undefined): boolean {
  return policy !== undefined && policy !== '' && policy !== 'no';
}

/** After the commit. Its volumes are the new container's by now. */
export async function dropContainer(engine: Engine, before: ContainerBefore, runId: string): Promise<void> {
  const old = await inspectContainer(engine, before.id);
  if (old !== null && nameOf(old) === keptName(before.name, runId)) await remove(engine, old, false);
}

async function theOld(engine: Engine, service: string, { id, name }: ContainerBefore): Promise<Container> {
  const old = await inspectContainer(engine, id);
  if (old === null) throw fail('CONTAINER_KEPT_GONE', { service, container: name, id: id.slice(0, 12) });
  return old;
}

/** The old one is lost, and somebody has made one like it in its place, as the hint says. */
async function isMadeByHand(engine: Engine, { id, name }: ContainerBefore, runId: string): Promise<boolean> {
  if ((await inspectContainer(engine, id)) !== null) return false;
  const named = await inspectContainer(engine, name);
  return named !== null && named.Config.Labels[runLabel] !== runId;
}

/** The new container, `null` where there is none yet. Throws CONTAINER_NAME_TAKEN for one that this run did not make. */
async function ours(engine: Engine, { id, name }: ContainerBefore, runId: string): Promise<Container | null> {
  const named = await inspectContainer(engine, name);
  if (named === null || named.Id === id) return null;
  if (named.Config.Labels[runLabel] !== runId) throw fail('CONTAINER_NAME_TAKEN', { name });
  return named;
}

async function create(engine: Engine, old: Container, replacing: Replacing): Promise<Container> {
  const { service, before, runId, image, labels, signal } = replacing;
  const { options } = blueprintOf(old, await defaultsOf(engine, service, old), {
    image: await referenceOf(engine, service, image),
    labels: { ...labels, [runLabel]: runId },
    successors: await successorsOf(engine, old, replacing),
  });
  await engine.call(
    `create container ${before.name}`,
    async (docker, abortSignal) => {
      // The daemon may have gone away after it had made it.
      if ((await ours(engine, before, runId)) !== null) return;
      // Not what the old one says by now: it was set to `no` when it was stopped.
      const HostConfig = { ...options.HostConfig, RestartPolicy: before.restartPolicy };
      await docker.createContainer({ ...options, HostConfig, name: before.name, abortSignal });
    },
    { signal },
  );
  const made = await ours(engine, before, runId);
  if (made === null) throw fail('CONTAINER_MISSING', { service, target: `container ${before.name}` });
  return made;
}

async function connect(engine: Engine, old: Container, made: Container, replacing: Replacing): Promise<void> {
  const difference = { image: '', labels: {}, successors: new Map<string, string>() };
  const { furtherNetworks } = blueprintOf(old, {}, difference);
  for (const { network, endpoint } of furtherNetworks) {
    await engine.call(
      `connect container ${replacing.before.name} to network ${network}`,
      async (docker, abortSignal) => {
        const now = await inspectContainer(engine, made.Id);
        if (now?.NetworkSettings.Networks[network] !== undefined) return;
        const request = { Container: made.Id, EndpointConfig: endpoint, abortSignal };
        await docker.getNetwork(network).connect(request);
      },
      { signal: replacing.signal },
    );
  }
}

async function rename(engine: Engine, { Id }: Container, name: string): Promise<void> {
  await engine.call(`rename container ${Id.slice(0, 12)} to ${name}`, async (docker, abortSignal) => {
    const now = await inspectContainer(engine, Id);
    if (now === null || nameOf(now) !== name) await docker.getContainer(Id).rename({ name, abortSignal });
  });
}

async function setRestartPolicy(engine: Engine, old: Container, policy: ContainerBefore['restartPolicy']): Promise<void> {
  await engine.call(`set the restart policy of container ${nameOf(old)}`, async (docker, abortSignal) => {
    const now = (await inspectContainer(engine, old.Id))?.HostConfig.RestartPolicy;
    if (now?.Name !== policy.Name) await docker.getContainer(old.Id).update({ RestartPolicy: policy, abortSignal });
  });
}

async function remove(engine: Engine, { Id, Name }: Container, withItsVolumes: boolean): Promise<void> {
  await engine.find(`remove container ${Name.slice(1)}`, (docker, abortSignal) =>
    docker.getContainer(Id).remove({ v: withItsVolumes, force: true, abortSignal }),
  );
}

async function defaultsOf(engine: Engine, service: string, old: Container): Promise<ImageDefaults> {
  const image = await inspectImage(engine, old.Image);
  if (image === null) throw fail('IMAGE_GONE', { service, image: old.Config.Image, id: old.Image });
  return image.Config;
}

/** The name where it still means the image that was pinned; else the id. */
async function referenceOf(engine: Engine, service: string, { image, id }: PinnedImage): Promise<string> {
  if ((await inspectImage(engine, image))?.Id === id) return image;
  if ((await inspectImage(engine, id)) === null) throw fail('IMAGE_GONE', { service, image, id });
  return id;
}

export async function inspectImage(engine: Engine, image: string) {
  return engine.find(`look at image ${image}`, (docker) => docker.getImage(image).inspect());
}

/** Those that this container shares something with and that were made again before it. */
async function successorsOf(engine: Engine, old: Container, { others, runId }: Replacing): Promise<ReadonlyMap<string, string>> {
  const shared = sharedNamespaces(old);
  const found = await Promise.all(
    others.map(async (other) => {
      const made = shared.some((id) => id === other.id) ? await ours(engine, other, runId) : null;
      return made === null ? [] : ([[other.id, made.Id]] as const);
    }),
  );
  return new Map(found.flat());
}
