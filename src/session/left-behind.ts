// Old containers that a committed run has kept because it was killed before it removed them. Whoever comes next removes them: here where there is
// no run to do it, and told where somebody only looks.
import { dropKept, keptContainers } from '../../phases/images.ts';
import { finding } from '../../phases/preflight.ts';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import type { Finding } from '../model/plan.ts';
import { keptName } from '../services/docker/kept-name.ts';
import type { ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';
import { locked } from './locked.ts';

export async function leftBehind(config: Config): Promise<readonly Finding[]> {
  // Nobody else pays for looking.
  if (!Object.values(config.services).some(({ kind }) => kind === 'docker' || kind === 'compose')) return [];
  const kept = await readJournal(config, async (journal) => (journal === null ? [] : keptContainers({ journal })));
  return kept.map(({ runId, replacements }) => {
    const names = Object.values(replacements).map(({ before }) => keptName(before.name, runId));
    return finding('warn', failure('CONTAINERS_LEFT_BEHIND', { run: runId, names }));
  });
}

/** Gives what cannot be removed. Throws LOCK_HELD. */
export async function removeLeftBehind(config: Config, adapters: ReadingPorts): Promise<readonly Failure[]> {
  if ((await leftBehind(config)).length === 0) return [];
  return locked(config, adapters, (journal) => dropKept({ journal, images: adapters.images }));
}
