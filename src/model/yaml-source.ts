// YAML with the line and column of every value, so that each problem can say where it is; `${NAME}` is read from a given environment.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type Pair, type Scalar } from 'yaml';
import { failure, type Failure, type Place } from './failure.ts';

/** A value and where its parts stand. `isHidden` is true for what came from the environment and must not be printed. */
export interface Located {
  readonly value: unknown;
  placeAt(path: readonly PropertyKey[], on?: 'key' | 'value'): Place;
  isHidden(path: readonly PropertyKey[]): boolean;
}

export interface YamlSource extends Located {
  readonly problems: readonly Failure[];
  /** Values that came from `${…}`. */
  readonly secrets: readonly string[];
}

interface Request {
  readonly text: string;
  readonly file: string;
  /** What the file is called in messages. */
  readonly of: string;
  /** Given, `${NAME}` and `${NAME:-default}` are replaced. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Lines before the text in its file, where the text is a part of it. */
  readonly linesBefore?: number;
}

/** `value` is `undefined` where the text cannot be parsed at all; duplicate keys are problems, but the rest is still read. */
export function readYaml({ text, file, of, env, linesBefore = 0 }: Request): YamlSource {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, strict: true });
  const placeOf = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { file, line: line + linesBefore, column: col };
  };
  const problems: Failure[] = [...document.errors, ...document.warnings].map(({ code, message, pos }) => {
    const place = placeOf(pos[0]);
    if (code === 'DUPLICATE_KEY')
      return failure('DUPLICATE_KEY', { of, key: /^\S+/.exec(text.slice(pos[0]))?.[0]?.replace(/:.*$/s, '') ?? '' }, { place });
    return failure('YAML_SYNTAX', { of, error: message }, { place });
  });
  const isReadable = problems.every(({ code }) => code === 'DUPLICATE_KEY');
  const hidden = new Set<unknown>();
  const secrets: string[] = [];
  if (isReadable && env !== undefined) {
    fillIn(document, env, { of, placeOf, problems, hidden, secrets });
  }
  let value: unknown;
  try {
    value = isReadable ? document.toJS({ maxAliasCount: 100 }) : undefined;
  } catch (error) {
    problems.push(failure('YAML_SYNTAX', { of, error: error instanceof Error ? error.message : String(error) }, { place: placeOf(0) }));
  }
  return {
    value,
    problems,
    secrets,
    placeAt: (path, on = 'value') => placeOf(offsetAt(document, path, on)),
    isHidden: (path) => hidden.has(find(document, path).node),
  };
}

interface Filling {
  readonly of: string;
  readonly placeOf: (offset: number) => Place;
  readonly problems: Failure[];
  readonly hidden: Set<unknown>;
  readonly secrets: string[];
}

/** `$${` stays as `${`. */
function fillIn(
  document: Document,
  env: Readonly<Record<string, string | undefined>>,
  { of, placeOf, problems, hidden, secrets }: Filling,
): void {
  visit(document, {
    Scalar(key, node: Scalar) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
      const place = placeOf(node.range?.[0] ?? 0);
      node.value = node.value.replace(/\$\$\{|\$\{([^}]*)\}?/g, (whole, inner: string | undefined) => {
        if (inner === undefined) return '${';
        const match = /^([A-Za-z_]\w*)(?::-([\s\S]*))?$/.exec(inner);
        const name = match?.[1];
        if (match === null || name === undefined || !whole.endsWith('}')) {
          problems.push(failure('ENVIRONMENT_SYNTAX', { of, text: whole }, { place }));
          return '';
        }
        // As in a shell, `:-` also stands in for a variable that is set and empty.
        const found = match[2] === undefined ? env[name] : env[name] || match[2];
        if (found === undefined) problems.push(failure('ENVIRONMENT_MISSING', { of, name }, { place }));
        hidden.add(node);
        secrets.push(found ?? '');
        return found ?? '';
      });
    },
  });
}

interface Found {
  /** The last node on the way that is there. */
  readonly node: Node | null;
  readonly pair: Pair | null;
  readonly isWhole: boolean;
}

function find(document: Document, path: readonly PropertyKey[]): Found {
  let node: unknown = document.contents;
  let pair: Pair | null = null;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const next: Pair | undefined = node.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key));
      if (next === undefined) return { node, pair, isWhole: false };
      pair = next;
      node = next.value;
    } else if (isSeq(node) && typeof key === 'number' && node.items[key] !== undefined) {
      pair = null;
      node = node.items[key];
    } else {
      return { node: asNode(node), pair, isWhole: false };
    }
  }
  return { node: asNode(node), pair, isWhole: true };
}

function asNode(node: unknown): Node | null {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node : null;
}

function offsetAt(document: Document, path: readonly PropertyKey[], on: 'key' | 'value'): number {
  const { node, pair, isWhole } = find(document, path);
  const key = asNode(pair?.key)?.range?.[0];
  // What is missing is missing from a map: the map's own key is easier to find than its first entry.
  if (on === 'key' || !isWhole || node === null) return key ?? node?.range?.[0] ?? 0;
  return node.range?.[0] ?? key ?? 0;
}
