import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/model/config.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import type { ServiceEdge } from '../../../src/model/ports.ts';
import { reversed, servicesToRestart, waitsFor } from '../../../src/model/service-order.ts';

function config(names: readonly string[]): Pick<Config, 'services'> {
  const common = { kind: 'systemd', scope: 'system', after: [], stopDuringUpgrade: false, timeoutMs: 1, stableForMs: 1 } as const;
  return { services: Object.fromEntries(names.map((name) => [name, { ...common, name, unit: `${name}.service` }])) };
}

function edges(after: Readonly<Record<string, readonly string[]>>): readonly ServiceEdge[] {
  return Object.entries(after).flatMap(([service, names]) => names.map((other) => ({ service, after: other, source: null })));
}

const shown = (order: ReadonlyMap<string, ReadonlySet<string>>) =>
  Object.fromEntries([...order].map(([name, others]) => [name, [...others].toSorted()]));
const failureOf = (work: () => unknown) => {
  try {
    work();
    return null;
  } catch (error) {
    return failuresOf(error)[0] ?? null;
  }
};
const codeOf = (work: () => unknown) => `${failureOf(work)?.code} ${failureOf(work)?.message}`;
const hintOf = (work: () => unknown) => failureOf(work)?.hint;

describe('waitsFor', () => {
  test.each([
    { why: 'services that come after nothing wait for nothing', after: {}, wanted: ['api', 'web'], order: { api: [], web: [] } },
    {
      why: 'each waits for what it comes after',
      after: { web: ['api'], api: ['db'] },
      wanted: ['web', 'api', 'db'],
      order: { web: ['api'], api: ['db'], db: [] },
    },
    {
      why: 'a service waits for several',
      after: { web: ['api', 'db'] },
      wanted: ['web', 'api', 'db'],
      order: { web: ['api', 'db'], api: [], db: [] },
    },
    {
      why: 'a service waits through one that is not wanted',
      after: { web: ['api'], api: ['db'] },
      wanted: ['web', 'db'],
      order: { web: ['db'], db: [] },
    },
    { why: 'what is not wanted is not waited for', after: { web: ['api'], api: ['db'] }, wanted: ['web'], order: { web: [] } },
    { why: 'nothing wanted is nothing', after: { web: ['api'] }, wanted: [], order: {} },
  ])('$why', ({ after, wanted, order }) => {
    expect(shown(waitsFor(edges(after), wanted))).toEqual(order);
  });

  test('a circle is named as it goes round, and who asks for each part of it', () => {
    const all = [...edges({ a: ['b'], b: ['c'] }), { service: 'c', after: 'b', source: 'After=b.service of c.service' }];
    expect(codeOf(() => waitsFor(all, ['a']))).toMatch(/^SERVICE_CYCLE .*b → c → b/);
    expect(hintOf(() => waitsFor(all, ['a']))).toBe(
      'b comes after c by "after:" in upgrade.yaml; c comes after b by After=b.service of c.service. Take one of these out.',
    );
  });

  test('in any graph without circles, whoever begins when nothing holds it up begins after all that it comes after, and nothing is lost', () => {
    // Each may wait for those with a lower number only, which is what makes it free of circles.
    const graph = fc.array(fc.array(fc.nat(20), { maxLength: 4 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(graph, fc.infiniteStream(fc.boolean()), (targets, coin) => {
        const after = Object.fromEntries(
          targets.map((some, index) => [`s${index}`, index === 0 ? [] : some.map((target) => `s${target % index}`)]),
        );
        const wanted = Object.keys(after).filter(() => coin.next().value);
        for (const isStop of [false, true]) {
          const order = waitsFor(edges(after), wanted);
          const begun = walk(isStop ? reversed(order) : order);
          expect(begun.toSorted()).toEqual(wanted.toSorted());
          const reaches = (name: string): readonly string[] => (after[name] ?? []).flatMap((other) => [other, ...reaches(other)]);
          const at = (name: string) => begun.indexOf(name) * (isStop ? -1 : 1);
          for (const name of wanted)
            for (const other of reaches(name)) if (wanted.includes(other)) expect(at(other)).toBeLessThan(at(name));
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** The last that may begin first, so that nothing but the order keeps them apart. */
function walk(order: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const done: string[] = [];
  for (;;) {
    const ready = [...order].filter(([name, others]) => !done.includes(name) && [...others].every((other) => done.includes(other)));
    const next = ready.at(-1)?.[0];
    if (next === undefined) return done;
    done.push(next);
  }
}

describe('servicesToRestart', () => {
  const step = (...requiresRestart: string[]) => ({ requiresRestart });
  test.each([
    { why: 'each name once, in the order of the config', steps: [step('web'), step('api', 'web')], names: ['api', 'web'] },
    { why: 'a star is all of them', steps: [step('*')], names: ['api', 'web', 'jobs'] },
    { why: 'steps that name nothing restart nothing', steps: [step()], names: [] },
  ])('$why', ({ steps, names }) => {
    expect(servicesToRestart(steps, config(['api', 'web', 'jobs']))).toEqual(names);
  });

  test('names that the config lacks are all told', () => {
    expect(codeOf(() => servicesToRestart([step('x', '*'), step('y')], config(['api'])))).toMatch(/^SERVICE_UNKNOWN .*x, y/);
  });
});
