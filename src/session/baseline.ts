// `upgrade baseline N`: says that a ladder stands at N, without running anything. For a database that somebody made as it is by other means.
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { LadderStep } from '../model/ladder.ts';
import { ladderFileSha256 } from '../discover/ladder-steps.ts';
import type { ReadingPorts } from './adapters.ts';
import { refuseOpenRun } from './entry.ts';
import { readJournal } from './journals.ts';
import { openLadder } from './ladder-plans.ts';
import { locked } from './locked.ts';

export interface BaselineOptions {
  /** Needed where there are several. */
  readonly ladder?: string;
  /** Tell what would be recorded; write nothing. */
  readonly dryRun?: boolean;
}

/** `added`, `removed`: numbers that count as applied now and did not before, and the other way round. */
export interface BaselineReport {
  readonly ladder: string;
  readonly dryRun: boolean;
  readonly from: number;
  readonly height: number;
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/** Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_WHICH, LADDER_HEIGHT_UNKNOWN, LOCK_HELD, RUN_UNFINISHED. */
export async function setBaseline(
  config: Config,
  adapters: ReadingPorts,
  height: number,
  { ladder, dryRun = false }: BaselineOptions,
): Promise<BaselineReport> {
  const known = Object.keys(config.ladders);
  if (ladder === undefined && known.length > 1) throw fail('LADDER_WHICH', { known });
  const name = ladder ?? known[0] ?? '';
  const at = adapters.clock.now();
  if (dryRun)
    return readJournal(config, async (journal) => report(config, name, height, (await journal?.ladderSteps()) ?? [], at).told(true));
  // Looked at before the lock is taken: where nothing can be recorded, nothing is written.
  report(config, name, height, [], at);
  return locked(config, adapters, async (journal) => {
    await refuseOpenRun(journal);
    const { steps, told } = report(config, name, height, await journal.ladderSteps(), at);
    const before = (await journal.ladderBaselines()).find((one) => one.ladder === name);
    const { source = null, fingerprint = '' } = before ?? {};
    const baseline = { ladder: name, height, source, adoptedAt: at, fingerprint };
    await journal.adoptLadders([{ baseline, steps }]);
    return told(false);
  });
}

function report(config: Config, name: string, height: number, recorded: readonly LadderStep[], at: string) {
  const { ladder, onDisk, state } = openLadder(config, name, recorded);
  const end = height === 0 ? -1 : onDisk.files.findIndex(({ number }) => number === height);
  if (height !== 0 && end < 0)
    throw fail(
      'LADDER_HEIGHT_UNKNOWN',
      { ladder: name, height, latest: onDisk.files.at(-1)?.number ?? 0 },
      { place: { file: ladder.dir } },
    );
  const below = onDisk.files.slice(0, end + 1);
  const steps = below.map(
    (file): LadderStep =>
      state.applied.get(file.number) ?? {
        ladder: name,
        number: file.number,
        name: file.name,
        sha256: ladderFileSha256(ladder.dir, file),
        runId: null,
        appliedAt: at,
      },
  );
  const numbers = new Set(steps.map(({ number }) => number));
  return {
    steps,
    told: (dryRun: boolean): BaselineReport => ({
      ladder: name,
      dryRun,
      from: state.height,
      height,
      added: [...numbers].filter((number) => !state.applied.has(number)),
      removed: [...state.applied.keys()].filter((number) => !numbers.has(number)),
    }),
  };
}
