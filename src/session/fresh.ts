// How a ladder of which nothing is recorded begins. An empty database is made as it is at the top at once, where the ladder has a `fresh`; one that
// another tool has migrated is left alone until somebody says where it stands. Promises that `fresh` is never run on anything but an empty database.
import { finding } from '../../phases/preflight.ts';
import { contentsOf, type DatabaseContents } from '../databases/contents.ts';
import { ladderFileSha256 } from '../discover/ladder-steps.ts';
import type { Config, DatabaseConfig, LadderConfig } from '../model/config.ts';
import { fail, failure, type Failure } from '../model/failure.ts';
import type { LadderBaseline, LadderFile, LadderStep } from '../model/ladder.ts';
import type { Rung, Transition } from '../model/plan.ts';
import { climbUp } from '../plan/ladder-state.ts';
import { readFreshSteps } from './fresh-steps.ts';
import { readJournal } from './journals.ts';
import { climbOf, openLadder, planUp, standing, type ClimbOptions, type ClimbPlan, type OpenedLadder } from './ladder-plans.ts';

export interface UpRequest {
  readonly options: ClimbOptions;
  readonly now: string;
  /** What the journal knows of all ladders. */
  readonly recorded: readonly LadderStep[];
  readonly baselines: readonly LadderBaseline[];
  /** `false`: something else of the plan may come before it and fill the database. */
  readonly isFirst: boolean;
}

interface NamedDatabase {
  readonly name: string;
  readonly database: DatabaseConfig;
}

/** Up to and with `to`; `null` is the top. Throws what `planUp` throws, what is wrong with the `fresh`, and why the database cannot be looked at. */
export async function planUpOrFresh(config: Config, opened: OpenedLadder, to: number | null, request: UpRequest): Promise<ClimbPlan> {
  const { options, now, recorded, baselines, isFirst } = request;
  const { name, ladder, state } = opened;
  const asLadder = (): Promise<ClimbPlan> => planUp(config, opened, to, options, now);
  const wanted = climbUp(state, to);
  const isKnown = (other: string): boolean =>
    recorded.some((step) => step.ladder === other) || baselines.some((baseline) => baseline.ladder === other);
  const database = databaseOf(config, ladder);
  if (wanted === null || wanted.length === 0 || database === null || state.applied.size > 0 || isKnown(name)) return asLadder();
  const contents = await contentsOf(database.name, database.database);
  if (contents.objects.length === 0) {
    const isToTheTop = wanted.length === state.pending.length;
    return ladder.fresh !== null && isToTheTop && isFirst ? planFresh(config, opened, ladder.fresh, request) : asLadder();
  }
  // What another ladder has made of the database is accounted for.
  const others = Object.entries(config.ladders).filter(([other]) => other !== name);
  if (others.some(([other, one]) => databaseOf(config, one)?.name === database.name && isKnown(other))) return asLadder();
  const refusal = refusalOf(opened, database.name, contents);
  if (refusal === null) return asLadder();
  // Whoever fills a database has told the journal before: what another process did since it was read is no reason to refuse anything.
  const known = await knownNow(config, name);
  if (known.steps.length > 0 || known.hasBaseline) return planUp(config, openLadder(config, name, known.steps), to, options, now);
  if (known.isAtWork) return asLadder();
  const { transitions, findings, accepted } = await asLadder();
  return { transitions, accepted, findings: [finding('block', refusal), ...findings] };
}

async function knownNow(
  config: Config,
  ladder: string,
): Promise<{ readonly steps: readonly LadderStep[]; readonly hasBaseline: boolean; readonly isAtWork: boolean }> {
  return readJournal(config, async (journal) => {
    if (journal === null) return { steps: [], hasBaseline: false, isAtWork: false };
    // First whether a run is open: one that ends meanwhile is found among the steps.
    const [last] = await journal.runs(1);
    const isAtWork = (await journal.unfinishedRun()) !== null || last?.outcome === 'stranded';
    const steps = (await journal.ladderSteps()).filter((step) => step.ladder === ladder);
    return { steps, hasBaseline: (await journal.ladderBaselines()).some((baseline) => baseline.ladder === ladder), isAtWork };
  });
}

/** The database that the steps of a ladder are for where they name none. */
export function databaseOf({ databases }: Pick<Config, 'databases'>, ladder: LadderConfig): NamedDatabase | null {
  if (ladder.kind === 'index') return null;
  const names = Object.keys(databases);
  const name = ladder.database ?? (names.length === 1 ? names[0] : undefined);
  const database = name === undefined ? undefined : databases[name];
  return name === undefined || database === undefined ? null : { name, database };
}

/** The climb that makes an empty database as it is at the top. Throws what is wrong with the `fresh`. */
export async function freshClimb(config: Config, opened: OpenedLadder, fresh: string): Promise<Transition> {
  const { name, ladder, onDisk, state } = opened;
  const { dir, steps, files } = await readFreshSteps(config, name, ladder, fresh);
  const transition = climbOf(opened, { dir, steps, files, direction: 'up', numbers: state.pending });
  if (transition.climb === null) throw fail('INTERNAL', { error: 'a climb is no climb' });
  const { toHeight } = transition.climb;
  return {
    ...transition,
    id: `${name}@${toHeight}-fresh`,
    description: `ladder ${name}: fresh installation, at ${toHeight} at once`,
    // Half of a fresh installation is nothing to keep.
    climb: {
      ...transition.climb,
      onFailure: 'rollback',
      group: false,
      isFresh: true,
      rungs: onDisk.files.map((file) => rungOf(opened, file)),
    },
  };
}

async function planFresh(config: Config, opened: OpenedLadder, fresh: string, { options, now }: UpRequest): Promise<ClimbPlan> {
  const { findings, accepted } = standing(opened, options, now);
  return { transitions: [await freshClimb(config, opened, fresh)], findings, accepted };
}

function rungOf({ name, ladder }: OpenedLadder, file: LadderFile): Rung {
  const sha256 = ladderFileSha256(ladder.dir, file);
  if (sha256 === null)
    throw fail('LADDER_FILE_MISSING', { ladder: name, step: file.name, wanted: file.file }, { place: { file: file.file } });
  return { number: file.number, name: file.name, sha256 };
}

function refusalOf({ name, ladder }: OpenedLadder, database: string, { objects, records }: DatabaseContents): Failure | null {
  const place = { place: { file: ladder.dir } };
  if (records.length > 0) {
    const tables = records.map(({ table }) => table);
    return failure(
      'LADDER_ADOPT_FIRST',
      { ladder: name, database, tables, isAdoptable: records.some((record) => record.isAdoptable) },
      place,
    );
  }
  // Of a ladder without `fresh` nobody says that it makes the whole database.
  return ladder.fresh === null ? null : failure('LADDER_NOT_EMPTY', { ladder: name, database, objects }, place);
}
