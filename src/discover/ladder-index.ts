// Reads an index ladder: `index.json` (`{ metadata, migrations: [] }` or the bare array) and the scripts it names.
// The order of the array counts, not the ids; `depends_on` has to agree with it. A damaged index is an error, never an empty ladder.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { Bookkeeping, LadderFile, LadderOnDisk } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';

interface Request {
  readonly ladder: string;
  /** Absolute. */
  readonly index: string;
  readonly dir: string;
}

interface Entry {
  readonly id: string;
  readonly description: string | null;
  readonly hasRun: boolean;
}

/** What was run, in the order of the array. */
export function readIndexRecord({ ladder, index }: Request): Bookkeeping {
  const { entries, problems } = readIndex(ladder, index);
  return {
    source: { kind: 'index', file: index },
    applied: entries.filter(({ hasRun }) => hasRun).map(({ id }) => ({ number: Number(id), name: id, appliedAt: null, sha256: null })),
    problems,
  };
}

/** The scripts in the order of the array. */
export function readIndexLadder({ ladder, index, dir }: Request): LadderOnDisk {
  const { entries, problems } = readIndex(ladder, index);
  const scripts = namesIn(dir);
  if (scripts === null) {
    return {
      files: [],
      problems: [...problems, blocked(failure('LADDER_DIR_MISSING', { ladder, dir, why: 'cannot be read' }, { place: { file: dir } }))],
    };
  }
  const files: LadderFile[] = [];
  const missing: Finding[] = [];
  for (const { id, description, hasRun } of entries) {
    const script = ['py', 'sh'].map((extension) => `${id}.${extension}`).find((name) => scripts.has(name));
    if (script !== undefined) files.push({ number: Number(id), name: id, file: path.join(dir, script), description });
    // Of one that was run, adopting tells that its file is missing.
    else if (!hasRun) missing.push(blocked(failure('LADDER_SCRIPT_MISSING', { ladder, id, dir }, { place: { file: index } })));
  }
  return { files, problems: [...problems, ...missing] };
}

function readIndex(ladder: string, file: string): { readonly entries: readonly Entry[]; readonly problems: readonly Finding[] } {
  const unreadable = (why: string, line?: number) => ({
    entries: [],
    problems: [
      blocked(failure('LADDER_INDEX_UNREADABLE', { ladder, file, why }, { place: { file, ...(line === undefined ? {} : { line }) } })),
    ],
  });
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    return unreadable(messageOf(error).includes('ENOENT') ? 'it does not exist' : messageOf(error));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = text.trim() === '' ? 'it is empty' : `it is not JSON: ${messageOf(error)}`;
    return unreadable(why, Number(/line (\d+)/.exec(messageOf(error))?.[1] ?? 1));
  }
  const list = entriesIn(value)?.list;
  if (list === undefined) return unreadable('it has no array of migrations', 1);
  return readEntries(ladder, file, list);
}

/** The array, and the keys that lead to it. */
export function entriesIn(index: unknown): { readonly list: readonly unknown[]; readonly keys: readonly string[] } | null {
  if (Array.isArray(index)) return { list: index, keys: [] };
  const inner: unknown = typeof index === 'object' && index !== null && 'migrations' in index ? index.migrations : undefined;
  return Array.isArray(inner) ? { list: inner, keys: ['migrations'] } : null;
}

function readEntries(
  ladder: string,
  file: string,
  list: readonly unknown[],
): { readonly entries: readonly Entry[]; readonly problems: readonly Finding[] } {
  const problems: Finding[] = [];
  const entries: Entry[] = [];
  for (const [position, one] of list.entries()) {
    const wrong = (why: string) =>
      problems.push(blocked(failure('LADDER_INDEX_ENTRY', { file, entry: position + 1, why }, { place: { file } })));
    if (typeof one !== 'object' || one === null) {
      wrong('it is not an object');
      continue;
    }
    const id: unknown = 'id' in one ? one.id : undefined;
    const hasRun: unknown = 'has_run' in one ? one.has_run : false;
    const dependsOn = dependenciesOf(one);
    const before = new Set(list.slice(0, position).map(idOf));
    if (typeof id !== 'string' || !/^\d{1,15}$/.test(id)) wrong(id === undefined ? 'it has no "id"' : `its "id" is ${JSON.stringify(id)}`);
    else if (typeof hasRun !== 'boolean') wrong(`"has_run" of ${id} is ${JSON.stringify(hasRun)}`);
    else if (dependsOn === null) wrong(`"depends_on" of ${id} is not a list of ids`);
    else {
      const late = dependsOn.filter((other) => !before.has(other));
      if (late.length > 0) wrong(`${id} depends on ${late.join(', ')}, which ${late.length === 1 ? 'does' : 'do'} not stand before it`);
      entries.push({ id, description: 'description' in one && typeof one.description === 'string' ? one.description : null, hasRun });
    }
  }
  for (const [number, same] of Map.groupBy(entries, ({ id }) => Number(id))) {
    if (same.length > 1)
      problems.push(
        blocked(failure('LADDER_DUPLICATE', { ladder, number, where: file, names: same.map(({ id }) => id) }, { place: { file } })),
      );
  }
  return { entries, problems };
}

function idOf(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'id' in entry ? entry.id : undefined;
}

/** One id, or a list of them. `null`: something else. */
function dependenciesOf(entry: object): readonly string[] | null {
  const given: unknown = 'depends_on' in entry ? entry.depends_on : [];
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const ids = list.filter((id) => typeof id === 'string');
  return ids.length === list.length ? ids : null;
}

function namesIn(dir: string): ReadonlySet<string> | null {
  try {
    return new Set(readdirSync(dir));
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

function blocked({ code, message, hint, place }: Failure): Finding {
  return { level: 'block', code, message, hint, ...(place === undefined ? {} : { place }) };
}
