// What the journal keeps of a ladder that another tool kept before. An index says by itself what was run: the first run of Rungs takes `has_run` over,
// once, so that a script that ran is never run again because nobody adopted it.
import { createHash } from 'node:crypto';
import { finding } from '../../phases/preflight.ts';
import { readIndexRecord } from '../discover/ladder-index.ts';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { BookkeepingSource, LadderBaseline, LadderStep, RecordedStep } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';
import type { Journal } from '../model/ports.ts';
import { adoptedSha256, fileOf } from './ladder-compare.ts';
import { readLadder } from './ladders.ts';

export interface AdoptedRecord {
  readonly baseline: LadderBaseline;
  readonly steps: readonly LadderStep[];
}

interface Found {
  readonly name: string;
  readonly height: number;
  readonly source: BookkeepingSource;
  /** In the order in which they were climbed. */
  readonly steps: readonly RecordedStep[];
}

export function adoptedRecord(config: Pick<Config, 'ladders'>, { name, height, source, steps }: Found, at: string): AdoptedRecord {
  const ladder = config.ladders[name];
  const files = ladder === undefined ? [] : readLadder(name, ladder).files;
  return {
    baseline: { ladder: name, height, source, adoptedAt: at, fingerprint: fingerprintOf(steps) },
    steps: steps.map((step) => ({
      ladder: name,
      number: step.number,
      name: step.name,
      sha256: adoptedSha256(step, fileOf(step, files)),
      runId: null,
      appliedAt: step.appliedAt ?? at,
    })),
  };
}

/** Tells whether an old record still says what was adopted. */
export function fingerprintOf(steps: readonly RecordedStep[]): string {
  return createHash('sha256')
    .update(JSON.stringify(steps.map(({ number, name, sha256 }) => [number, name, sha256])))
    .digest('hex');
}

interface Known {
  readonly steps: readonly LadderStep[];
  readonly baselines: readonly LadderBaseline[];
}

/** What indexes say of ladders of which the journal knows nothing. A damaged index says nothing: reading the ladder tells what is wrong with it. */
export function indexImports(config: Pick<Config, 'ladders'>, known: Known, at: string): readonly AdoptedRecord[] {
  return Object.entries(config.ladders).flatMap(([name, ladder]) => {
    if (ladder.kind !== 'index' || isKnown(known, name)) return [];
    const { source, applied, problems } = readIndexRecord({ ladder: name, index: ladder.index, dir: ladder.dir });
    const last = applied.at(-1);
    if (source === null || last === undefined || problems.some(({ level }) => level === 'block')) return [];
    return [adoptedRecord(config, { name, height: last.number, source, steps: applied }, at)];
  });
}

export function importFinding({ baseline: { ladder, height, source }, steps }: AdoptedRecord): Finding {
  const file = source !== null && 'file' in source ? source.file : '';
  return finding('info', failure('LADDER_IMPORTED', { ladder, height, steps: steps.length }, { place: { file } }));
}

/** Under the lock. What somebody else has recorded meanwhile stays. */
export async function recordImports(journal: Journal, imported: readonly AdoptedRecord[]): Promise<void> {
  if (imported.length === 0) return;
  const known = { steps: await journal.ladderSteps(), baselines: await journal.ladderBaselines() };
  const missing = imported.filter(({ baseline }) => !isKnown(known, baseline.ladder));
  if (missing.length > 0) await journal.adoptLadders(missing);
}

function isKnown({ steps, baselines }: Known, name: string): boolean {
  return steps.some(({ ladder }) => ladder === name) || baselines.some(({ ladder }) => ladder === name);
}
