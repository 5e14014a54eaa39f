// The pieces that all schemas are made of. A schema's error text is the phrase that completes "… has to be": messages are made of it.
import * as z from 'zod/mini';

/** A map with exactly these keys; the error text lists them, so that the nearest can be suggested. */
export function exact<T extends z.core.$ZodLooseShape>(shape: T) {
  const keys = Object.keys(shape).join(',');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `keys:${keys}` : `a map with the keys ${keys.replaceAll(',', ', ')}`),
  });
}

/** One of several maps, told apart by the first key of each. */
export function forms<const T extends readonly z.ZodMiniObject[]>(options: T) {
  return z.union(options, { error: `forms:${options.map(({ shape }) => Object.keys(shape)[0] ?? '').join(',')}` });
}

/** Describes a schema for editors. */
export function say<T extends z.core.$ZodType>(description: string, schema: T): T {
  z.globalRegistry.add(schema, { description });
  return schema;
}

export function text(what = 'a text that is not empty') {
  return z.string(what).check(z.minLength(1, what));
}

export function pattern(regexp: RegExp, what: string) {
  return z.string(what).check(z.regex(regexp, what));
}

export function listOf<T extends z.core.$ZodType>(schema: T, what: string) {
  return z.array(schema, what);
}

export function mapOf<T extends z.core.$ZodType>(schema: T, what: string) {
  return z.record(z.string().check(z.regex(/^[A-Za-z][A-Za-z0-9_-]*$/, 'letters, digits, - and _, beginning with a letter')), schema, what);
}

export function flag() {
  return z.boolean('true or false');
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `one of ${values.join(', ')}`);
}

export function count(minimum: number, what = `a whole number, ${minimum} or more`) {
  return z.int(what).check(z.gte(minimum, what));
}

export function duration() {
  return pattern(/^\d+(\.\d+)?(ms|s|m|h)$/, 'a duration such as 500ms, 30s, 10m or 2h');
}

export function size() {
  return pattern(/^\d+(\.\d+)?\s?(B|KB|MB|GB|TB)$/, 'a size such as 512MB or 2GB');
}

/** A command as a list of arguments: nothing is given to a shell. */
export function argv() {
  const what = 'a list of arguments such as [bin/tool, restart] (nothing is given to a shell)';
  return z.array(z.string(what), what).check(
    z.minLength(1, what),
    z.refine((list) => list[0] !== '', what),
  );
}

/** RFC 6901, not the whole document. */
export function pointer() {
  return pattern(/^(\/([^~/]|~[01])*)+$/, 'a JSON pointer such as /version');
}
