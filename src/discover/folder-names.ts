// What the names in the folder of migrations say. Pure: given names, gives pairs of versions and what is wrong.
import { compareVersions, tryParseVersion, type Version } from '../model/version.ts';
import { failure, type Failure, type Place } from '../model/failure.ts';

export interface NamedTransition {
  readonly id: string;
  readonly from: Version;
  readonly to: Version;
}

/** Files of editors and package managers that may lie beside the transitions. */
const tolerated = new Set(['package.json', 'tsconfig.json', 'node_modules']);

/** Names that nobody means as a transition or a step. */
export function isLeftAlone(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.') || name.startsWith('README');
}

export function readFolderName(name: string, isFolder: boolean, place: Place): NamedTransition | Failure | null {
  if (isLeftAlone(name) || tolerated.has(name)) return null;
  const match = /^v(.+?)_to_v(.+)$/.exec(name);
  const from = strictVersion(match?.[1]);
  const to = strictVersion(match?.[2]);
  if (from === null || to === null) {
    const suggestion = suggestionFor(name);
    if (!isFolder && suggestion === null) return failure('STRAY_ENTRY', { name, inside: 'the migrations' }, { place });
    return failure('TRANSITION_NAME', { name, suggestion }, { place });
  }
  if (!isFolder) return failure('TRANSITION_NOT_A_FOLDER', { name }, { place });
  const order = compareVersions(from, to);
  if (order === 0) return failure('TRANSITION_TO_ITSELF', { name, version: from }, { place });
  if (order > 0) return failure('TRANSITION_DOWNWARD', { name, from, to }, { place });
  return { id: name, from, to };
}

/** Two folders for one pair of versions. */
export function duplicatePairs(named: readonly NamedTransition[], placeOf: (id: string) => Place): readonly Failure[] {
  const byPair = new Map<string, NamedTransition[]>();
  for (const transition of named) {
    const pair = `${transition.from} ${transition.to}`;
    const same = byPair.get(pair);
    if (same === undefined) byPair.set(pair, [transition]);
    else same.push(transition);
  }
  return [...byPair.values()].flatMap((same) => {
    const [first, second] = same;
    if (first === undefined || second === undefined) return [];
    return [
      failure('TRANSITION_DUPLICATE', { names: same.map(({ id }) => id), from: first.from, to: first.to }, { place: placeOf(second.id) }),
    ];
  });
}

function strictVersion(text: string | undefined): Version | null {
  // A second "v" or a blank is a slip of the pen, though a version alone may be read with it.
  return text === undefined || /^v|\s/.test(text) ? null : tryParseVersion(text);
}

/** The name that was probably meant, for `V0.1.0_to_0.2.0`, `v0.1_to_v0.2.0`, `v0.1.0-v0.2.0` and their like. */
function suggestionFor(name: string): string | null {
  const loose = String.raw`v{0,2}\.?(\d+(?:\.\d+){0,2}(?:-(?!to)[0-9A-Za-z.-]+?)?(?:\+[0-9A-Za-z.]+)?)`;
  const match = new RegExp(String.raw`^${loose}[\s_-]*(?:to|-+>|\.\.|-|_)[\s_-]*${loose}\/?$`, 'i').exec(name.trim());
  const [from, to] = [padded(match?.[1]), padded(match?.[2])];
  return from === null || to === null ? null : `v${from}_to_v${to}`;
}

function padded(text: string | undefined): Version | null {
  if (text === undefined) return null;
  const [, numbers = '', rest = ''] = /^([\d.]+)(.*)$/.exec(text) ?? [];
  const parts = numbers.split('.').map((part) => String(Number(part)));
  return tryParseVersion([...parts, '0', '0'].slice(0, 3).join('.') + rest);
}
