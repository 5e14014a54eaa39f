// What tests write into a journal: a run, a plan of steps that are no more than names, a result.
import type { Climb, Plan, Step } from '../../src/model/plan.ts';
import type { NewRun } from '../../src/model/ports.ts';
import type { ResultDocument } from '../../src/model/run.ts';
import { parseVersion } from '../../src/model/version.ts';

const versions = { from: parseVersion('0.1.0'), to: parseVersion('0.2.0') };

export function newRun(id: string): NewRun {
  return { id, product: 'p', ...versions, direction: 'up', planHash: 'x', startedAt: 'now', host: 'h', pid: 1 };
}

export function planOf(...names: readonly string[]): Plan {
  const steps = names.map((name): Step => ({ id: `t/${name}`, sha256: 'abc' }) as Step);
  return { product: 'p', ...versions, direction: 'up', hash: 'x', transitions: [{ id: 't', steps, climb: null }] } as unknown as Plan;
}

/** A plan of one ladder alone. */
export function climbOf(ladder: string, direction: Climb['direction'], numbers: readonly number[]): Plan {
  const rungs = numbers.map((number) => ({ number, name: `${number}_x`, sha256: `sum ${number}` }));
  const climb = { ladder, direction, onFailure: 'rollback', group: false, fromHeight: 0, toHeight: 0, isFresh: false, rungs };
  const steps = rungs.map(({ name }): Step => ({ id: `${ladder}/${name}`, sha256: 'abc' }) as Step);
  return { ...planOf(), from: null, to: null, direction, transitions: [{ id: ladder, steps, climb }] } as unknown as Plan;
}

export const result = { failure: null } as ResultDocument;
