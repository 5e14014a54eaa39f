// What the tables of scenarios have in common: each row ends committed, or with everything exactly as it was before, and with what it has to say.
import { expect } from 'vitest';
import type { FailureCode } from '../../../src/model/failure.ts';
import type { ResultDocument, ServiceReport } from '../../../src/model/run.ts';

export interface Ending {
  readonly name: string;
  /** All but `committed` leave everything as it was. */
  readonly ends: 'committed' | 'rolled-back' | 'refused';
  /** Of the services in the result, in any order. Default: not looked at. */
  readonly reports?: Readonly<Record<string, ServiceReport['status']>>;
  readonly failure?: FailureCode | readonly FailureCode[];
  /** Of the failure. */
  readonly message?: RegExp;
  /** Of all failures. */
  readonly log?: RegExp;
  /** What is another process afterwards: a container or a unit. */
  readonly renewed?: readonly string[];
}

export interface Stage {
  /** Everything that an upgrade may change, but what each start changes. */
  readonly look: () => Promise<unknown>;
  /** Which start of it each is. */
  readonly starts: () => Promise<Readonly<Record<string, string>>>;
  readonly upgrade: () => Promise<ResultDocument>;
}

export interface Played {
  readonly before: unknown;
  readonly after: unknown;
  readonly result: ResultDocument;
}

/** What is to be different after a commit is the caller's to compare. */
export async function play(row: Ending, { look, starts, upgrade }: Stage): Promise<Played> {
  const { ends, reports, failure, message, log, renewed = [] } = row;
  const [before, startsBefore] = [await look(), await starts()];
  const result = await upgrade();
  expect({ outcome: result.outcome, failures: result.failures }).toMatchObject({ outcome: ends });
  expect([failure].flat()).toContain(result.failure?.code);
  if (reports !== undefined) expect(Object.fromEntries(result.services.map(({ name, status }) => [name, status]))).toEqual(reports);
  if (message !== undefined) expect(result.failure?.message).toMatch(message);
  if (log !== undefined) expect(result.failures.flatMap((one) => one.log ?? []).join('\n')).toMatch(log);
  for (const { status, why } of result.services) if (status === 'not-restarted') expect(why).toMatch(/did not run/);
  const startsAfter = await starts();
  const others = Object.keys(startsAfter).filter((one) => startsAfter[one] !== startsBefore[one]);
  expect(others.toSorted()).toEqual(renewed.toSorted());
  const after = await look();
  if (ends !== 'committed') expect(after).toEqual(before);
  return { before, after, result };
}
