// Checks a located value against a schema and says what is wrong in our words, all at once.
import type * as z from 'zod/mini';
import { failure, type Failure } from './failure.ts';
import { nearest } from './nearest.ts';
import type { Located } from './yaml-source.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly problems: readonly Failure[];
      /** What is left without the parts that are wrong, so that its rules can be checked, too; `null` where that does not stand by itself. */
      readonly rest: T | null;
    };

/** `of` is what the value is called in messages; `under` is the path in `source` where it begins; `standIns` take the place of wrong required keys in `rest`. */
export function checkShape<T>(
  schema: z.ZodMiniType<T>,
  source: Located,
  of: string,
  under: Path = [],
  standIns: Readonly<Record<string, unknown>> = {},
): Checked<T> {
  const value = structuredCloneOf(valueAt(source.value, under));
  let parsed = schema.safeParse(value, { jitless: true });
  if (parsed.success) return { ok: true, value: parsed.data };
  // What comes from the environment is text; where a number or a boolean is wanted, it is read as one.
  const texts = parsed.error.issues
    .flatMap((issue) => leavesOf(issue, [], value))
    .filter(({ path }) => source.isHidden([...under, ...path]));
  if (texts.filter(({ issue, path }) => readAs(value, path, issue)).length > 0) {
    parsed = schema.safeParse(value, { jitless: true });
    if (parsed.success) return { ok: true, value: parsed.data };
  }
  const context = { source, of, under, value };
  const problems = parsed.error.issues.flatMap((issue) => leavesOf(issue, [], value)).flatMap((leaf) => describe(leaf, context));
  return { ok: false, problems, rest: isRecord(value) ? restOf(schema, value, standIns) : null };
}

/** Takes out what is wrong, and what cannot stand without it, until the rest fits. Changes `value`. */
function restOf<T>(schema: z.ZodMiniType<T>, value: Record<string, unknown>, standIns: Readonly<Record<string, unknown>>): T | null {
  // Each round takes something out; a value is never nested deeper than this.
  for (let round = 0; round < 8; round++) {
    const parsed = schema.safeParse(value, { jitless: true });
    if (parsed.success) return parsed.data;
    for (const { issue, path } of parsed.error.issues.flatMap((one) => leavesOf(one, [], value))) {
      if (issue.code === 'unrecognized_keys') for (const key of issue.keys) takeOut(value, [...path, key]);
      else takeOut(value, valueAt(value, path) === undefined ? path.slice(0, -1) : path);
    }
    for (const [key, standIn] of Object.entries(standIns)) value[key] ??= standIn;
  }
  return null;
}

/** A list loses all its entries rather than one: the others would be found at other places. */
function takeOut(value: Record<string, unknown>, path: Path): void {
  const inList = path.findIndex((key) => typeof key === 'number');
  const whole = inList < 0 ? path : path.slice(0, inList);
  const parent = valueAt(value, whole.slice(0, -1));
  if (isRecord(parent)) delete parent[String(whole.at(-1))];
}

/** An issue with its whole path; for a choice of maps, the issues of the one that is meant. */
interface Leaf {
  readonly issue: Issue;
  readonly path: Path;
}

function leavesOf(issue: Issue, above: Path, value: unknown): readonly Leaf[] {
  const path = [...above, ...issue.path];
  if (issue.code !== 'invalid_union' || !issue.message.startsWith('forms:')) return [{ issue, path }];
  const given = valueAt(value, path);
  const keys = issue.message.slice('forms:'.length).split(',');
  const present = isRecord(given) ? keys.filter((key) => key in given) : [];
  const branch = issue.errors[keys.indexOf(present[0] ?? '')];
  if (present.length !== 1 || branch === undefined) return [{ issue, path }];
  return branch.flatMap((inner) => leavesOf(inner, path, value));
}

interface Context {
  readonly source: Located;
  readonly of: string;
  readonly under: Path;
  readonly value: unknown;
}

function describe({ issue, path }: Leaf, { source, of, under, value }: Context): readonly Failure[] {
  const place = (at: Path, on: 'key' | 'value') => ({ place: source.placeAt([...under, ...at], on) });
  const key = nameOf(path, under);
  const found = valueAt(value, path);
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.replace('keys:', '').split(',');
    return issue.keys.map((unknown) => {
      const at = [...path, unknown];
      return failure('UNKNOWN_KEY', { of, key: nameOf(at, under), nearest: nearest(unknown, known), known }, place(at, 'key'));
    });
  }
  if (issue.code === 'invalid_key')
    return [failure('BAD_NAME', { of, key, expected: issue.issues[0]?.message ?? 'a name' }, place(path, 'key'))];
  if (found === undefined) return [failure('MISSING_KEY', { of, key, expected: phraseOf(issue) }, place(path, 'key'))];
  if (issue.code === 'invalid_union' && issue.message.startsWith('forms:') && isRecord(found)) {
    const forms = issue.message.slice('forms:'.length).split(',');
    const present = forms.filter((form) => form in found);
    if (present.length > 1) return [failure('TWO_FORMS', { of, key, present }, place([...path, present[1] ?? ''], 'key'))];
    const near =
      Object.keys(found)
        .map((name) => nearest(name, forms))
        .find((name) => name !== null) ?? null;
    return [failure('NO_FORM', { of, key, forms, nearest: near }, place(path, 'key'))];
  }
  return [
    failure(
      'WRONG_VALUE',
      { of, key, found: source.isHidden([...under, ...path]) ? null : shown(found), expected: phraseOf(issue) },
      place(path, 'value'),
    ),
  ];
}

function phraseOf(issue: Issue): string {
  if (issue.message.startsWith('forms:')) return `a map with one of the keys ${issue.message.slice('forms:'.length).replaceAll(',', ', ')}`;
  return issue.message;
}

/** Whether the text at the path could be read as the wanted number or boolean; it is replaced where it can. */
function readAs(root: unknown, path: Path, issue: Issue): boolean {
  const parent = valueAt(root, path.slice(0, -1));
  const last = path.at(-1);
  const text = valueAt(root, path);
  if (last === undefined || typeof text !== 'string' || issue.code !== 'invalid_type') return false;
  const wanted = issue.expected === 'boolean' ? { true: true, false: false }[text] : numeric(text);
  if (wanted === undefined || (issue.expected !== 'boolean' && issue.expected !== 'number' && issue.expected !== 'int')) return false;
  if (Array.isArray(parent)) parent[Number(last)] = wanted;
  else if (isRecord(parent)) parent[String(last)] = wanted;
  return true;
}

function numeric(text: string): number | undefined {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const key of path) {
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isRecord(at) && Object.hasOwn(at, String(key))) at = at[String(key)];
    else return undefined;
  }
  return at;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function structuredCloneOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCloneOf);
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, structuredCloneOf(inner)])) : value;
}

function nameOf(path: Path, under: Path): string {
  const whole = under.length === 0 ? 'the whole file' : String(under.at(-1));
  return (
    path.reduce<string>(
      (name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`),
      '',
    ) || whole
  );
}

function shown(value: unknown): string {
  const text = value === null ? 'empty' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
