// Keeps the record of the tool that was there before up to date (`writeBack: true`): the table or the index says after a run what the journal says.
// Without the option neither is ever touched. Called before the journal's own commit, and again by a resume: the second time changes nothing.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { serverOf } from '../databases/postgres/connect.ts';
import { writeBackToPostgres } from '../databases/postgres/write-back.ts';
import type { RecordChange } from '../databases/record-changes.ts';
import { writeBackToSqlite } from '../databases/write-back.ts';
import { markInIndex } from '../discover/index-marks.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import { fail, failure, messageOf } from '../model/failure.ts';
import type { LadderBaseline, LadderFile, LadderStep } from '../model/ladder.ts';
import { stepsOf, type Climb, type Finding, type Plan, type Rung } from '../model/plan.ts';
import type { StepRecord } from '../model/run.ts';
import { runDir } from './held-run.ts';
import { readJournal } from './journals.ts';
import { asFinding } from './ladder-compare.ts';
import { readLadder } from './ladders.ts';

/**
 * Gives a warning for each ladder that has no record to write to. Throws LADDER_WRITE_BACK.
 * The journal is read for when and how long the steps ran: the run is the one that is not finished.
 */
export async function writeBack(config: Config, climbs: readonly Climb[]): Promise<readonly Finding[]> {
  const wanted = Map.groupBy(
    climbs.filter(({ ladder, rungs }) => rungs.length > 0 && config.ladders[ladder]?.writeBack === true),
    ({ ladder }) => ladder,
  );
  if (wanted.size === 0) return [];
  const facts = await readFacts(config);
  const findings: Finding[] = [];
  for (const [name, own] of wanted) {
    const ladder = config.ladders[name];
    if (ladder === undefined) continue;
    if (ladder.kind === 'index') await writeIndex(name, ladder.index, own);
    else findings.push(...(await writeDatabase(config, { name, ladder, climbs: own, facts })));
  }
  return findings;
}

async function writeIndex(ladder: string, index: string, climbs: readonly Climb[]): Promise<void> {
  const hasRun = new Map(climbs.flatMap(({ direction, rungs }) => rungs.map(({ number }) => [number, direction === 'up'] as const)));
  try {
    await markInIndex(index, hasRun);
  } catch (error) {
    throw failed(ladder, index, error);
  }
}

interface OneLadder {
  readonly name: string;
  readonly ladder: LadderConfig & { readonly kind: 'folder' };
  readonly climbs: readonly Climb[];
  readonly facts: Facts;
}

async function writeDatabase(config: Config, { name, ladder, climbs, facts }: OneLadder): Promise<readonly Finding[]> {
  const known = Object.keys(config.databases);
  const database = ladder.database ?? (known.length === 1 ? known[0] : undefined);
  const target = database === undefined ? undefined : config.databases[database];
  if (database === undefined || target === undefined)
    throw fail('LADDER_DATABASE_MISSING', { ladder: name, known }, { place: { file: config.file } });
  const source = facts.baselines.find((baseline) => baseline.ladder === name)?.source;
  const { files } = readLadder(name, ladder);
  const request = {
    adoptedShape: source === undefined || source === null || source.kind === 'index' ? null : source.shape,
    changes: climbs.flatMap(({ direction, rungs }) => rungs.map((rung) => changeOf(name, rung, direction, files, facts))),
    standing: facts.steps
      .filter((step) => step.ladder === name)
      .map((step) => changeOf(name, { number: step.number, name: step.name, sha256: step.sha256 }, 'up', files, facts, step.appliedAt)),
  };
  const where = target.kind === 'sqlite' ? target.file : serverOf(target.url);
  try {
    const isWritten =
      target.kind === 'sqlite' ? await writeBackToSqlite(target.file, request) : await writeBackToPostgres(database, target, request);
    return isWritten
      ? []
      : [asFinding('warn', failure('LADDER_WRITE_BACK_NOWHERE', { ladder: name, where }, { place: { file: config.file } }))];
  } catch (error) {
    throw failed(name, where, error);
  }
}

interface Facts {
  readonly baselines: readonly LadderBaseline[];
  readonly steps: readonly LadderStep[];
  readonly records: ReadonlyMap<string, StepRecord>;
  readonly descriptions: ReadonlyMap<string, string>;
  readonly version: string | null;
  readonly backup: string | null;
  readonly startedAt: string;
}

async function readFacts(config: Config): Promise<Facts> {
  return readJournal(config, async (journal): Promise<Facts> => {
    const run = (await journal?.unfinishedRun()) ?? null;
    const records = run === null ? [] : ((await journal?.stepRecords(run.id)) ?? []);
    const backups = (await journal?.backups()) ?? [];
    return {
      baselines: (await journal?.ladderBaselines()) ?? [],
      steps: (await journal?.ladderSteps()) ?? [],
      records: new Map(records.map((record) => [record.stepId, record])),
      descriptions: run === null ? new Map() : descriptionsOf(path.join(runDir(config, run.id), 'plan.json')),
      version: run?.to ?? run?.from ?? (await journal?.version()) ?? null,
      backup: backups.find(({ id }) => id === run?.backupId)?.path ?? null,
      startedAt: run?.startedAt ?? new Date().toISOString(),
    };
  });
}

function descriptionsOf(file: string): ReadonlyMap<string, string> {
  if (!existsSync(file)) return new Map();
  return new Map(stepsOf(JSON.parse(readFileSync(file, 'utf8')) as Plan).map(({ id, description }) => [id, description]));
}

function changeOf(
  ladder: string,
  { number, name, sha256 }: Omit<Rung, 'sha256'> & { readonly sha256: string | null },
  direction: 'up' | 'down',
  files: readonly LadderFile[],
  facts: Facts,
  appliedAt: string | null = null,
): RecordChange {
  const id = `${ladder}/${name}`;
  // The way down of a `redo` has a name of its own in the journal.
  const record = (direction === 'down' ? facts.records.get(`${id}:down`) : undefined) ?? facts.records.get(id);
  const startedAt = appliedAt ?? record?.startedAt ?? facts.startedAt;
  const durationMs = appliedAt === null ? (record?.durationMs ?? null) : null;
  const start = Date.parse(startedAt);
  const file = files.find((one) => one.number === number);
  return {
    direction,
    number,
    file: file === undefined ? name : path.basename(file.file),
    description: facts.descriptions.get(id) ?? null,
    sha256: fileSha256(file) ?? sha256,
    startedAt,
    completedAt: Number.isNaN(start) ? startedAt : new Date(start + Math.round(durationMs ?? 0)).toISOString(),
    durationMs,
    version: facts.version,
    backup: facts.backup,
  };
}

/** Other tools take the checksum of the forward file alone; `null` where the step's own is that. */
function fileSha256(file: LadderFile | undefined): string | null {
  if (file === undefined || !file.file.endsWith('.up.sql') || !existsSync(file.file)) return null;
  return createHash('sha256').update(readFileSync(file.file)).digest('hex');
}

function failed(ladder: string, where: string, error: unknown): Error {
  return fail('LADDER_WRITE_BACK', { ladder, where, error: messageOf(error) }, { place: { file: where } }, error);
}
