// Where one ladder stands, in the shape that M.O.S.S. answers with at /api/admin/migrations/status.
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import { ladderState } from '../plan/ladder-state.ts';
import { indexImports } from './adopted-records.ts';
import { readJournal } from './journals.ts';
import { readLadder } from './ladders.ts';

export interface MigrationsStatus {
  readonly success: true;
  readonly data: {
    readonly currentVersion: number;
    readonly latestVersion: number;
    readonly appliedMigrations: number;
    readonly pendingMigrations: number;
    readonly status: 'up_to_date' | 'pending' | 'error';
    readonly lastMigration: { readonly number: number; readonly filename: string; readonly appliedAt: string } | null;
  };
}

/** `wanted`: needed only where there are several. Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_WHICH. */
export async function migrationsStatus(config: Config, wanted: string | undefined): Promise<MigrationsStatus> {
  const known = Object.keys(config.ladders);
  const name = wanted ?? known[0];
  if (name === undefined) throw fail('LADDERS_MISSING', {});
  if (wanted === undefined && known.length > 1) throw fail('LADDER_WHICH', { known });
  const ladder = config.ladders[name];
  if (ladder === undefined) throw fail('LADDER_UNKNOWN', { ladder: name, nearest: nearest(name, known), known });
  const { last, steps, baselines } = await readJournal(config, async (journal) => ({
    last: (await journal?.runs(1))?.[0] ?? null,
    steps: (await journal?.ladderSteps()) ?? [],
    baselines: (await journal?.ladderBaselines()) ?? [],
  }));
  // Indexes that no run has read yet: as it will be with the first one.
  const imported = indexImports(config, { steps, baselines }, new Date(0).toISOString());
  const { files, problems } = readLadder(name, ladder);
  const recorded = [...steps, ...imported.flatMap((one) => one.steps)];
  const { height, pending, applied } = ladderState({ ladder: name, kind: ladder.kind, files, recorded });
  const top = applied.get(height);
  const file = files.find(({ number }) => number === height)?.file;
  const isWrong = problems.some(({ level }) => level === 'block') || last?.outcome === 'stranded' || last?.outcome === 'stopped';
  return {
    success: true,
    data: {
      currentVersion: height,
      latestVersion: files.at(-1)?.number ?? 0,
      appliedMigrations: applied.size,
      pendingMigrations: pending.length,
      status: isWrong ? 'error' : pending.length > 0 ? 'pending' : 'up_to_date',
      lastMigration:
        top === undefined
          ? null
          : { number: top.number, filename: file === undefined ? top.name : path.basename(file), appliedAt: top.appliedAt },
    },
  };
}
