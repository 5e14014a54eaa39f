// Plans of ladders: which steps a climb goes over, read and checked, as parts of a plan that runs like any other. Reads; writes nothing.
import path from 'node:path';
import { finding } from '../../phases/preflight.ts';
import { ladderStepId, readLadderSteps } from '../discover/ladder-steps.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import { fail, failure, UpgradeError } from '../model/failure.ts';
import type { AcceptedChecksum, LadderFile, LadderOnDisk, LadderStep } from '../model/ladder.ts';
import { nearest } from '../model/nearest.ts';
import type { Finding, PlanDirection, Step, Transition } from '../model/plan.ts';
import { climbDown, climbUp, heightAfter, ladderState, type LadderState } from '../plan/ladder-state.ts';
import { describeModules } from '../steps/describe.ts';
import { readLadder } from './ladders.ts';
import { currentSha256, filesByNumber, locator } from './applied-copies.ts';

export interface ClimbOptions {
  /** Also steps below the height that were never applied. */
  readonly outOfOrder?: boolean;
  /** Ids of applied steps whose files are taken as they are now. */
  readonly acceptChecksums?: readonly string[];
}

export interface ClimbPlan {
  /** In running order; empty where there is nothing to climb. */
  readonly transitions: readonly Transition[];
  readonly findings: readonly Finding[];
  /** What to record before the run. */
  readonly accepted: readonly AcceptedChecksum[];
}

/** A ladder with all that is known of it now. */
export interface OpenedLadder {
  readonly name: string;
  readonly ladder: LadderConfig;
  readonly onDisk: LadderOnDisk;
  readonly state: LadderState;
}

export function openLadder(config: Config, name: string, recorded: readonly LadderStep[]): OpenedLadder {
  const ladder = config.ladders[name];
  const known = Object.keys(config.ladders);
  if (known.length === 0) throw fail('LADDERS_MISSING', {}, { place: { file: config.file } });
  if (ladder === undefined)
    throw fail('LADDER_UNKNOWN', { ladder: name, nearest: nearest(name, known), known }, { place: { file: config.file } });
  const onDisk = readLadder(name, ladder);
  return { name, ladder, onDisk, state: ladderState({ ladder: name, kind: ladder.kind, files: onDisk.files, recorded }) };
}

/** Up to and with `to`; `null` is the top. Throws everything that is wrong with the ladder at once. */
export async function planUp(
  config: Config,
  opened: OpenedLadder,
  to: number | null,
  options: ClimbOptions,
  now: string,
): Promise<ClimbPlan> {
  const { name, ladder, onDisk, state } = opened;
  const numbers = climbUp(state, to);
  if (numbers === null)
    throw fail('LADDER_HEIGHT_UNKNOWN', { ladder: name, height: to ?? 0, latest: onDisk.files.at(-1)?.number ?? 0 }, at(ladder));
  const { findings, accepted } = standing(opened, options, now);
  const late = ladder.kind === 'folder' ? numbers.filter((number) => state.below.includes(number)) : [];
  if (late.length > 0 && options.outOfOrder !== true) {
    findings.push(
      finding('block', failure('LADDER_LATE', { ladder: name, steps: namesOf(onDisk, late), height: state.height }, at(ladder))),
    );
  }
  const byNumber = filesByNumber(onDisk);
  const files = numbers.flatMap((number) => byNumber.get(number) ?? []);
  if (files.length === 0) return { transitions: [], findings, accepted };
  const read = await readLadderSteps({ name, ladder, config, dir: ladder.dir, files, describeModules });
  if (read.problems.length > 0) throw new UpgradeError(read.problems);
  findings.push(...read.findings);
  if (ladder.group) refuseMixedGroup(opened, read.steps);
  const transition = climbOf(opened, { dir: ladder.dir, steps: read.steps, files: read.files, direction: 'up', numbers });
  return { transitions: [transition], findings, accepted };
}

/** Down to the height `to`, or by one step. Throws LADDER_HEIGHT_UNKNOWN and what `planBack` throws. */
export async function planDown(config: Config, opened: OpenedLadder, to: number | null): Promise<ClimbPlan> {
  const { name, ladder, onDisk, state } = opened;
  const numbers = climbDown(state, to);
  if (numbers === null)
    throw fail('LADDER_HEIGHT_UNKNOWN', { ladder: name, height: to ?? 0, latest: onDisk.files.at(-1)?.number ?? 0 }, at(ladder));
  return planBack(config, opened, numbers);
}

/** These steps, in this order. The copies that ran run back; where there are none, the files on disk. Throws LADDER_IRREVERSIBLE. */
export async function planBack(config: Config, opened: OpenedLadder, numbers: readonly number[]): Promise<ClimbPlan> {
  const { name, ladder, state } = opened;
  const locate = locator(config, opened);
  const located = numbers.map((number) => locate(state.applied.get(number)));
  const missing = located.flatMap((one) => ('code' in one ? [one] : []));
  if (missing.length > 0) throw new UpgradeError(missing);
  const groups: { readonly dir: string; readonly files: LadderFile[] }[] = [];
  for (const one of located) {
    if ('code' in one) continue;
    const last = groups.at(-1);
    if (last?.dir === one.dir) last.files.push(one.file);
    else groups.push({ dir: one.dir, files: [one.file] });
  }
  const transitions: Transition[] = [];
  const findings: Finding[] = [];
  const gone: number[] = [];
  for (const { dir, files } of groups) {
    const read = await readLadderSteps({ name, ladder, config, dir, files, describeModules });
    if (read.problems.length > 0) throw new UpgradeError(read.problems);
    const steps = read.steps.filter(({ hasBackward }) => !hasBackward);
    if (steps.length > 0) throw fail('LADDER_IRREVERSIBLE', { ladder: name, steps: steps.map(({ id }) => id) }, at(ladder));
    findings.push(...read.findings);
    const climbed = files.map(({ number }) => number);
    transitions.push(climbOf(opened, { dir, steps: read.steps, files: read.files, direction: 'down', numbers: climbed, before: gone }));
    gone.push(...climbed);
  }
  return { transitions, findings, accepted: [] };
}

/** What speaks for or against the ladder as it stands, whatever is climbed. */
export function standing(
  opened: OpenedLadder,
  { acceptChecksums = [] }: ClimbOptions,
  now: string,
): { findings: Finding[]; accepted: AcceptedChecksum[] } {
  const { name, ladder, onDisk, state } = opened;
  const findings: Finding[] = onDisk.problems.map((problem) =>
    problem.code === 'LADDER_DUPLICATE' ? { ...problem, level: 'block' as const } : problem,
  );
  const accepted: AcceptedChecksum[] = [];
  if (state.gaps.length > 0)
    findings.push(finding('info', failure('LADDER_NUMBERS_MISSING', { ladder: name, numbers: state.gaps }, at(ladder))));
  const byNumber = filesByNumber(onDisk);
  for (const [number, step] of state.applied) {
    const file = byNumber.get(number);
    if (file === undefined) {
      const wanted = path.join(ladder.dir, step.name);
      findings.push(
        finding('warn', failure('LADDER_FILE_MISSING', { ladder: name, step: step.name, wanted }, { place: { file: wanted } })),
      );
      continue;
    }
    const actual = step.sha256 === null ? null : currentSha256(file, step.sha256);
    if (actual === null || step.sha256 === null || actual === step.sha256) continue;
    const id = ladderStepId(name, file);
    if (acceptChecksums.some((wanted) => wanted === id || wanted === file.name || wanted === String(number) || wanted === step.name)) {
      accepted.push({ ladder: name, number, was: step.sha256, now: actual, acceptedAt: now });
    } else {
      findings.push(
        finding(
          'block',
          failure('LADDER_EDITED', { ladder: name, step: id, recorded: step.sha256, actual }, { place: { file: file.file } }),
        ),
      );
    }
  }
  return { findings, accepted };
}

/** Every `--accept-checksum` has to name a step that is applied. */
export function refuseUnknownAccepted(opened: readonly OpenedLadder[], { acceptChecksums = [] }: ClimbOptions): void {
  const known = opened.flatMap(({ name, onDisk, state }) =>
    onDisk.files
      .filter(({ number }) => state.applied.has(number))
      .map((file) => ({ id: ladderStepId(name, file), also: [file.name, String(file.number)] })),
  );
  const unknown = acceptChecksums.filter((wanted) => !known.some(({ id, also }) => id === wanted || also.includes(wanted)));
  const ids = known.map(({ id }) => id);
  if (unknown.length > 0)
    throw new UpgradeError(unknown.map((step) => failure('LADDER_STEP_UNKNOWN', { step, nearest: nearest(step, ids) })));
}

function refuseMixedGroup({ name, ladder }: OpenedLadder, steps: readonly Step[]): void {
  const [first] = steps;
  const others = steps.filter(({ kind, transaction, database }) => kind !== 'sql' || !transaction || database !== first?.database);
  if (others.length > 0) throw fail('LADDER_GROUP_MIXED', { ladder: name, steps: others.map(({ id }) => id) }, at(ladder));
}

interface ClimbParts {
  readonly dir: string;
  readonly steps: readonly Step[];
  readonly files: Transition['files'];
  readonly direction: PlanDirection;
  readonly numbers: readonly number[];
  /** Climbed by the parts before this one. */
  readonly before?: readonly number[];
}

export function climbOf(
  { name, ladder, state }: OpenedLadder,
  { dir, steps, files, direction, numbers, before = [] }: ClimbParts,
): Transition {
  const fromHeight = heightAfter(state, before, direction);
  const toHeight = heightAfter(state, [...before, ...numbers], direction);
  return {
    // A name of its own in the run's folder, however often the ladder is climbed in one plan. Not the height: steps that came late leave it as it is.
    id: `${name}@${direction === 'up' ? (numbers.at(-1) ?? toHeight) : `${numbers[0] ?? fromHeight}-down`}`,
    from: null,
    to: null,
    dir,
    description: direction === 'up' ? `ladder ${name} up to ${toHeight}` : `ladder ${name} down to ${toHeight}`,
    breaking: false,
    stop: false,
    blocked: null,
    requires: { diskBytes: null, memoryBytes: null, commands: [], services: [], env: [] },
    images: {},
    ladders: {},
    files,
    steps,
    climb: {
      ladder: name,
      direction,
      onFailure: ladder.onFailure,
      group: ladder.group && direction === 'up',
      fromHeight,
      toHeight,
      isFresh: false,
      rungs: steps.map(({ id, number, sha256 }) => ({ number, name: id.slice(name.length + 1), sha256 })),
    },
  };
}

function namesOf({ files }: LadderOnDisk, numbers: readonly number[]): readonly string[] {
  return numbers.map((number) => files.find((file) => file.number === number)?.name ?? String(number));
}

function at({ dir }: LadderConfig): { readonly place: { readonly file: string } } {
  return { place: { file: dir } };
}
