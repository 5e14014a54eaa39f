// The way from version to version: a table for what people expect, properties for everything else.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareVersions, parseVersion, type Version } from '../../../src/model/version.ts';
import { choosePath, pendingVersions } from '../../../src/plan/choose-path.ts';
import { buildGraph, floorOf, stopPassedBy, type Edge } from '../../../src/plan/graph.ts';
import { routeToHighest } from '../../../src/plan/route.ts';
import { shortestPath } from '../../../src/plan/shortest-path.ts';
import { failuresOf } from '../../../src/model/failure.ts';

/** `0.1.0>0.2.0`, with `*` for a stop and `!` for blocked. */
function edge(text: string): Edge {
  const [, from = '', to = '', mark] = /^([^>]+)>([^*!]+)([*!])?$/.exec(text) ?? [];
  return { id: text, from: parseVersion(from), to: parseVersion(to), stop: mark === '*', blocked: mark === '!' ? 'because' : null };
}

describe('upwards', () => {
  test.each([
    {
      installed: '0.1.3',
      target: '0.3.1',
      edges: ['0.1.0>0.2.0', '0.2.0>0.3.0'],
      path: ['0.1.0>0.2.0', '0.2.0>0.3.0'],
      why: 'a patch release stands on its transition, and the target may be above the last one',
    },
    {
      installed: '0.9.0',
      target: '0.11.0',
      edges: ['0.10.0>0.11.0', '0.9.0>0.10.0'],
      path: ['0.9.0>0.10.0', '0.10.0>0.11.0'],
      why: 'order is numeric',
    },
    {
      installed: '1.0.0',
      target: '4.0.0',
      edges: ['1.0.0>2.0.0', '1.0.0>3.0.0', '2.0.0>4.0.0'],
      path: ['1.0.0>2.0.0', '2.0.0>4.0.0'],
      why: 'the furthest first hop is a dead end',
    },
    {
      installed: '0.1.0',
      target: '0.3.0',
      edges: ['0.1.0>0.2.0', '0.2.0>0.3.0', '0.1.0>0.3.0'],
      path: ['0.1.0>0.3.0'],
      why: 'a shortcut is shorter',
    },
    {
      installed: '0.1.0',
      target: '0.3.0',
      edges: ['0.1.0>0.2.0*', '0.2.0>0.3.0', '0.1.0>0.3.0'],
      path: ['0.1.0>0.2.0*', '0.2.0>0.3.0'],
      why: 'a stop forbids the shortcut over it',
    },
    {
      installed: '0.2.0',
      target: '0.4.0',
      edges: ['0.1.0>0.2.0*', '0.2.0>0.4.0', '0.2.0>0.3.0', '0.3.0>0.4.0'],
      path: ['0.2.0>0.4.0'],
      why: 'a stop forbids nothing that starts at it',
    },
    {
      installed: '0.1.0',
      target: '0.2.0',
      edges: ['0.1.0>0.2.0*', '0.2.0>0.4.0'],
      path: ['0.1.0>0.2.0*'],
      why: 'a stop forbids nothing that ends at it',
    },
    {
      installed: '0.1.0',
      target: '0.3.0',
      edges: ['0.1.0>0.3.0!', '0.1.0>0.2.0', '0.2.0>0.3.0'],
      path: ['0.1.0>0.2.0', '0.2.0>0.3.0'],
      why: 'a blocked edge is gone round',
    },
    {
      installed: '1.0.0',
      target: '5.0.0',
      edges: ['1.0.0>2.0.0', '2.0.0>5.0.0', '1.0.0>3.0.0', '3.0.0>5.0.0'],
      path: ['1.0.0>3.0.0', '3.0.0>5.0.0'],
      why: 'of equally many, the first differing version that is higher',
    },
    {
      installed: '1.0.0-rc.1',
      target: '1.0.0',
      edges: ['0.9.0>1.0.0-rc.1', '1.0.0-rc.1>1.0.0'],
      path: ['1.0.0-rc.1>1.0.0'],
      why: 'pre-releases are versions',
    },
    {
      installed: '1.0.0-rc.2',
      target: '1.0.0',
      edges: ['0.9.0>1.0.0-rc.1', '1.0.0-rc.1>1.0.0'],
      path: ['1.0.0-rc.1>1.0.0'],
      why: 'a pre-release stands below its release',
    },
    { installed: '0.2.0', target: '0.2.5', edges: ['0.1.0>0.2.0', '0.3.0>0.4.0'], path: [], why: 'a patch release may need nothing' },
    { installed: '0.2.0', target: '0.2.5', edges: [], path: [], why: 'without any transitions nothing is needed' },
  ])('$why', ({ installed, target, edges, path }) => {
    expect(choosePath({ transitions: edges.map(edge), installed: parseVersion(installed), to: parseVersion(target) })).toEqual({
      kind: 'path',
      from: installed,
      to: target,
      direction: 'up',
      ids: path,
      assumed: [],
    });
  });

  test.each([
    { installed: '0.1.0', edges: ['0.1.0>0.2.0', '0.2.0>0.10.0'], to: '0.10.0', why: 'the highest that can be reached' },
    { installed: '0.1.0', edges: ['0.1.0>0.2.0', '0.3.0>0.4.0'], to: '0.2.0', why: 'not what lies behind a gap' },
    { installed: '0.1.0', edges: ['0.1.0>0.2.0', '0.2.0>0.3.0!'], to: '0.2.0', why: 'not what is blocked' },
    { installed: '0.1.2', edges: ['0.1.0>0.2.0'], to: '0.2.0', why: 'also from a patch release' },
  ])('the default target is $why', ({ installed, edges, to }) => {
    expect(choosePath({ transitions: edges.map(edge), installed: parseVersion(installed) })).toMatchObject({ kind: 'path', to });
    expect(routeToHighest(edges.map(edge), parseVersion(installed))).toMatchObject({ to });
    expect(pendingVersions(edges.map(edge), parseVersion(installed)).at(-1)).toBe(to);
  });

  test.each([
    { installed: '0.2.0', to: '0.2.0', edges: ['0.1.0>0.2.0', '0.2.0>0.3.0'], why: 'the target is installed' },
    { installed: '0.3.0', to: undefined, edges: ['0.1.0>0.2.0', '0.2.0>0.3.0'], why: 'the newest is installed' },
    { installed: '0.3.1', to: undefined, edges: ['0.1.0>0.2.0', '0.2.0>0.3.0'], why: 'something newer than all transitions is installed' },
    { installed: '0.3.1', to: undefined, edges: [], why: 'there are no transitions' },
  ])('there is nothing to do where $why', ({ installed, to, edges }) => {
    const request = {
      transitions: edges.map(edge),
      installed: parseVersion(installed),
      to: to === undefined ? undefined : parseVersion(to),
    };
    expect(choosePath(request)).toEqual({ kind: 'nothing-to-do', version: installed });
  });

  test('--from says it where the source does not know, and may repeat what is installed', () => {
    const request = { transitions: ['0.1.0>0.2.0'].map(edge), from: parseVersion('0.1.0') };
    expect(choosePath({ ...request, installed: null })).toMatchObject({ from: '0.1.0', to: '0.2.0' });
    expect(choosePath({ ...request, installed: parseVersion('0.1.0') })).toMatchObject({ from: '0.1.0', to: '0.2.0' });
  });
});

describe('downwards', () => {
  const edges = ['0.1.0>0.2.0', '0.2.0>0.3.0', '0.1.0>0.3.0', '0.3.0>0.4.0'].map(edge);
  test.each([
    {
      installed: '0.4.0',
      to: '0.1.0',
      committed: ['0.1.0>0.2.0', '0.2.0>0.3.0', '0.3.0>0.4.0'],
      ids: ['0.3.0>0.4.0', '0.2.0>0.3.0', '0.1.0>0.2.0'],
      assumed: [],
      why: 'the committed path, not the shortest',
    },
    {
      installed: '0.4.0',
      to: '0.3.0',
      committed: ['0.1.0>0.3.0', '0.3.0>0.4.0'],
      ids: ['0.3.0>0.4.0'],
      assumed: [],
      why: 'only as far as wanted',
    },
    {
      installed: '0.4.2',
      to: '0.3.7',
      committed: ['0.1.0>0.3.0', '0.3.0>0.4.0'],
      ids: ['0.3.0>0.4.0'],
      assumed: [],
      why: 'from and to patch releases',
    },
    { installed: '0.4.2', to: '0.4.0', committed: ['0.3.0>0.4.0'], ids: [], assumed: [], why: 'nothing between two patch releases' },
    {
      installed: '0.4.0',
      to: '0.2.0',
      committed: ['0.3.0>0.4.0'],
      ids: ['0.3.0>0.4.0', '0.2.0>0.3.0'],
      assumed: ['0.2.0>0.3.0'],
      why: 'beyond the journal, the way an upgrade would have taken',
    },
  ])('$why', ({ installed, to, committed, ids, assumed }) => {
    expect(
      choosePath({
        transitions: edges,
        installed: parseVersion(installed),
        to: parseVersion(to),
        allowDowngrade: true,
        committedPath: committed,
      }),
    ).toEqual({
      kind: 'path',
      from: installed,
      to,
      direction: 'down',
      ids,
      assumed,
    });
  });
});

const numbers = Array.from({ length: 8 }, (_, at) => parseVersion(`${Math.floor(at / 3)}.${at % 3}.0`));

/** Up to 14 edges between 8 versions, some stops, some blocked. */
const anyEdges: fc.Arbitrary<readonly Edge[]> = fc
  .uniqueArray(
    fc.tuple(fc.nat(7), fc.nat(7)).filter(([from, to]) => from < to),
    { maxLength: 14, selector: ([from, to]) => from * 8 + to },
  )
  .chain((pairs) =>
    fc.tuple(
      ...pairs.map(([from, to]) =>
        fc.record({
          from: fc.constant(from),
          to: fc.constant(to),
          stop: fc.integer({ max: 5, min: 0 }),
          blocked: fc.integer({ min: 0, max: 5 }),
        }),
      ),
    ),
  )
  .map((records) =>
    records.flatMap(({ from, to, stop, blocked }) => {
      const [start, end] = [numbers[from], numbers[to]];
      return start === undefined || end === undefined
        ? []
        : [{ id: `${start}>${end}`, from: start, to: end, stop: stop === 0, blocked: blocked === 0 ? 'no' : null }];
    }),
  );

/** Every path that is allowed, found the slow way; written from the rules, not from the code. */
function allPaths(edges: readonly Edge[], from: Version, to: Version): readonly (readonly Edge[])[] {
  if (from === to) return [[]];
  const stops = edges.filter(({ stop }) => stop).map((stop) => stop.to);
  return edges
    .filter(
      (one) =>
        one.from === from &&
        one.blocked === null &&
        !stops.some((stop) => compareVersions(one.from, stop) < 0 && compareVersions(stop, one.to) < 0),
    )
    .flatMap((one) => allPaths(edges, one.to, to).map((rest) => [one, ...rest]));
}

describe('any graph', () => {
  test('the path is contiguous, keeps stops, avoids blocked edges, and none is shorter or, as short, higher', () => {
    fc.assert(
      fc.property(anyEdges, fc.constantFrom(...numbers), fc.constantFrom(...numbers), (edges, from, to) => {
        const graph = buildGraph(edges);
        const found = shortestPath(graph, from, to);
        const all = allPaths(edges, from, to);
        if (found === null) {
          expect(all).toEqual([]);
          return;
        }
        expect(all).toContainEqual(found);
        expect(found.every((one, at) => one.from === (found[at - 1]?.to ?? from))).toBe(true);
        expect(found.every((one) => one.blocked === null && stopPassedBy(graph, one) === null)).toBe(true);
        const shortest = Math.min(...all.map(({ length }) => length));
        expect(found).toHaveLength(shortest);
        for (const other of all.filter(({ length }) => length === shortest)) {
          const differs = found.findIndex((one, at) => one.to !== other[at]?.to);
          const [ours, theirs] = [found[differs]?.to, other[differs]?.to];
          if (ours !== undefined && theirs !== undefined) expect(compareVersions(ours, theirs)).toBe(1);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('a version stands at the highest transition version that is not above it', () => {
    fc.assert(
      fc.property(anyEdges, fc.tuple(fc.nat(3), fc.nat(3), fc.nat(2)), (edges, [major, minor, patch]) => {
        const version = parseVersion(`${major}.${minor}.${patch}`);
        const below = edges.flatMap(({ from, to }) => [from, to]).filter((node) => compareVersions(node, version) <= 0);
        const highest = below.reduce<Version | null>(
          (best, node) => (best === null || compareVersions(node, best) > 0 ? node : best),
          null,
        );
        expect(floorOf(buildGraph(edges), version)).toBe(highest);
      }),
    );
  });

  test('choosing ends in a path, in nothing to do, or in a failure that has a hint', () => {
    fc.assert(
      fc.property(
        anyEdges,
        fc.constantFrom(...numbers),
        fc.option(fc.constantFrom(...numbers), { nil: undefined }),
        fc.boolean(),
        (edges, installed, to, allowDowngrade) => {
          try {
            const path = choosePath({ transitions: edges, installed, to, allowDowngrade });
            if (path.kind === 'path' && to === undefined) expect(compareVersions(path.to, installed)).toBe(1);
            expect(path.kind === 'nothing-to-do' ? path.version : path.from).toBe(installed);
          } catch (error) {
            const codes = failuresOf(error).map(({ code }) => code);
            expect(['NO_PATH', 'PATH_BLOCKED', 'DOWNGRADE_REFUSED']).toContain(codes[0]);
            // A path that is there must not be called missing.
            if (to !== undefined && codes[0] !== 'DOWNGRADE_REFUSED' && compareVersions(to, installed) > 0) {
              const graph = buildGraph(edges);
              const [start, goal] = [floorOf(graph, installed), floorOf(graph, to)];
              if (start !== null && goal !== null) expect(allPaths(edges, start, goal)).toEqual([]);
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

test('two thousand transitions with shortcuts are one path, and no recursion', () => {
  const version = (at: number) => parseVersion(`${Math.floor(at / 100)}.${at % 100}.0`);
  const edges = Array.from({ length: 2000 }, (_, at): Edge => ({
    id: `${at}`,
    from: version(at),
    to: version(at + 1),
    stop: at % 50 === 49,
    blocked: null,
  }));
  const shortcuts = Array.from({ length: 199 }, (_, at): Edge => ({
    id: `s${at}`,
    from: version(at * 10),
    to: version(at * 10 + 10),
    stop: false,
    blocked: null,
  }));
  const path = choosePath({ transitions: [...edges, ...shortcuts], installed: version(0), to: version(2000) });
  // All shortcuts are usable, for stops lie at their ends; only the last ten single steps have none.
  expect(path).toMatchObject({ kind: 'path', ids: { length: 199 + 10 } });
});
