// Finds a string in the text of a JSON file, so that it can be replaced with all else kept to the byte. Pure.

export type FoundString =
  | {
      readonly ok: true;
      readonly value: string;
      /** Offsets of the literal, quotes included. */ readonly start: number;
      readonly end: number;
    }
  | { readonly ok: false; readonly why: string };

export function jsonStringAt(text: string, pointer: string): FoundString {
  let root: unknown;
  try {
    root = JSON.parse(text.replace(/^\uFEFF/, ' '));
  } catch (error) {
    return {
      ok: false,
      why: text.trim() === '' ? 'it is empty' : `it is not JSON (${error instanceof Error ? error.message : String(error)})`,
    };
  }
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  let at = root;
  for (const key of keys) at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined;
  if (at === undefined) return { ok: false, why: `it has nothing at ${pointer}` };
  if (typeof at !== 'string') return { ok: false, why: `what stands at ${pointer} is not a text` };
  const range = jsonLiteralRange(text, keys);
  return range === null ? { ok: false, why: `it has nothing at ${pointer}` } : { ok: true, value: at, ...range };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Of a text, a number, `true`, `false` or `null`. The text is known to be JSON. Of a key that is given twice the last counts, as for JSON.parse. */
export function jsonLiteralRange(text: string, keys: readonly string[]): Range | null {
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"\uFEFF]+/g);
  const path: (string | number)[] = [];
  const isObject: boolean[] = [];
  let key: string | null = null;
  let found: Range | null = null;
  for (const { 0: token, index } of tokens) {
    const depth = isObject.length;
    if (token === '{' || token === '[') {
      isObject.push(token === '{');
      path.push(token === '{' ? '' : 0);
      key = null;
    } else if (token === '}' || token === ']') {
      isObject.pop();
      path.pop();
    } else if (token === ',') {
      const last = path[depth - 1];
      if (typeof last === 'number') path[depth - 1] = last + 1;
      key = null;
    } else if (token === ':') {
      path[depth - 1] = key ?? '';
    } else if (token.startsWith('"') && isObject[depth - 1] === true && key === null) {
      key = String(JSON.parse(token));
    } else if (depth === keys.length && keys.every((wanted, at) => String(path[at]) === wanted)) {
      found = { start: index, end: index + token.length };
    }
  }
  return found;
}
