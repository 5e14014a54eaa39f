// What can be wrong in `upgrade.yaml`, and in every other YAML that is read with positions.
import type { FailureRegistry } from '../failure.ts';

const list = (names: readonly string[]) => names.join(', ');
const orNone = (names: readonly string[], what: string) =>
  names.length === 0 ? `The configuration has no ${what}s yet.` : `Known: ${list(names)}.`;

export const configFailures = {
  CONFIG_NOT_FOUND: ({ looked, near }: { looked: string; near?: string }) => ({
    message: `No configuration was found: ${looked}.`,
    hint:
      near === undefined
        ? 'Change into the installation, or name the file with --config FILE.'
        : `There is ${near}: rename it to upgrade.yaml, or name it with --config.`,
  }),
  CONFIG_UNREADABLE: ({ file, error }: { file: string; error: string }) => ({
    message: `${file} cannot be read: ${error}.`,
    hint: 'Check that it is a file and that the user who runs this command may read it.',
  }),
  CONFIG_EMPTY: ({ of }: { of: string }) => ({
    message: `${of} is empty.`,
    hint: 'It needs at least "product: NAME" and "version: { file: VERSION }".',
  }),
  YAML_SYNTAX: ({ of, error }: { of: string; error: string }) => ({
    message: `${of} is not valid YAML: ${error}.`.replace(/\.\.$/, '.'),
    hint: 'Correct the line named here: look at its indentation, quotes and brackets.',
  }),
  DUPLICATE_KEY: ({ of, key }: { of: string; key: string }) => ({
    message: `${of}: "${key}" is given twice.`,
    hint: 'Keep one of the two.',
  }),
  UNKNOWN_KEY: ({ of, key, nearest, known }: { of: string; key: string; nearest: string | null; known: readonly string[] }) => ({
    message: `${of}: "${key}" is not a known key.`,
    hint: nearest === null ? `Known here: ${list(known)}.` : `Did you mean "${nearest}"?`,
  }),
  MISSING_KEY: ({ of, key, expected }: { of: string; key: string; expected: string }) => ({
    message: `${of}: "${key}" is missing.`,
    hint: `Add it: it has to be ${expected}.`,
  }),
  WRONG_VALUE: ({ of, key, found, expected }: { of: string; key: string; found: string | null; expected: string }) => ({
    message: `${of}: "${key}" is ${found ?? 'a value from the environment that does not fit'}.`,
    hint: `It has to be ${expected}.`,
  }),
  BAD_NAME: ({ of, key, expected }: { of: string; key: string; expected: string }) => ({
    message: `${of}: "${key}" is not a name that can be used.`,
    hint: `A name is ${expected}.`,
  }),
  TWO_FORMS: ({ of, key, present }: { of: string; key: string; present: readonly string[] }) => ({
    message: `${of}: "${key}" has ${present.map((form) => `"${form}"`).join(' and ')} at once.`,
    hint: `Keep one of them.`,
  }),
  NO_FORM: ({ of, key, forms, nearest }: { of: string; key: string; forms: readonly string[]; nearest: string | null }) => ({
    message: `${of}: "${key}" does not say what it is.`,
    hint: nearest === null ? `Give one of: ${list(forms)}.` : `Did you mean "${nearest}"? It needs one of: ${list(forms)}.`,
  }),
  UNKNOWN_NAME: ({
    of,
    key,
    what,
    name,
    nearest,
    known,
  }: {
    of: string;
    key: string;
    what: string;
    name: string;
    nearest: string | null;
    known: readonly string[];
  }) => ({
    message: `${of}: "${key}" names the ${what} "${name}", which the configuration does not have.`,
    hint: nearest === null ? `Add it to upgrade.yaml, or correct the name. ${orNone(known, what)}` : `Did you mean "${nearest}"?`,
  }),
  WRONG_KIND: ({ of, key, name, found, expected }: { of: string; key: string; name: string; found: string; expected: string }) => ({
    message: `${of}: "${key}" names "${name}", which is ${found}.`,
    hint: `It has to be ${expected}.`,
  }),
  ENVIRONMENT_MISSING: ({ of, name }: { of: string; name: string }) => ({
    message: `${of} reads the environment variable ${name}, which is not set.`,
    hint: `Set ${name}, or give a default: \${${name}:-default}.`,
  }),
  ENVIRONMENT_SYNTAX: ({ of, text }: { of: string; text: string }) => ({
    message: `${of}: "${text}" does not name an environment variable.`,
    hint: 'Write ${NAME} or ${NAME:-default}; write $${ for a "${" that is meant as it stands.',
  }),
  CONFIG_SERVICE_CYCLE: ({ of, cycle }: { of: string; cycle: readonly string[] }) => ({
    message: `${of}: services wait for each other in a circle: ${cycle.join(' → ')}.`,
    hint: 'Remove one "after" of the circle.',
  }),
  CONFIG_SERVICE_INCOMPLETE: ({ of, service, missing }: { of: string; service: string; missing: string }) => ({
    message: `${of}: the service "${service}" cannot be restarted: its command has no ${missing}.`,
    hint: 'Give "restart", or both "stop" and "start".',
  }),
  ROOT_NOT_FOUND: ({ root, why }: { root: string; why: string }) => ({
    message: `The installation root ${root} ${why}.`,
    hint: 'Correct "root" in upgrade.yaml, or give --root DIR.',
  }),
  PATH_REFUSED: ({ of, key, path, why }: { of: string; key: string; path: string; why: string }) => ({
    message: `${of}: "${key}" is ${path}, ${why}.`,
    hint: 'Choose another place.',
  }),
} satisfies FailureRegistry;
