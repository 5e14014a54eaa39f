// `upgrade check --fresh`: makes each ladder's database twice on scratch databases, once by its `fresh` and once by climbing all of the ladder, and
// compares the two schemas. Promises to leave no scratch behind, and to touch nothing of the installation.
import path from 'node:path';
import { compareSchemas } from '../databases/schema-diff.ts';
import { dumpSqliteSchema } from '../databases/schema-dump.ts';
import type { Config, DatabaseConfig } from '../model/config.ts';
import { fail, failure, failuresOf, UpgradeError, type Failure } from '../model/failure.ts';
import { stepsOf, type Finding, type Transition } from '../model/plan.ts';
import type { SchemaComparison, SchemaDump } from '../model/schema.ts';
import { systemClock } from '../system-clock.ts';
import { databaseOf, freshClimb } from './fresh.ts';
import { openLadder, planUp, type OpenedLadder } from './ladder-plans.ts';
import { asFailures } from './ladders.ts';
import { inScratchInstallation } from './scratch-installation.ts';

export interface FreshCheckOptions {
  /** All that have a `fresh` where it is left out. */
  readonly ladder?: string;
  /** Aborting it ends the step that runs; the scratch databases are dropped all the same. */
  readonly signal?: AbortSignal;
}

/** `failed`: one of the ways could not be gone to its end; see `problems`. */
export interface FreshLadder {
  readonly name: string;
  readonly database: string;
  /** Relative to the root where it lies in it. */
  readonly fresh: string;
  /** The top, which both lead to. */
  readonly height: number;
  readonly steps: { readonly fresh: number; readonly ladder: number };
  readonly status: 'same' | 'different' | 'failed';
  /** `null` where it came to no comparison. */
  readonly comparison: SchemaComparison | null;
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

/** Throws LADDERS_MISSING, LADDER_UNKNOWN, LADDER_FRESH_NONE, and the reason of the signal. What is wrong with a ladder is in the report. */
export async function checkFresh(
  config: Config,
  { ladder, signal = new AbortController().signal }: FreshCheckOptions,
): Promise<readonly FreshLadder[]> {
  const names = ladder === undefined ? Object.keys(config.ladders) : [ladder];
  const opened = names.map((name) => openLadder(config, name, []));
  if (opened.length === 0) throw fail('LADDERS_MISSING', {}, { place: { file: config.file } });
  const wanted = opened.filter((one) => one.ladder.fresh !== null);
  if (wanted.length === 0) throw fail('LADDER_FRESH_NONE', { known: names }, { place: { file: config.file } });
  const checked: FreshLadder[] = [];
  for (const one of wanted) checked.push(await checkOne(config, one, signal));
  return checked;
}

async function checkOne(config: Config, opened: OpenedLadder, signal: AbortSignal): Promise<FreshLadder> {
  const { name, ladder, onDisk } = opened;
  const source = ladder.fresh ?? '';
  const inRoot = path.relative(config.root, source);
  const fresh = inRoot.startsWith('..') ? source : inRoot;
  const database = databaseOf(config, ladder);
  const base = { name, database: database?.name ?? '', fresh, height: onDisk.files.at(-1)?.number ?? 0 };
  const failed = (problems: readonly Failure[]): FreshLadder => ({
    ...base,
    steps: { fresh: 0, ladder: onDisk.files.length },
    status: 'failed',
    comparison: null,
    // What keeps both from being tried is one problem.
    problems: problems.filter(({ message }, at) => problems.findIndex((one) => one.message === message) === at),
    findings: [],
  });
  if (database === null)
    return failed([
      failure('LADDER_DATABASE_MISSING', { ladder: name, known: Object.keys(config.databases) }, { place: { file: config.file } }),
    ]);
  const ways = await Promise.all([told(async () => [await freshClimb(config, opened, source)]), told(async () => allOfIt(config, opened))]);
  const [byFresh, byLadder] = ways;
  if ('problems' in byFresh || 'problems' in byLadder) return failed(ways.flatMap((way) => ('problems' in way ? way.problems : [])));
  // One after the other, and both to their ends: whoever mends one would find the other's problem only afterwards.
  const sides: (Dumps | { readonly problems: readonly Failure[] })[] = [];
  for (const { value } of [byFresh, byLadder]) {
    const side = await told(() => tryOut(config, database.name, value, signal));
    signal.throwIfAborted();
    sides.push('value' in side ? side.value : side);
  }
  const [left, right] = sides;
  const steps = { fresh: stepCount(byFresh.value), ladder: stepCount(byLadder.value) };
  if (left === undefined || right === undefined || 'problems' in left || 'problems' in right)
    return { ...failed(sides.flatMap((side) => ('problems' in side ? side.problems : []))), steps };
  const comparison = compareSchemas(merged(left, database.name), merged(right, database.name));
  const place = { place: { file: source } };
  const count = comparison.differences.length;
  return {
    ...base,
    steps,
    status: count === 0 ? 'same' : 'different',
    comparison,
    problems: count === 0 ? [] : [failure('LADDER_FRESH_DIFFERS', { ladder: name, fresh, differences: count }, place)],
    findings: lesser(name, fresh, comparison, source),
  };
}

type Dumps = ReadonlyMap<string, SchemaDump>;

/** The schemas of the databases that the steps name, made by these steps alone. */
async function tryOut(config: Config, database: string, transitions: readonly Transition[], signal: AbortSignal): Promise<Dumps> {
  const named = transitions.flatMap(({ steps }) => steps.flatMap((step) => step.database ?? []));
  const needed = [...new Set([database, ...named])];
  return inScratchInstallation(config, { needed, signal }, async ({ databases, run }) => {
    await run(transitions);
    const dumps = new Map<string, SchemaDump>();
    for (const name of needed) {
      const one = databases[name];
      if (one !== undefined) dumps.set(name, await dumpOf(name, one, signal));
    }
    return dumps;
  });
}

async function dumpOf(name: string, database: DatabaseConfig, signal: AbortSignal): Promise<SchemaDump> {
  if (database.kind === 'sqlite') return dumpSqliteSchema(database.file, { name, signal });
  return (await import('../databases/postgres/schema-dump.ts')).dumpPostgresSchema(name, database, signal);
}

/** As one schema: what lies in another database than the ladder's is told with that one's name. */
function merged(dumps: Dumps, database: string): SchemaDump {
  const objects: SchemaDump['objects'][number][] = [];
  const rows: Record<string, SchemaDump['rows'][string]> = {};
  const records: string[] = [];
  for (const [name, dump] of dumps) {
    const told = (text: string): string => (name === database ? text : `${name}: ${text}`);
    objects.push(
      ...dump.objects.map((object) => ({ ...object, name: told(object.name), of: object.of === null ? null : told(object.of) })),
    );
    for (const [table, one] of Object.entries(dump.rows)) rows[told(table)] = one;
    records.push(...dump.records.map(told));
  }
  return { objects, rows, records };
}

async function allOfIt(config: Config, opened: OpenedLadder): Promise<readonly Transition[]> {
  const { transitions, findings } = await planUp(config, opened, null, {}, systemClock.now());
  const blocking = findings.filter(({ level }) => level === 'block');
  if (blocking.length > 0) throw new UpgradeError(asFailures(blocking));
  return transitions;
}

/** What nothing can break over. */
function lesser(ladder: string, fresh: string, { minor, rows }: SchemaComparison, file: string): readonly Finding[] {
  const place = { file };
  const hint = `Bring ${fresh} up to date with the ladder, or leave it: no statement breaks over it.`;
  const finding = (level: 'warn' | 'info', message: string): Finding => ({
    level,
    code: 'LADDER_FRESH_ALIKE',
    message: `Ladder ${ladder}: ${message}`,
    hint,
    place,
  });
  return [
    ...minor.flatMap(({ kind, name, facts }) =>
      facts.map((fact) =>
        finding(
          'warn',
          `${kind} ${name} has another ${fact.name}: ${fact.fresh ?? 'none'} in the fresh one, ${fact.ladder ?? 'none'} by the ladder.`,
        ),
      ),
    ),
    ...rows.map(({ table, fresh: one, ladder: other, kind }) =>
      kind === 'counts'
        ? finding('warn', `${table} has ${one} rows in the fresh one, ${other} by the ladder.`)
        : finding(
            'info',
            `the ${one === 1 ? 'row' : 'rows'} of ${table} are as many, but not the same; times and random values never are.`,
          ),
    ),
  ];
}

async function told<T>(work: () => Promise<T>): Promise<{ readonly value: T } | { readonly problems: readonly Failure[] }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return { problems: failuresOf(error) };
  }
}

function stepCount(transitions: readonly Transition[]): number {
  return stepsOf({ product: '', from: null, to: null, direction: 'up', transitions, hash: '' }).length;
}
