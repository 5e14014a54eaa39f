// What can be wrong in the folders of transitions: names, files, metadata.
import type { FailureRegistry } from '../failure.ts';

export const migrationFailures = {
  MIGRATIONS_NOT_FOUND: ({ dir, why }: { dir: string; why: string }) => ({
    message: `The folder of migrations ${dir} ${why}.`,
    hint: 'Create it, or correct "migrations" in upgrade.yaml. "upgrade new 0.1.0 0.2.0 NAME --kind sql" makes the first step.',
  }),
  TRANSITION_NAME: ({ name, suggestion }: { name: string; suggestion: string | null }) => ({
    message: `The folder "${name}" is not named as a transition is.`,
    hint:
      suggestion === null
        ? 'Name it vX_to_vY with two semantic versions, for example v0.1.0_to_v0.2.0, or begin its name with "_" to have it left alone.'
        : `Rename it to ${suggestion}.`,
  }),
  TRANSITION_NOT_A_FOLDER: ({ name }: { name: string }) => ({
    message: `"${name}" is named as a transition but is not a folder.`,
    hint: 'Make a folder of this name and put numbered step files into it.',
  }),
  TRANSITION_TO_ITSELF: ({ name, version }: { name: string; version: string }) => ({
    message: `The transition "${name}" leads from ${version} to itself.`,
    hint: 'Correct one of the two versions. Build metadata (+…) does not make another version.',
  }),
  TRANSITION_DOWNWARD: ({ name, from, to }: { name: string; from: string; to: string }) => ({
    message: `The transition "${name}" leads downwards, from ${from} to ${to}.`,
    hint: `Name it v${to}_to_v${from}: going down runs the backwards of the steps that led up.`,
  }),
  TRANSITION_DUPLICATE: ({ names, from, to }: { names: readonly string[]; from: string; to: string }) => ({
    message: `${names.map((name) => `"${name}"`).join(' and ')} are both the transition from ${from} to ${to}.`,
    hint: 'Keep one of them, with the steps of both.',
  }),
  TRANSITION_MISSING: ({ id, dir }: { id: string; dir: string }) => ({
    message: `The transition ${id} is not in ${dir}.`,
    hint: 'Bring its folder back: the steps in it are needed.',
  }),
  STRAY_ENTRY: ({ name, inside }: { name: string; inside: string }) => ({
    message: `"${name}" in ${inside} is neither a transition nor a step.`,
    hint: 'Move it elsewhere, or begin its name with "_" to have it left alone.',
  }),
  TRANSITION_FILE_NAME: ({ name, transition }: { name: string; transition: string }) => ({
    message: `"${name}" in ${transition} would be left unread.`,
    hint: 'Rename it to transition.yaml.',
  }),
  STEP_NAME: ({ name, transition, why, suggestion }: { name: string; transition: string; why: string; suggestion: string | null }) => ({
    message: `The file "${name}" in ${transition} is not named as a step is: ${why}.`,
    hint: `${suggestion === null ? 'Name it NNN_name.EXT, for example 001_add_email.sql (ts, js, mjs, sql, sh, py)' : `Rename it to ${suggestion}`}, or begin its name with "_" to have it left alone.`,
  }),
  STEP_DUPLICATE_NUMBER: ({ number, names, transition }: { number: number; names: readonly string[]; transition: string }) => ({
    message: `${names.map((name) => `"${name}"`).join(' and ')} in ${transition} have the same number ${number}.`,
    hint: 'Give one of them another number: it tells their order.',
  }),
  STEP_DOWN_WITHOUT_UP: ({ name, transition, wanted }: { name: string; transition: string; wanted: string }) => ({
    message: `"${name}" in ${transition} has no "${wanted}" beside it.`,
    hint: `Add ${wanted}, or put both into one file with "-- forward" and "-- backward".`,
  }),
  STEP_TWO_BACKWARDS: ({ name, other, transition }: { name: string; other: string; transition: string }) => ({
    message: `"${name}" in ${transition} has a "-- backward" section, and "${other}" is there too.`,
    hint: 'Keep one of the two backwards.',
  }),
  STEP_NO_FORWARD: ({ step, wanted }: { step: string; wanted: string }) => ({
    message: `The step ${step} has no ${wanted}.`,
    hint: `Add ${wanted}: it is what takes the installation onwards.`,
  }),
  STEP_UNPARSABLE: ({ step, error }: { step: string; error: string }) => ({
    message: `The step ${step} cannot be read: ${error}.`.replace(/\.\.$/, '.'),
    hint: 'Correct the file; nothing is run before all steps can be read.',
  }),
  STEP_INFO_NOT_LITERAL: ({ step, error }: { step: string; error: string }) => ({
    message: `MIGRATION_INFO of the step ${step} cannot be read without running it: ${error}.`,
    hint: 'Write MIGRATION_INFO as one dictionary of plain values.',
  }),
  STEP_NEEDS_DATABASE: ({ step, known }: { step: string; known: readonly string[] }) => ({
    message: `The SQL step ${step} does not say which database it is for${known.length === 0 ? ', and the configuration has none' : ''}.`,
    hint:
      known.length === 0
        ? 'Add the database to "databases" in upgrade.yaml.'
        : `Add a first line such as "-- rungs: { database: ${known[0] ?? 'app'} }". Known: ${known.join(', ')}.`,
  }),
  METADATA_MISPLACED: ({ step }: { step: string }) => ({
    message: `The step ${step} has a "rungs:" comment that would be left unread.`,
    hint: 'Keep one such comment, above the first statement.',
  }),
  METADATA_TWICE: ({ step, key, other }: { step: string; key: string; other: string }) => ({
    message: `The step ${step} has both "${key}" and "${other}", and they differ.`,
    hint: 'Keep one of the two spellings.',
  }),
  PYTHON_MISSING: ({ steps, error }: { steps: number; error: string }) => ({
    message: `${steps === 1 ? 'A Python step' : `${steps} Python steps`} cannot be read: python3 ${error}.`,
    hint: 'Install python3 (3.8 or newer) and see that it is on the PATH.',
  }),
  FILE_UNREADABLE: ({ file, error }: { file: string; error: string }) => ({
    message: `${file} cannot be read: ${error}.`,
    hint: 'Check its permissions, and that it is a plain file.',
  }),
  FILE_NOT_TEXT: ({ file }: { file: string }) => ({
    message: `${file} is not UTF-8 text.`,
    hint: 'Save it as UTF-8, or begin its name with "_" if it is data.',
  }),
  FILE_TOO_LARGE: ({ file, bytes, limit }: { file: string; bytes: number; limit: number }) => ({
    message: `${file} has ${bytes} bytes; a step may have ${limit}.`,
    hint: 'Put the data into a file whose name begins with "_" beside the step, and read it from there.',
  }),
  FILE_NOT_PLAIN: ({ file, kind }: { file: string; kind: string }) => ({
    message: `${file} is ${kind}, not a plain file.`,
    hint: 'Replace it by a plain file.',
  }),
  UNSAFE_LINK: ({ file, target }: { file: string; target: string }) => ({
    message: `${file} is a link that leads out of the migrations, to ${target}.`,
    hint: 'Put the file itself there: what is executed must lie inside the migrations.',
  }),
  UNSAFE_MODE: ({ file, mode }: { file: string; mode: string }) => ({
    message: `${file} can be written by everybody (mode ${mode}).`,
    hint: `Run: chmod o-w ${file}`,
  }),
  UNSAFE_OWNER: ({ file, owner, trusted }: { file: string; owner: string; trusted: string }) => ({
    message: `${file} belongs to ${owner}, and would be run by root.`,
    hint: `Give it to ${trusted} (chown), or run the upgrade as ${owner}.`,
  }),
} satisfies FailureRegistry;
