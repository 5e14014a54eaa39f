import { expect, test } from 'vitest';
import { inOrder } from '../../../phases/in-order.ts';
import { fail, failuresOf } from '../../../src/model/failure.ts';

const order = (after: Readonly<Record<string, readonly string[]>>) =>
  new Map(Object.entries(after).map(([name, others]) => [name, new Set(others)]));

/** Ends each piece of work by name, so that the order is the test's and not the clock's. */
function workshop() {
  const [begun, ends] = [[] as string[], new Map<string, PromiseWithResolvers<void>>()];
  const work = async (name: string): Promise<void> => {
    begun.push(name);
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    return end.promise;
  };
  /** Resolves when all that follows from it has begun. */
  const settle = async (name: string, error?: Error): Promise<void> => {
    if (error === undefined) ends.get(name)?.resolve();
    else ends.get(name)?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, work, settle };
}

const broken = () => fail('SERVICE_DIED', { service: 'a', afterMs: 1 });

test('a slow one holds up nobody but those that come after it', async () => {
  const { begun, work, settle } = workshop();
  const done = inOrder(order({ slow: [], a: [], b: ['a'], c: ['b'], last: ['slow', 'c'] }), work, { limit: 9 });
  expect(begun).toEqual(['slow', 'a']);
  await settle('a');
  await settle('b');
  await settle('c');
  expect(begun).toEqual(['slow', 'a', 'b', 'c']);
  await settle('slow');
  expect(begun.at(-1)).toBe('last');
  await settle('last');
  await done;
});

test('no more than the limit are under way', async () => {
  const { begun, work, settle } = workshop();
  const done = inOrder(order({ a: [], b: [], c: [] }), work, { limit: 2 });
  expect(begun).toEqual(['a', 'b']);
  await settle('b');
  expect(begun).toEqual(['a', 'b', 'c']);
  await settle('a');
  await settle('c');
  await done;
});

test('after a failure nothing more is begun, what was begun is waited for, and all failures are told', async () => {
  const { begun, work, settle } = workshop();
  const done = inOrder(order({ a: [], b: [], c: ['b'] }), work, { limit: 9 }).catch((error: unknown) => failuresOf(error));
  await settle('a', broken());
  await settle('b', broken());
  expect(await done).toHaveLength(2);
  expect(begun).toEqual(['a', 'b']);
});

test('where it goes on, all are begun, those after a failed one too', async () => {
  const { begun, work, settle } = workshop();
  const done = inOrder(order({ a: [], b: ['a'] }), work, { limit: 9, goesOn: true }).catch((error: unknown) => failuresOf(error));
  await settle('a', broken());
  await settle('b');
  expect(await done).toHaveLength(1);
  expect(begun).toEqual(['a', 'b']);
});
