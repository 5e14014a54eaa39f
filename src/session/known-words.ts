// Words of an installation that a command line may name: for the completion of shells. Reads only.
import { readTransitionGraph } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import { compareVersions } from '../model/version.ts';
import { readJournal } from './journals.ts';

export type KnownWords = 'versions' | 'runs' | 'backups' | 'ladders' | 'steps';

export interface KnownWord {
  readonly word: string;
  readonly about: string;
}

/** In the order in which they are likely meant. */
export async function knownWords(config: Config, kind: KnownWords): Promise<readonly KnownWord[]> {
  switch (kind) {
    case 'versions': {
      const { transitions } = await readTransitionGraph(config);
      const versions = [...new Set(transitions.flatMap(({ from, to }) => [from, to]))].toSorted((a, b) => compareVersions(b, a));
      return versions.map((word) => ({ word, about: transitions.find(({ to }) => to === word)?.description ?? '' }));
    }
    case 'ladders':
      return Object.keys(config.ladders).map((word) => ({ word, about: 'ladder' }));
    case 'runs':
      return readJournal(config, async (journal) =>
        ((await journal?.runs()) ?? []).map(({ id, from, to, outcome }) => ({
          word: id,
          about: `${from} to ${to}, ${outcome ?? 'unfinished'}`,
        })),
      );
    case 'backups':
      return readJournal(config, async (journal) =>
        ((await journal?.backups()) ?? []).map(({ id, version, createdAt }) => ({
          word: id,
          about: `${version ?? ''} ${createdAt}`.trim(),
        })),
      );
    case 'steps':
      return readJournal(config, async (journal) => {
        const [last] = (await journal?.runs(1)) ?? [];
        const records = last === undefined ? [] : ((await journal?.stepRecords(last.id)) ?? []);
        return records.map(({ stepId, status }) => ({ word: stepId, about: status }));
      });
  }
}
