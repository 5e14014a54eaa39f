// Looks again, once nobody else can be at work, whether ladders and databases are still as they were when the plan was made: between the two another
// run may have climbed. Promises that no step of a ladder is run twice, and that a fresh installation meets an empty database.
import { contentsOf } from '../databases/contents.ts';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import { climbsOf, type Plan } from '../model/plan.ts';
import type { Journal } from '../model/ports.ts';
import { databaseOf } from './fresh.ts';

/** Throws LADDER_MOVED, LADDER_FRESH_STALE. */
export async function refuseStaleClimbs(config: Config, plan: Plan, journal: Journal): Promise<void> {
  const climbs = climbsOf(plan);
  const recorded = await journal.ladderSteps();
  for (const [name, [climb]] of Map.groupBy(climbs, ({ ladder }) => ladder)) {
    // What comes after the first climb of a ladder goes on from where that one ends.
    if (climb === undefined) continue;
    const applied = new Set(recorded.filter(({ ladder }) => ladder === name).map(({ number }) => number));
    const moved = climb.rungs.filter(({ number }) => applied.has(number) === (climb.direction === 'up'));
    if (moved.length > 0) throw fail('LADDER_MOVED', { ladder: name, steps: moved.map((rung) => rung.name) }, { phase: 'preflight' });
  }
  for (const { ladder: name, isFresh } of climbs) {
    const ladder = config.ladders[name];
    const database = isFresh && ladder !== undefined ? databaseOf(config, ladder) : null;
    if (database === null) continue;
    const { objects } = await contentsOf(database.name, database.database);
    if (objects.length > 0) throw fail('LADDER_FRESH_STALE', { ladder: name, database: database.name, objects }, { phase: 'preflight' });
  }
}
