// The way between two versions of the graph: fewest transitions; of equally many, the one whose first differing version is higher. Pure.
import { isOpen, type Edge, type Graph } from './graph.ts';
import type { Version } from '../model/version.ts';

type MayUse = (edge: Edge) => boolean;

/** Both versions are nodes of the graph. `null` where nothing leads there. */
export function shortestPath(
  graph: Graph,
  from: Version,
  to: Version,
  mayUse: MayUse = (edge) => isOpen(graph, edge),
): readonly Edge[] | null {
  const distance = distances(graph.incoming, to, mayUse, ({ from: start }) => start);
  const path: Edge[] = [];
  for (let at = from; at !== to;) {
    const left = distance.get(at);
    const next =
      left === undefined
        ? undefined
        : highest(
            graph,
            (graph.outgoing.get(at) ?? []).filter((edge) => mayUse(edge) && distance.get(edge.to) === left - 1),
          );
    if (next === undefined) return null;
    path.push(next);
    at = next.to;
  }
  return path;
}

/** Every version that can be reached, the start included. */
export function reachable(graph: Graph, from: Version, mayUse: MayUse = (edge) => isOpen(graph, edge)): ReadonlySet<Version> {
  return new Set(distances(graph.outgoing, from, mayUse, ({ to }) => to).keys());
}

/** Every version that leads to the goal, the goal included. */
export function leadingTo(graph: Graph, to: Version, mayUse: MayUse = (edge) => isOpen(graph, edge)): ReadonlySet<Version> {
  return new Set(distances(graph.incoming, to, mayUse, ({ from }) => from).keys());
}

/** Of versions of the graph, the highest. */
export function highestOf({ rank }: Graph, versions: Iterable<Version>): Version | null {
  let best: Version | null = null;
  for (const version of versions) {
    if (best === null || (rank.get(version) ?? -1) > (rank.get(best) ?? -1)) best = version;
  }
  return best;
}

function highest({ rank }: Graph, edges: readonly Edge[]): Edge | undefined {
  return edges.reduce<Edge | undefined>(
    (best, edge) => (best === undefined || (rank.get(edge.to) ?? -1) > (rank.get(best.to) ?? -1) ? edge : best),
    undefined,
  );
}

/** Breadth first, so the first distance found is the shortest. */
function distances(
  neighbours: ReadonlyMap<Version, readonly Edge[]>,
  start: Version,
  mayUse: MayUse,
  other: (edge: Edge) => Version,
): ReadonlyMap<Version, number> {
  const found = new Map<Version, number>([[start, 0]]);
  // A Map gives its keys in the order of insertion, also those added meanwhile: it is its own queue.
  for (const [version, distance] of found) {
    for (const edge of neighbours.get(version) ?? []) {
      if (mayUse(edge) && !found.has(other(edge))) found.set(other(edge), distance + 1);
    }
  }
  return found;
}
