import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Config, ServiceConfig } from '../../../src/model/config.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import { dependencyWaves, servicesToRestart } from '../../../src/model/service-order.ts';

function services(after: Readonly<Record<string, readonly string[]>>): readonly ServiceConfig[] {
  return Object.entries(after).map(([name, names]) => ({
    kind: 'systemd',
    unit: `${name}.service`,
    scope: 'system',
    name,
    after: names,
    stopDuringUpgrade: false,
    timeoutMs: 1,
    stableForMs: 1,
  }));
}

function config(names: readonly string[]): Pick<Config, 'services'> {
  return {
    services: Object.fromEntries(services(Object.fromEntries(names.map((name) => [name, []]))).map((service) => [service.name, service])),
  };
}

const namesOf = (waves: readonly (readonly ServiceConfig[])[]) => waves.map((wave) => wave.map(({ name }) => name));
const codeOf = (work: () => unknown) => {
  try {
    work();
    return null;
  } catch (error) {
    return error instanceof UpgradeError ? error.failures.map(({ code, message }) => `${code} ${message}`)[0] : String(error);
  }
};

describe('dependencyWaves', () => {
  test.each([
    { why: 'services that wait for nothing start together', after: { web: [], api: [] }, wanted: ['api', 'web'], waves: [['web', 'api']] },
    {
      why: 'each wave comes after what it waits for',
      after: { web: ['api'], api: ['db'], db: [] },
      wanted: ['web', 'api', 'db'],
      waves: [['db'], ['api'], ['web']],
    },
    {
      why: 'a service waits for the slowest of several',
      after: { web: ['api', 'db'], api: ['db'], db: [] },
      wanted: ['web', 'api', 'db'],
      waves: [['db'], ['api'], ['web']],
    },
    {
      why: 'a service waits through one that is not wanted',
      after: { web: ['api'], api: ['db'], db: [] },
      wanted: ['web', 'db'],
      waves: [['db'], ['web']],
    },
    { why: 'what is not wanted leaves no empty wave', after: { web: ['api'], api: ['db'], db: [] }, wanted: ['web'], waves: [['web']] },
    { why: 'nothing wanted is no wave', after: { web: [] }, wanted: [], waves: [] },
  ])('$why', ({ after, wanted, waves }) => {
    expect(namesOf(dependencyWaves(services(after), wanted))).toEqual(waves);
    expect(namesOf(dependencyWaves(services(after), wanted, 'stop'))).toEqual(waves.toReversed());
  });

  test('a circle is named as it goes round', () => {
    expect(codeOf(() => dependencyWaves(services({ a: ['b'], b: ['c'], c: ['b'] }), ['a']))).toMatch(/^SERVICE_CYCLE .*b → c → b/);
  });

  test('every unknown name is told at once', () => {
    expect(codeOf(() => dependencyWaves(services({ a: [] }), ['x', 'a', 'y']))).toMatch(/^SERVICE_UNKNOWN .*x, y/);
  });

  test('in any graph without circles, nothing starts with or before what it waits for, and nothing is lost', () => {
    // Each may wait for those with a lower number only, which is what makes it free of circles.
    const graph = fc.array(fc.array(fc.nat(20), { maxLength: 4 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(graph, fc.infiniteStream(fc.boolean()), (edges, coin) => {
        const after = Object.fromEntries(
          edges.map((targets, index) => [`s${index}`, index === 0 ? [] : targets.map((target) => `s${target % index}`)]),
        );
        const all = services(after);
        const wanted = all.map(({ name }) => name).filter(() => coin.next().value);
        const waves = namesOf(dependencyWaves(all, wanted));
        const rank = new Map(waves.flatMap((wave, index) => wave.map((name) => [name, index] as const)));
        expect(waves.flat().toSorted()).toEqual(wanted.toSorted());
        expect(waves.every((wave) => wave.length > 0)).toBe(true);
        const reaches = (name: string): readonly string[] => (after[name] ?? []).flatMap((other) => [other, ...reaches(other)]);
        for (const name of wanted)
          for (const other of reaches(name)) if (rank.has(other)) expect(rank.get(other)).toBeLessThan(rank.get(name) ?? -1);
      }),
      { numRuns: 200 },
    );
  });
});

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
