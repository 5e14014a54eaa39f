// New images for services: fetched and pinned before anything stops, given by making containers again, and what was kept removed in the end.
// What is to be replaced is recorded whole, before the first container is touched; whoever comes later, in either direction, goes by that.
import { failuresOf, type Failure } from '../src/model/failure.ts';
import { imagesOf } from '../src/model/plan.ts';
import type { PinnedImage, Ports, Replacements, RunContext } from '../src/model/ports.ts';
import { checkNotCancelled } from './cancelling.ts';

// How many runs back somebody may have been killed between the commit and the removal of what was kept.
const runsToTidy = 5;

/** Of several images for one service the last one counts. An id that was pinned by an earlier attempt stays. */
export async function fetchImages(
  { journal, images, events }: Pick<Ports, 'journal' | 'images' | 'events'>,
  run: RunContext,
): Promise<void> {
  const last = new Map(imagesOf(run.plan).map((needed) => [needed.service, needed]));
  if (last.size === 0 || (await replacementsOf({ journal }, run.id)) !== null) return;
  for (const needed of last.values()) {
    checkNotCancelled(run.signal);
    const { service, image, file } = needed;
    const pinned = await pinnedImages({ journal }, run.id);
    const id = pinned[service]?.id ?? needed.id;
    await journal.intend(run.id, `${pin}${service}`, { image, file });
    const fetched = await images.fetch(id === undefined ? needed : { ...needed, id }, {
      signal: run.signal,
      onProgress: (doneBytes, totalBytes) =>
        events.emit({ type: 'image-progress', service, image, doneBytes, totalBytes, transient: true }),
    });
    await journal.settle(run.id, `${pin}${service}`, fetched);
    events.emit({ type: 'image-ready', service, image, id: fetched.id });
  }
}

const pin = 'image:';

/** Having an image changes nothing of the installation. */
export function isPin({ key }: { readonly key: string }): boolean {
  return key.startsWith(pin);
}

async function pinnedImages({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<Readonly<Record<string, PinnedImage>>> {
  const settled = (await journal.effects(runId)).filter((effect) => isPin(effect) && effect.isSettled);
  return Object.fromEntries(settled.map(({ key, outcome }) => [key.slice(pin.length), outcome as PinnedImage]));
}

/** What this run makes again: as it was recorded, or, before that, as the engine has it now. */
export async function planReplacements({ journal, images }: Pick<Ports, 'journal' | 'images'>, run: RunContext): Promise<Replacements> {
  const recorded = await replacementsOf({ journal }, run.id);
  if (recorded !== null) return recorded;
  const pinned = await pinnedImages({ journal }, run.id);
  if (Object.keys(pinned).length === 0) return {};
  const replacements = await images.describe(pinned);
  await journal.intend(run.id, recreate, replacements);
  return replacements;
}

export const recreate = 'recreate';

/** `null`: no container of this run was touched. */
export async function replacementsOf({ journal }: Pick<Ports, 'journal'>, runId: string): Promise<Replacements | null> {
  return ((await journal.effects(runId)).find(({ key }) => key === recreate)?.intent ?? null) as Replacements | null;
}

/** All old containers are there again, under their names and stopped; those that were never replaced are left alone. Safe to repeat. */
export async function putContainersBack({ journal, images }: Pick<Ports, 'journal' | 'images'>, run: RunContext): Promise<void> {
  const replacements = Object.entries((await replacementsOf({ journal }, run.id)) ?? {});
  for (const [service, replacement] of replacements.toReversed()) await images.putBack(service, replacement, run.id);
}

/** The containers that committed runs have kept and not removed: of a run that was killed just here, or could not remove them. */
export async function keptContainers({ journal }: Pick<Ports, 'journal'>): Promise<readonly KeptContainers[]> {
  const found: KeptContainers[] = [];
  for (const { id, outcome } of await journal.runs(runsToTidy)) {
    const effect = outcome === 'committed' ? (await journal.effects(id)).find(({ key }) => key === recreate) : undefined;
    if (effect !== undefined && !effect.isSettled) found.push({ runId: id, replacements: effect.intent as Replacements });
  }
  return found;
}

export interface KeptContainers {
  readonly runId: string;
  readonly replacements: Replacements;
}

/** Removes what this run, which was committed, and earlier ones have kept. Gives what cannot be removed: that undoes nothing. */
export async function dropKept({ journal, images }: Pick<Ports, 'journal' | 'images'>): Promise<readonly Failure[]> {
  const problems: Failure[] = [];
  for (const { runId, replacements } of await keptContainers({ journal })) {
    try {
      for (const replacement of Object.values(replacements)) await images.drop(replacement, runId);
      await journal.settle(runId, recreate, null);
    } catch (error) {
      problems.push(...failuresOf(error));
    }
  }
  return problems;
}
