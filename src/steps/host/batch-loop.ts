// One call of `ctx.batches`, from where it was left: page, change, commit with the new place, until nothing is behind the last key.
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { BatchesResult, SqlRow, StepContext } from '../../step-api.ts';
import { readPlaces, savedPlaces } from './batch-place.ts';
import type { Place } from './batch-place.ts';
import type { BatchSource } from './batch-source.ts';
import { createPace } from './pace.ts';

export interface BatchWork<Handle> extends Pick<StepContext, 'signal' | 'progress'> {
  /** Its place among the calls of the half. */
  readonly name: string;
  readonly size: number;
  readonly change: (rows: readonly SqlRow[], batch: BatchNumbers & { readonly db: Handle }) => Promise<void>;
  /** Gives what tells afterwards which other databases were changed since. */
  readonly watchOthers: () => Promise<() => Promise<readonly string[]>>;
  readonly refuse: {
    readonly otherQuery: () => never;
    readonly otherDatabases: (names: readonly string[]) => never;
    readonly keyChange: () => never;
  };
}

interface BatchNumbers {
  readonly batch: number;
  readonly done: number;
  readonly total: number;
}

const tellEveryMs = 100;

export async function goThrough<Handle>(source: BatchSource<Handle>, work: BatchWork<Handle>): Promise<BatchesResult> {
  const { name, signal } = work;
  const places = readPlaces(await source.saved());
  const earlier = places.get(name);
  if (earlier !== undefined && earlier.query !== source.fingerprint) work.refuse.otherQuery();
  if (earlier?.isFinished === true) return resultOf(earlier, earlier);
  await source.begin();
  let place = earlier ?? { query: source.fingerprint, key: null, rows: 0, batches: 0, total: await source.count(), isFinished: false };
  const commit = async (next: Place): Promise<void> => {
    await source.commit(savedPlaces(new Map(places).set(name, next)));
    place = next;
  };
  // Whatever the step did before: so that taking back a batch takes back nothing else.
  await commit(place);
  const tell = teller(work, place);
  await source.watchKey();
  try {
    for (;;) {
      await yieldToEvents(); // Cancelling arrives here, and other writers have their turn.
      signal.throwIfAborted();
      await source.begin();
      const { rows, last } = await source.page(place.key, work.size);
      if (last === null) break;
      const { total, rows: done } = place;
      const changedElsewhere = await work.watchOthers();
      await work.change(rows, { db: source.db, batch: place.batches + 1, done, total });
      const others = await changedElsewhere();
      if (others.length > 0) work.refuse.otherDatabases(others);
      await commit({ ...place, key: last, rows: done + rows.length, batches: place.batches + 1 });
      tell(place, false);
    }
    await commit({ ...place, isFinished: true });
    tell(place, true);
    return resultOf(place, earlier);
  } catch (error) {
    await source.rollback();
    if (source.isKeyChange(error)) work.refuse.keyChange();
    throw error;
  } finally {
    await source.unwatchKey();
  }
}

function resultOf({ rows, batches }: Place, earlier: Place | undefined): BatchesResult {
  return { rows, batches, resumedAt: earlier === undefined ? null : earlier.rows };
}

function teller({ progress }: Pick<StepContext, 'progress'>, start: Place): (place: Place, isLast: boolean) => void {
  const pace = createPace(start.rows);
  let toldAt = -Infinity;
  let toldRows = -1;
  return ({ rows, total }, isLast) => {
    const now = performance.now();
    if (isLast ? rows === toldRows : now - toldAt < tellEveryMs) return;
    toldAt = now;
    toldRows = rows;
    // What was inserted meanwhile is not in the total, and what was deleted still is.
    progress(rows, isLast ? rows : Math.max(total, rows), pace.note(rows, isLast ? rows : total));
  };
}
