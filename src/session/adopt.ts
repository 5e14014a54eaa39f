// `upgrade adopt`: reads what another tool recorded of a ladder and makes it the ladder's baseline in the journal. The old record is only
// read. Everything that was found is told; what keeps a ladder from being adopted keeps all of them from it, so that nothing is half-done.
import { existsSync } from 'node:fs';
import { readSqliteRecord } from '../databases/adoption.ts';
import { readPostgresRecord } from '../databases/postgres/adoption.ts';
import { readIndexRecord } from '../discover/ladder-index.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import { fail, failure, failuresOf, UpgradeError, type Failure } from '../model/failure.ts';
import type { Bookkeeping, BookkeepingSource, LadderBaseline, LadderStep, RecordedStep } from '../model/ladder.ts';
import { nearest } from '../model/nearest.ts';
import type { Finding } from '../model/plan.ts';
import type { Journal } from '../model/ports.ts';
import { ladderState } from '../plan/ladder-state.ts';
import type { ReadingPorts } from './adapters.ts';
import { readJournal } from './journals.ts';
import { refuseOpenRun } from './entry.ts';
import { adoptedRecord, fingerprintOf } from './adopted-records.ts';
import { asFinding, compareRecord, duplicatesIn, nothingToCompare } from './ladder-compare.ts';
import { asFailures, readLadder } from './ladders.ts';
import { locked } from './locked.ts';

export interface AdoptOptions {
  /** All of them where it is left out. */
  readonly ladder?: string;
  /** Tell what would be recorded; write nothing, not even the state folder. */
  readonly dryRun?: boolean;
}

/**
 * What was found of one ladder. `status`: `adopted` (with `dryRun`, would be), `already-adopted` (its baseline says the same; nothing was
 * written), `nothing-recorded` (no tool recorded anything; only where no ladder was asked for by name), or `blocked` (see `problems`).
 */
export interface AdoptedLadder {
  readonly name: string;
  readonly status: 'adopted' | 'already-adopted' | 'nothing-recorded' | 'blocked';
  readonly source: BookkeepingSource | null;
  /** The number of the last step applied; 0: none. */
  readonly height: number;
  /** In the order in which they were climbed. */
  readonly steps: readonly RecordedStep[];
  /** On disk and below the height, but never applied. */
  readonly gaps: readonly number[];
  /** Numbers that stand twice, in the old record or on disk. */
  readonly duplicates: readonly number[];
  /** Applied, but with no file on disk. */
  readonly missing: readonly number[];
  /** Applied, but the file is another now than when it was applied. */
  readonly changed: readonly number[];
  readonly problems: readonly Finding[];
}

/** The document of `upgrade adopt --json`; the command line adds `failure` and `failures` (`null` and `[]` where nothing was refused). */
export interface AdoptReport {
  readonly dryRun: boolean;
  readonly ladders: readonly AdoptedLadder[];
}

/** Throws LADDERS_MISSING, LADDER_UNKNOWN, LOCK_HELD, RUN_UNFINISHED, RUN_STRANDED. What is wrong with a ladder itself is in the report; nothing is recorded then. */
export async function adoptLadders(config: Config, adapters: ReadingPorts, options: AdoptOptions): Promise<AdoptReport> {
  const wanted = wantedLadders(config, options.ladder);
  const isNamed = options.ladder !== undefined;
  if (options.dryRun === true) {
    const known = await readJournal(config, async (journal) => (journal === null ? nothingKnown : knownIn(journal)));
    return { dryRun: true, ladders: await inspectAll(config, wanted, known, isNamed) };
  }
  // Looked at before the lock is taken: where nothing can be adopted, nothing is written.
  const before = await inspectAll(config, wanted, nothingKnown, isNamed);
  if (before.some(({ status }) => status === 'blocked')) return { dryRun: false, ladders: before };
  return locked(config, adapters, async (journal) => {
    await refuseOpenRun(journal);
    const ladders = await inspectAll(config, wanted, await knownIn(journal), isNamed);
    if (ladders.some(({ status }) => status === 'blocked')) return { dryRun: false, ladders };
    const at = adapters.clock.now();
    const adopted = ladders.flatMap((ladder) =>
      ladder.status === 'adopted' && ladder.source !== null ? [adoptedRecord(config, { ...ladder, source: ladder.source }, at)] : [],
    );
    if (adopted.length > 0) await journal.adoptLadders(adopted);
    return { dryRun: false, ladders };
  });
}

/** The problems that kept ladders from being adopted, as failures. */
export function blockingProblems({ ladders }: AdoptReport): readonly Failure[] {
  return asFailures(ladders.flatMap(({ problems }) => problems.filter(({ level }) => level === 'block')));
}

interface Known {
  readonly baselines: readonly LadderBaseline[];
  readonly steps: readonly LadderStep[];
}

const nothingKnown: Known = { baselines: [], steps: [] };

async function knownIn(journal: Journal): Promise<Known> {
  return { baselines: await journal.ladderBaselines(), steps: await journal.ladderSteps() };
}

function wantedLadders(config: Config, name: string | undefined): readonly (readonly [string, LadderConfig])[] {
  const known = Object.keys(config.ladders);
  if (known.length === 0) throw fail('LADDERS_MISSING', {}, { place: { file: config.file } });
  const all = Object.entries(config.ladders).filter(([ladder]) => name === undefined || ladder === name);
  if (name !== undefined && all.length === 0)
    throw fail('LADDER_UNKNOWN', { ladder: name, nearest: nearest(name, known), known }, { place: { file: config.file } });
  return all;
}

async function inspectAll(
  config: Config,
  wanted: readonly (readonly [string, LadderConfig])[],
  known: Known,
  isNamed: boolean,
): Promise<readonly AdoptedLadder[]> {
  const found: AdoptedLadder[] = [];
  for (const [name, ladder] of wanted) {
    found.push(
      await inspect(config, name, ladder, {
        baselines: known.baselines.filter((baseline) => baseline.ladder === name),
        steps: known.steps.filter((step) => step.ladder === name),
      }),
    );
  }
  // Asked for by name, or alone, a ladder without a record is an error; among others it is one that is new.
  const hasOthers = !isNamed && found.some((one) => !isUnrecorded(one));
  return hasOthers
    ? found.map((one) =>
        isUnrecorded(one)
          ? { ...one, status: 'nothing-recorded', problems: one.problems.map((problem) => ({ ...problem, level: 'info' })) }
          : one,
      )
    : found;
}

function isUnrecorded({ source, problems }: AdoptedLadder): boolean {
  return source === null && problems.length > 0 && problems.every(({ code }) => code === 'LADDER_BOOKKEEPING_MISSING');
}

async function inspect(config: Config, name: string, ladder: LadderConfig, known: Known): Promise<AdoptedLadder> {
  const record = await recordOfLadder(config, name, ladder);
  const { source, applied } = record;
  const onDisk = readLadder(name, ladder);
  const compared = source === null ? nothingToCompare : compareRecord(name, applied, onDisk, ladder);
  const height = applied.at(-1)?.number ?? 0;
  const problems = dedupe([
    ...record.problems,
    ...(source === null
      ? []
      : onDisk.problems.map((problem) => ({
          ...problem,
          level: problem.level === 'block' && isHarmless(problem) ? ('warn' as const) : problem.level,
        }))),
    ...compared.problems,
  ]);
  const isBlocked = problems.some(({ level }) => level === 'block');
  const base = {
    name,
    source,
    height,
    steps: applied,
    gaps: compared.gaps,
    duplicates: duplicatesIn(applied, onDisk),
    missing: compared.missing,
    changed: compared.changed,
  };
  const [baseline] = known.baselines;
  const place = { place: { file: source !== null && 'file' in source ? source.file : config.file } };
  if (isBlocked) return { ...base, status: 'blocked', problems };
  if (baseline === undefined && known.steps.length === 0) return { ...base, status: 'adopted', problems };
  if (baseline === undefined) {
    // Climbed by Rungs already. What was applied since would be forgotten, and run again.
    const { height: stands } = ladderState({ ladder: name, kind: ladder.kind, files: onDisk.files, recorded: known.steps });
    const climbed = failure('LADDER_CLIMBED_ALREADY', { ladder: name, height: stands, found: height }, place);
    return { ...base, status: 'blocked', problems: [...problems, asFinding('block', climbed)] };
  }
  if (baseline.fingerprint === fingerprintOf(applied)) return { ...base, status: 'already-adopted', problems };
  const refused = failure(
    'LADDER_ALREADY_ADOPTED',
    { ladder: name, adoptedAt: baseline.adoptedAt, baseline: baseline.height, found: height },
    place,
  );
  return { ...base, status: 'blocked', problems: [...problems, asFinding('block', refused)] };
}

async function recordOfLadder(config: Config, name: string, ladder: LadderConfig): Promise<Bookkeeping> {
  const blocked = (problems: readonly Failure[]): Bookkeeping => ({
    source: null,
    applied: [],
    problems: problems.map((problem) => asFinding('block', problem)),
  });
  if (ladder.kind === 'index') return readIndexRecord({ ladder: name, index: ladder.index, dir: ladder.dir });
  const known = Object.keys(config.databases);
  const database = ladder.database ?? (known.length === 1 ? known[0] : undefined);
  const found = database === undefined ? undefined : config.databases[database];
  if (database === undefined || found === undefined)
    return blocked([failure('LADDER_DATABASE_MISSING', { ladder: name, known }, { place: { file: config.file } })]);
  const place = { file: found.kind === 'postgres' ? config.file : found.file };
  if (found.kind === 'sqlite' && !existsSync(found.file))
    return blocked([
      failure('LADDER_BOOKKEEPING_MISSING', { ladder: name, file: `${found.file}, which does not exist,`, found: [] }, { place }),
    ]);
  try {
    return found.kind === 'sqlite'
      ? await readSqliteRecord({ ladder: name, database, file: found.file })
      : await readPostgresRecord({ ladder: name, database, target: found, place });
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return blocked(failuresOf(error).map((problem) => ({ ...problem, place: problem.place ?? place })));
  }
}

/** What lies on disk in disorder is for `upgrade check`; it changes nothing about what was applied. */
function isHarmless({ code }: Finding): boolean {
  return code === 'LADDER_FILE_NAME' || code === 'LADDER_SCRIPT_MISSING' || code === 'LADDER_DUPLICATE';
}

function dedupe(problems: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return problems.filter(({ code, message }) => !seen.has(code + message) && seen.add(code + message) !== undefined);
}
