// Chooses the way from what is installed to what is wanted, up or down. Pure: needs headers alone, no steps.
import { fail } from '../model/failure.ts';
import type { PlanDirection } from '../model/plan.ts';
import { compareVersions, type Version } from '../model/version.ts';
import { buildGraph, floorOf, stopPassedBy, type Edge, type Graph } from './graph.ts';
import { highestOf, leadingTo, reachable, shortestPath } from './shortest-path.ts';

export interface PathRequest {
  readonly transitions: readonly Edge[];
  /** `null` where the source does not know yet: then `from` is needed. */
  readonly installed: Version | null;
  readonly from?: Version | undefined;
  /** Default: the highest version that can be reached. */
  readonly to?: Version | undefined;
  readonly allowDowngrade?: boolean | undefined;
  /** Ids of the transitions that led up to what is installed, the oldest first. */
  readonly committedPath?: readonly string[] | undefined;
}

export type ChosenPath =
  | { readonly kind: 'nothing-to-do'; readonly version: Version }
  | {
      readonly kind: 'path';
      readonly from: Version;
      readonly to: Version;
      readonly direction: PlanDirection;
      /** In running order. */
      readonly ids: readonly string[];
      /** Those of a downgrade that the journal does not know: their backwards were never preceded by our forwards. */
      readonly assumed: readonly string[];
    };

/** Throws FROM_UNKNOWN, FROM_MISMATCH, DOWNGRADE_REFUSED, DOWNGRADE_PASSES_TARGET, NO_PATH or PATH_BLOCKED. */
export function choosePath({ transitions, installed, from, to, allowDowngrade = false, committedPath = [] }: PathRequest): ChosenPath {
  const start = installed ?? from;
  if (start === undefined) throw fail('FROM_UNKNOWN', {});
  if (from !== undefined && from !== start) throw fail('FROM_MISMATCH', { from, installed: start });
  const graph = buildGraph(transitions);
  const target = to ?? defaultTarget(graph, start);
  const order = compareVersions(target, start);
  if (order === 0) return { kind: 'nothing-to-do', version: start };
  if (order > 0)
    return { kind: 'path', from: start, to: target, direction: 'up', ids: wayUp(graph, start, target).map(({ id }) => id), assumed: [] };
  if (!allowDowngrade) throw fail('DOWNGRADE_REFUSED', { from: start, to: target });
  return { kind: 'path', from: start, to: target, direction: 'down', ...wayDown(graph, start, target, committedPath) };
}

/** Versions above the installed one that an upgrade can end at, the lowest first. */
export function pendingVersions(transitions: readonly Edge[], installed: Version): readonly Version[] {
  const graph = buildGraph(transitions);
  const standing = floorOf(graph, installed);
  if (standing === null) return [];
  const within = reachable(graph, standing);
  return graph.versions.filter((version) => within.has(version) && compareVersions(version, installed) > 0);
}

function defaultTarget(graph: Graph, start: Version): Version {
  const standing = floorOf(graph, start);
  const reached = standing === null ? null : highestOf(graph, reachable(graph, standing));
  if (reached !== null && compareVersions(reached, start) > 0) return reached;
  // Something newer that cannot be reached is worth an error, not "nothing to do".
  const newest = graph.versions.at(-1);
  if (newest !== undefined && compareVersions(newest, start) > 0) return newest;
  return start;
}

function wayUp(graph: Graph, start: Version, target: Version): readonly Edge[] {
  const [standing, goal] = [floorOf(graph, start), floorOf(graph, target)];
  // Below all transitions, or without any: what is not there cannot be needed.
  if (goal === null) return [];
  const path = standing === null ? null : shortestPath(graph, standing, goal);
  return path ?? explainNoPath(graph, { start, target, standing, goal });
}

interface Ends {
  readonly start: Version;
  readonly target: Version;
  readonly standing: Version | null;
  readonly goal: Version;
}

function explainNoPath(graph: Graph, { start, target, standing, goal }: Ends): never {
  const ends = { from: start, to: target };
  if (standing === null)
    throw fail('NO_PATH', { ...ends, missing: { at: start, next: graph.versions[0] ?? null }, blocked: [], stopped: [] });
  const keepsStops = (edge: Edge) => stopPassedBy(graph, edge) === null;
  const blocked = (edges: readonly Edge[]) => edges.flatMap(({ id, blocked: why }) => (why === null ? [] : [{ id, why }]));
  const around = shortestPath(graph, standing, goal, keepsStops);
  if (around !== null) throw fail('PATH_BLOCKED', { ...ends, blocked: blocked(around) });
  const isBetween = ({ from, to }: Edge) => rank(graph, from) >= rank(graph, standing) && rank(graph, to) <= rank(graph, goal);
  const between = graph.edges.filter(isBetween);
  // The gap: as far as one can get from below, and the nearest version above from which it goes on.
  const at = highestOf(graph, [...reachable(graph, standing, (edge) => keepsStops(edge) && isBetween(edge))]) ?? standing;
  const next = [...leadingTo(graph, goal, keepsStops)].reduce(
    (low, version) => (rank(graph, version) < rank(graph, low) && rank(graph, version) > rank(graph, at) ? version : low),
    goal,
  );
  const stopped = between.flatMap((edge) => {
    const over = stopPassedBy(graph, edge);
    return over === null ? [] : [{ id: edge.id, over }];
  });
  throw fail('NO_PATH', { ...ends, missing: { at, next }, blocked: blocked(between), stopped });
}

/** Back along what was committed; beyond what the journal knows, back along the way that an upgrade would have taken. */
function wayDown(
  graph: Graph,
  start: Version,
  target: Version,
  committedPath: readonly string[],
): { readonly ids: readonly string[]; readonly assumed: readonly string[] } {
  const goal = floorOf(graph, target);
  const byId = new Map(graph.edges.map((edge) => [edge.id, edge]));
  const ids: string[] = [];
  let at = floorOf(graph, start);
  for (const id of committedPath.toReversed()) {
    const edge = byId.get(id);
    if (at === goal || edge === undefined || edge.to !== at) break;
    if (goal !== null && rank(graph, edge.from) < rank(graph, goal))
      throw fail('DOWNGRADE_PASSES_TARGET', { from: start, to: target, transition: id });
    ids.push(id);
    at = edge.from;
  }
  if (at === goal) return { ids, assumed: [] };
  const rest = at === null || goal === null ? null : shortestPath(graph, goal, at, () => true);
  if (rest === null)
    throw fail('NO_PATH', { from: start, to: target, missing: { at: goal ?? target, next: at }, blocked: [], stopped: [] });
  const assumed = rest.map(({ id }) => id).toReversed();
  return { ids: [...ids, ...assumed], assumed };
}

function rank(graph: Graph, version: Version): number {
  return graph.rank.get(version) ?? -1;
}
