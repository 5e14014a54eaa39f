// What goes wrong at the command line.
import type { FailureRegistry } from '../failure.ts';

export const cliFailures = {
  UNKNOWN_COMMAND: ({ command, nearest }: { command: string; nearest: string | null }) => ({
    message: `There is no command "${command}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: '"upgrade --help" lists all commands.',
  }),
  USAGE: ({ problem }: { problem: string }) => ({
    message: problem,
    hint: 'Add --help to see what the command takes.',
  }),
  COMMAND_NOT_YET: ({ command }: { command: string }) => ({
    message: `"upgrade ${command}" is not part of this release of Rungs.`,
    hint: '"upgrade --help" lists what is.',
  }),
  NOT_CONFIRMED: () => ({
    message: 'The upgrade was not confirmed.',
    hint: 'Nothing was changed. Run it again and answer "yes", or give --yes.',
  }),
  FILE_EXISTS: ({ file }: { file: string }) => ({
    message: `${file} exists already.`,
    hint: 'Choose another name, or move the file away first.',
  }),
  BAD_STEP_NAME: ({ name }: { name: string }) => ({
    message: `"${name}" is not a step name: it may hold small letters, digits, "_" and "-".`,
    hint: 'For example: add_email.',
  }),
  TRANSITION_NOT_UPWARD: ({ from, to }: { from: string; to: string }) => ({
    message: `A transition leads upward, and ${to} is not above ${from}.`,
    hint: 'The way back is the backward of each step; no folder is needed for it.',
  }),
} satisfies FailureRegistry;
