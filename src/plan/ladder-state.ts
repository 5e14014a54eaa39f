// Where a ladder stands, from the files on disk and what the journal recorded; and which steps a climb up or down goes over. Pure.
import type { LadderFile, LadderStep } from '../model/ladder.ts';

export interface LadderState {
  readonly ladder: string;
  /** What is applied, by number. */
  readonly applied: ReadonlyMap<number, LadderStep>;
  /** Numbers in the order in which they are climbed, those on disk first of all. */
  readonly order: readonly number[];
  /** The number of the last step applied, in climbing order; 0 where none is. */
  readonly height: number;
  /** On disk and not applied, in climbing order. */
  readonly pending: readonly number[];
  /** Pending, although a later one is applied. */
  readonly below: readonly number[];
  /** Numbers that no file has, between those that files have: nothing is wrong with them, but it may be a file that was forgotten. */
  readonly gaps: readonly number[];
}

interface Request {
  readonly ladder: string;
  readonly kind: 'folder' | 'index';
  /** In climbing order. */
  readonly files: readonly Pick<LadderFile, 'number'>[];
  readonly recorded: readonly LadderStep[];
}

export function ladderState({ ladder, kind, files, recorded }: Request): LadderState {
  const applied = new Map(recorded.filter((step) => step.ladder === ladder).map((step) => [step.number, step]));
  const onDisk = [...new Set(files.map(({ number }) => number))];
  const order = mergedOrder(kind, onDisk, [...applied.keys()]);
  const last = order.findLastIndex((number) => applied.has(number));
  const beneath = new Set(order.slice(0, Math.max(0, last)));
  const pending = onDisk.filter((number) => !applied.has(number));
  return {
    ladder,
    applied,
    order,
    height: order[last] ?? 0,
    pending,
    below: pending.filter((number) => beneath.has(number)),
    gaps: kind === 'index' ? [] : gapsIn(onDisk),
  };
}

/** Up to and with `to`, or to the top; what is applied already is left out. `null`: there is no such step. */
export function climbUp({ order, pending }: LadderState, to: number | null): readonly number[] | null {
  if (to === null) return pending;
  if (to === 0) return [];
  const end = order.indexOf(to);
  if (end < 0) return null;
  const within = new Set(order.slice(0, end + 1));
  return pending.filter((number) => within.has(number));
}

/** Down to the height `to` (0 is the ground), or by one step; the last applied first. `null`: there is no such height. */
export function climbDown({ order, applied }: LadderState, to: number | null): readonly number[] | null {
  const climbed = order.filter((number) => applied.has(number)).toReversed();
  if (to === null) return climbed.slice(0, 1);
  if (to === 0) return climbed;
  const end = order.indexOf(to);
  if (end < 0) return null;
  const above = new Set(order.slice(end + 1));
  return climbed.filter((number) => above.has(number));
}

/** The height after `numbers` have become applied, or are no longer. */
export function heightAfter(state: LadderState, numbers: readonly number[], direction: 'up' | 'down'): number {
  const changed = new Set(numbers);
  const isApplied = (number: number): boolean =>
    (direction === 'up' ? changed.has(number) : false) || (state.applied.has(number) && !changed.has(number));
  return state.order.findLast(isApplied) ?? 0;
}

/** The state as it will be then. */
export function afterClimb(state: LadderState, steps: readonly LadderStep[], direction: 'up' | 'down'): LadderState {
  const applied = new Map(state.applied);
  for (const step of steps) {
    if (direction === 'up') applied.set(step.number, step);
    else applied.delete(step.number);
  }
  const last = state.order.findLastIndex((number) => applied.has(number));
  const onDisk = new Set([...state.pending, ...state.order.filter((number) => state.applied.has(number))]);
  const pending = state.order.filter((number) => onDisk.has(number) && !applied.has(number));
  const beneath = new Set(state.order.slice(0, Math.max(0, last)));
  return {
    ...state,
    applied,
    height: state.order[last] ?? 0,
    pending,
    below: pending.filter((number) => beneath.has(number)),
  };
}

/** What was applied and lies on disk no more keeps its place: by number in a folder; before everything else in an index, which says nothing of it. */
function mergedOrder(kind: 'folder' | 'index', onDisk: readonly number[], applied: readonly number[]): readonly number[] {
  const known = new Set(onDisk);
  const gone = applied.filter((number) => !known.has(number)).toSorted((a, b) => a - b);
  if (kind === 'index') return [...gone, ...onDisk];
  return [...gone, ...onDisk].toSorted((a, b) => a - b);
}

const mostGaps = 100;

function gapsIn(numbers: readonly number[]): readonly number[] {
  const gaps: number[] = [];
  for (const [at, number] of numbers.entries()) {
    const before = at === 0 ? 0 : (numbers[at - 1] ?? 0);
    // Trees that number by date have no gaps, only a scale of their own.
    if (at === 0 && number > 1) continue;
    if (number - before > mostGaps) continue;
    for (let missing = before + 1; missing < number; missing += 1) gaps.push(missing);
  }
  return gaps;
}
