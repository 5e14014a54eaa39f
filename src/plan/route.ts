// Where an installation can go from here: the highest version that the migrations reach, for a status. Pure.
import type { Version } from '../model/version.ts';
import { choosePath } from './choose-path.ts';
import type { Edge } from './graph.ts';

export interface Route {
  readonly to: Version;
  /** Ids in running order. */
  readonly transitions: readonly string[];
}

/** `null` where there is nothing newer. Throws NO_PATH or PATH_BLOCKED where there is, but nothing of it can be reached. */
export function routeToHighest(transitions: readonly Edge[], installed: Version): Route | null {
  const path = choosePath({ transitions, installed });
  return path.kind === 'nothing-to-do' ? null : { to: path.to, transitions: path.ids };
}
