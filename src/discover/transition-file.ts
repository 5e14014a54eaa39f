// `transition.yaml` of one folder, checked and normalised, with the names that it uses.
import path from 'node:path';
import { transitionFile, type TransitionText } from '../../schemas/transition.ts';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import type { ImageSource, TransitionHeader } from '../model/plan.ts';
import { checkShape } from '../model/schema-problems.ts';
import { parseSize } from '../model/units.ts';
import { readYaml, type Located } from '../model/yaml-source.ts';
import type { NamedTransition } from './folder-names.ts';

export type KnownNames = Pick<Config, 'services' | 'databases' | 'ladders'>;

interface ReadTransitionFile {
  readonly header: TransitionHeader;
  readonly problems: readonly Failure[];
}

/** `text` is `null` where there is no such file: a transition needs none. */
export function readTransitionFile(named: NamedTransition, dir: string, text: string | null, known: KnownNames): ReadTransitionFile {
  if (text === null || text.trim() === '') return { header: headerOf(named, dir, {}), problems: [] };
  const file = path.join(dir, 'transition.yaml');
  const of = `${named.id}/transition.yaml`;
  const simple = simpleValues(text);
  if (simple !== null) return { header: headerOf(named, dir, simple), problems: [] };
  const source = readYaml({ text, file, of });
  if (source.value === undefined || source.value === null) return { header: headerOf(named, dir, {}), problems: source.problems };
  const checked = checkShape(transitionFile, source, of);
  if (!checked.ok) return { header: headerOf(named, dir, {}), problems: [...source.problems, ...checked.problems] };
  return { header: headerOf(named, dir, checked.value), problems: [...source.problems, ...unknownNames(checked.value, source, of, known)] };
}

/**
 * The most common file by far has a line or two of plain text, and thousands of them are read at every start: those are read without YAML.
 * Whatever could mean more than it says is left to YAML (`null`).
 */
function simpleValues(text: string): TransitionText | null {
  const values: TransitionText = {};
  for (const line of text.split(/\r?\n/)) {
    if (line === '') continue;
    const match = /^(description|breaking|stop|blocked): ([A-Za-z][A-Za-z0-9 ,.()/_-]*)$/.exec(line);
    const [, key, value = ''] = match ?? [];
    if (key === undefined || key in values || value.endsWith(' ')) return null;
    const isWord = /^(true|false|null|yes|no|on|off)$/i.test(value);
    if (key === 'description' || key === 'blocked') {
      if (isWord) return null;
      values[key] = value;
    } else if ((key === 'breaking' || key === 'stop') && (value === 'true' || value === 'false')) values[key] = value === 'true';
    else return null;
  }
  return values;
}

function headerOf({ id, from, to }: NamedTransition, dir: string, text: TransitionText): TransitionHeader {
  const { disk, memory, command = [], services = [], env = [] } = text.requires ?? {};
  return {
    id,
    from,
    to,
    dir,
    description: text.description ?? '',
    breaking: text.breaking ?? false,
    stop: text.stop ?? false,
    blocked: text.blocked ?? null,
    requires: {
      diskBytes: disk === undefined ? null : parseSize(disk),
      memoryBytes: memory === undefined ? null : parseSize(memory),
      commands: typeof command === 'string' ? [command] : command,
      services,
      env,
    },
    images: Object.fromEntries(Object.entries(text.images ?? {}).map(([service, source]) => [service, imageSource(source)])),
    ladders: text.ladders ?? {},
  };
}

function imageSource(text: NonNullable<TransitionText['images']>[string]): ImageSource {
  return typeof text === 'string' ? { image: text, file: null } : text;
}

function unknownNames(text: TransitionText, source: Located, of: string, known: KnownNames): readonly Failure[] {
  const problems: Failure[] = [];
  const expect = (what: string, name: string, names: readonly string[], at: readonly (string | number)[], on: 'key' | 'value') => {
    if (names.includes(name)) return;
    problems.push(
      failure(
        'UNKNOWN_NAME',
        { of, key: at.join('.'), what, name, nearest: nearest(name, names), known: names },
        { place: source.placeAt(at, on) },
      ),
    );
  };
  const services = Object.keys(known.services);
  for (const [at, name] of (text.requires?.services ?? []).entries())
    expect('service', name, services, ['requires', 'services', at], 'value');
  for (const name of Object.keys(text.images ?? {})) expect('service', name, services, ['images', name], 'key');
  for (const name of Object.keys(text.ladders ?? {})) expect('ladder', name, Object.keys(known.ladders), ['ladders', name], 'key');
  return problems;
}
