// The versions and the transitions between them, with the way from what is installed to the latest: for drawing. Reads names, no step.
import { readTransitionGraph } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import { failuresOf, type Failure } from '../model/failure.ts';
import type { Installation } from '../model/ports.ts';
import { compareVersions, type Version } from '../model/version.ts';
import { choosePath } from '../plan/choose-path.ts';

export interface VersionGraph {
  readonly installed: Version | null;
  readonly latest: Version | null;
  /** The lowest first. */
  readonly versions: readonly Version[];
  readonly transitions: readonly {
    readonly id: string;
    readonly from: Version;
    readonly to: Version;
    readonly description: string;
    readonly breaking: boolean;
    readonly stop: boolean;
    readonly blocked: string | null;
    readonly chosen: boolean;
  }[];
  readonly problems: readonly Failure[];
}

export async function versionGraph(config: Config, installation: Installation): Promise<VersionGraph> {
  const problems: Failure[] = [];
  let installed: Version | null = null;
  let path: { readonly to: Version; readonly ids: readonly string[] } | null = null;
  const { transitions, problems: found } = await readTransitionGraph(config);
  problems.push(...found);
  try {
    installed = await installation.readVersion();
    const chosen = installed === null ? null : choosePath({ transitions, installed });
    if (chosen?.kind === 'path') path = chosen;
  } catch (error) {
    problems.push(...failuresOf(error));
  }
  const versions = new Set([...transitions.flatMap(({ from, to }) => [from, to]), ...(installed === null ? [] : [installed])]);
  return {
    installed,
    latest: path?.to ?? installed,
    versions: [...versions].toSorted(compareVersions),
    transitions: transitions.map(({ id, from, to, description, breaking, stop, blocked }) => ({
      id,
      from,
      to,
      description,
      breaking,
      stop,
      blocked,
      chosen: path?.ids.includes(id) ?? false,
    })),
    problems,
  };
}
