// The graph of transitions: versions are its nodes, folders its edges. Pure; built once, asked in milliseconds.
import type { TransitionHeader } from '../model/plan.ts';
import { compareVersions, sortVersions, type Version } from '../model/version.ts';

/** What a path depends on. */
export type Edge = Pick<TransitionHeader, 'id' | 'from' | 'to' | 'stop' | 'blocked'>;

export interface Graph {
  readonly edges: readonly Edge[];
  /** Every version that a transition starts at or leads to, the lowest first. */
  readonly versions: readonly Version[];
  /** Place of a version in `versions`. */
  readonly rank: ReadonlyMap<Version, number>;
  readonly outgoing: ReadonlyMap<Version, readonly Edge[]>;
  readonly incoming: ReadonlyMap<Version, readonly Edge[]>;
  /** Versions that no shortcut may pass, the lowest first. */
  readonly stops: readonly Version[];
}

export function buildGraph(edges: readonly Edge[]): Graph {
  const versions = sortVersions(edges.flatMap(({ from, to }) => [from, to]));
  return {
    edges,
    versions,
    rank: new Map(versions.map((version, at) => [version, at])),
    outgoing: Map.groupBy(edges, ({ from }) => from),
    incoming: Map.groupBy(edges, ({ to }) => to),
    stops: sortVersions(edges.filter(({ stop }) => stop).map(({ to }) => to)),
  };
}

/** Where a version stands: at itself, or at the highest transition version below it; `null` below them all. */
export function floorOf({ versions, rank }: Graph, version: Version): Version | null {
  if (rank.has(version)) return version;
  let [low, high] = [0, versions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = versions[middle];
    if (at !== undefined && compareVersions(at, version) <= 0) low = middle + 1;
    else high = middle;
  }
  return versions[low - 1] ?? null;
}

/** The stop that an edge would pass, or `null`. */
export function stopPassedBy({ stops, rank }: Graph, { from, to }: Edge): Version | null {
  const [start, end] = [rank.get(from) ?? 0, rank.get(to) ?? 0];
  let [low, high] = [0, stops.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rankOf(rank, stops[middle]) <= start) low = middle + 1;
    else high = middle;
  }
  const stop = stops[low];
  return stop !== undefined && rankOf(rank, stop) < end ? stop : null;
}

/** Whether a path may use the edge. */
export function isOpen(graph: Graph, edge: Edge): boolean {
  return edge.blocked === null && stopPassedBy(graph, edge) === null;
}

function rankOf(rank: ReadonlyMap<Version, number>, version: Version | undefined): number {
  return version === undefined ? Number.POSITIVE_INFINITY : (rank.get(version) ?? 0);
}
