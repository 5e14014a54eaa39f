// The images that services go back to in a downgrade. Given the transitions on the way down; promises for each the images that belong to the
// version it leads down to: of the newest transition below that named one, else what the run that gave the new one had recorded.
import { recreate } from '../../phases/images.ts';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { Finding, ImageSource, TransitionHeader, VersionTransition } from '../model/plan.ts';
import type { Replacements } from '../model/ports.ts';
import { readJournal } from './journals.ts';

interface GoneBack {
  readonly transitions: readonly VersionTransition[];
  readonly findings: readonly Finding[];
}

type Committed = readonly { readonly transition: string; readonly runId: string }[];

/** `committed`: the oldest first. */
export async function withEarlierImages(
  config: Config,
  transitions: readonly VersionTransition[],
  { graph, committed }: { readonly graph: readonly TransitionHeader[]; readonly committed: Committed },
): Promise<GoneBack> {
  const findings: Finding[] = [];
  const earlier = transitions.map(async (transition) => {
    const images: Record<string, ImageSource> = {};
    for (const service of Object.keys(transition.images)) {
      const image = namedBelow(service, transition.id, graph, committed) ?? (await recordedFor(config, service, transition.id, committed));
      if (image !== null) images[service] = image;
      else findings.push({ level: 'block', ...failure('IMAGE_UNKNOWN', { service, transition: transition.id }) });
    }
    return { ...transition, images };
  });
  return { transitions: await Promise.all(earlier), findings };
}

/** Files of other transitions are not looked for: an image that was used is there, or in a registry. */
function namedBelow(service: string, id: string, graph: readonly TransitionHeader[], committed: Committed): ImageSource | null {
  const below = committed.slice(
    0,
    Math.max(
      0,
      committed.findIndex(({ transition }) => transition === id),
    ),
  );
  for (const { transition } of below.toReversed()) {
    const source = graph.find((known) => known.id === transition)?.images[service];
    if (source !== undefined) return { image: source.image, file: null };
  }
  return null;
}

async function recordedFor(config: Config, service: string, id: string, committed: Committed): Promise<ImageSource | null> {
  const runId = committed.find(({ transition }) => transition === id)?.runId;
  if (runId === undefined) return null;
  const effects = await readJournal(config, async (journal) => (await journal?.effects(runId)) ?? []);
  const replacements = effects.find(({ key }) => key === recreate)?.intent as Replacements | undefined;
  const before = replacements?.[service]?.before.image;
  return before === undefined ? null : { image: before.image, file: null, id: before.id };
}
