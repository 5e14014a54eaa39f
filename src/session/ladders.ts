// Ladders as they lie on disk, and how high each one stands by the journal.
import { readFolderLadder } from '../discover/ladder-folder.ts';
import { readIndexLadder } from '../discover/ladder-index.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import type { Failure } from '../model/failure.ts';
import type { LadderOnDisk, LadderStep } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';
import { ladderState } from '../plan/ladder-state.ts';

export interface LadderStatus {
  readonly name: string;
  /** The number of the last step applied; 0 where none is. */
  readonly height: number;
  /** The number of the last step on disk; 0 where there is none. */
  readonly latest: number;
  /** How many steps on disk are not applied, also those below the height. */
  readonly pending: number;
}

export function readLadder(ladder: string, config: LadderConfig): LadderOnDisk {
  return config.kind === 'index'
    ? readIndexLadder({ ladder, index: config.index, dir: config.dir })
    : readFolderLadder({ ladder, dir: config.dir });
}

export function ladderStatuses(
  config: Pick<Config, 'ladders'>,
  steps: readonly LadderStep[],
): { readonly ladders: readonly LadderStatus[]; readonly problems: readonly Failure[] } {
  const problems: Failure[] = [];
  const ladders = Object.entries(config.ladders).map(([name, ladder]): LadderStatus => {
    const onDisk = readLadder(name, ladder);
    problems.push(...asFailures(onDisk.problems.filter(({ level }) => level === 'block')));
    const { height, pending } = ladderState({ ladder: name, kind: ladder.kind, files: onDisk.files, recorded: steps });
    return { name, height, latest: onDisk.files.at(-1)?.number ?? 0, pending: pending.length };
  });
  return { ladders, problems };
}

/** Findings of ours carry codes of the registry. */
export function asFailures(findings: readonly Finding[]): readonly Failure[] {
  return findings.map(({ level: _level, ...rest }) => rest as Failure);
}
