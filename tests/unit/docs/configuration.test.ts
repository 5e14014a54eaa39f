import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../../..');

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** `services.NAME.command.restart`, `verify[].name`: every key that may be written. */
function keysOf(schema: JsonSchema, at = ''): readonly string[] {
  const named = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const here = at === '' ? key : `${at}.${key}`;
    return [here, ...keysOf(inner, here)];
  });
  const { additionalProperties: any, items, anyOf = [] } = schema;
  return [
    ...named,
    ...(typeof any === 'object' ? keysOf(any, `${at}.NAME`) : []),
    ...(items === undefined ? [] : keysOf(items, `${at}[]`)),
    ...anyOf.flatMap((form) => keysOf(form, at)),
  ];
}

function schemaKeys(name: string): readonly string[] {
  return [...new Set(keysOf(JSON.parse(readFileSync(path.join(repository, `schemas/json/${name}.schema.json`), 'utf8'))))].toSorted();
}

/** The first cells of all tables of keys in a section. */
function documentedKeys(section: string): readonly string[] {
  return [...section.matchAll(/^\| `([^`]+)` \| (?!what happens)/gm)].map(([, key = '']) => key).toSorted();
}

const page = readFileSync(path.join(repository, 'docs/configuration.md'), 'utf8');
const part = (from: string, to: string) => page.slice(page.indexOf(`\n## ${from}\n`), page.indexOf(`\n## ${to}\n`));

test('every key of upgrade.yaml has its line, and every line is a key', () => {
  expect(documentedKeys(part('`upgrade.yaml`', '`transition.yaml`'))).toEqual(schemaKeys('upgrade-config'));
});

test('every key of transition.yaml has its line, and every line is a key', () => {
  expect(documentedKeys(part('`transition.yaml`', 'How the path is found'))).toEqual(schemaKeys('transition'));
});

test('every key of a step has its line in "Writing steps", and every line is a key', () => {
  const steps = readFileSync(path.join(repository, 'docs/writing-steps.md'), 'utf8');
  const section = steps.slice(steps.indexOf('\n## Metadata\n'), steps.indexOf('\n## ', steps.indexOf('\n## Metadata\n') + 1));
  const named = [...section.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key),
  );
  expect(named.toSorted()).toEqual([...schemaKeys('step-metadata'), 'check'].toSorted());
});
