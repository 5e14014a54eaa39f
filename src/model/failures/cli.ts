// What goes wrong at the command line.
import type { FailureRegistry } from '../failure.ts';

export const cliFailures = {
  UNKNOWN_COMMAND: ({ command, nearest, parent }: { command: string; nearest: string | null; parent: string }) => ({
    message: `There is no command "${command}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: `"${parent} --help" lists all commands.`,
  }),
  COMMAND_MISSING_WORD: ({ command, known }: { command: string; known: readonly string[] }) => ({
    message: `"${command}" does not say what to do.`,
    hint: `Say which: ${known.map((word) => `"${command} ${word}"`).join(', ')}.`,
  }),
  UNKNOWN_FLAG: ({ flag, command, nearest, owner }: { flag: string; command: string; nearest: string | null; owner: string | null }) => ({
    message: `"${command}" has no flag "${flag}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: owner === null ? `"${command} --help" lists its flags.` : `"${owner}" has it. "${command} --help" lists the flags of this one.`,
  }),
  FLAG_MISPLACED: ({ flag, command }: { flag: string; command: string }) => ({
    message: `"${command}" has no flag "${flag}", so it would be left unheard.`,
    hint: `Leave it out. "${command} --help" lists what the command takes.`,
  }),
  USAGE: ({ problem, command }: { problem: string; command: string }) => ({
    message: problem,
    hint: `"${command} --help" shows what it takes.`,
  }),
  COMMAND_NOT_YET: ({ command }: { command: string }) => ({
    message: `"upgrade ${command}" is not part of this release of Rungs.`,
    hint: '"upgrade --help" lists what is.',
  }),
  ERROR_CODE_UNKNOWN: ({ code, nearest }: { code: string; nearest: string | null }) => ({
    message: `There is no error code "${code}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint:
      nearest === null ? '"upgrade explain" lists all codes.' : `"upgrade explain ${nearest}" shows it, "upgrade explain" lists all codes.`,
  }),
  LOG_MISSING: ({ run, file }: { run: string; file: string }) => ({
    message: `The log of run ${run} is not here: ${file} does not exist.`,
    hint: `Logs of runs beyond the newest "backup.keep" are deleted, and those of a run on another host lie there. "upgrade history ${run}" tells what the journal knows.`,
  }),
  LOG_STEP_UNKNOWN: ({ step, run, found, nearest }: { step: string; run: string; found: readonly string[]; nearest: string | null }) => ({
    message:
      found.length > 1
        ? `Run ${run} has several steps called "${step}": ${found.join(', ')}.`
        : `Run ${run} has no step "${step}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: found.length > 1 ? 'Give its whole id.' : `"upgrade history ${run}" lists its steps.`,
  }),
  NOT_CONFIRMED: () => ({
    message: 'The upgrade was not confirmed.',
    hint: 'Nothing was changed. Run it again and answer "yes", or give --yes.',
  }),
  BOOT_ENVIRONMENT: ({ name, given, wanted }: { name: string; given: string; wanted: string }) => ({
    message: `The environment variable ${name} is "${given}".`,
    hint: `It has to be ${wanted}. Leave it out for what upgrade.yaml says.`,
  }),
  BOOT_PROGRAM_MISSING: ({ program, where }: { program: string; where: string }) => ({
    message: `The program "${program}" is not there: ${where}.`,
    hint: 'Correct what follows "--". Nothing was migrated: a container that cannot start does not change its databases.',
  }),
  BOOT_PROGRAM_NOT_EXECUTABLE: ({ program, why }: { program: string; why: string }) => ({
    message: `The program ${program} cannot be executed: ${why}.`,
    hint: 'Set its mode with "chmod +x", or correct what follows "--". Nothing was migrated.',
  }),
  BAD_STEP_NAME: ({ name }: { name: string }) => ({
    message: `"${name}" is not a step name: it may hold small letters, digits, "_" and "-".`,
    hint: 'For example: add_email.',
  }),
  NEW_STEP_ARGUMENTS: ({ given }: { given: number }) => ({
    message: `A new step of a transition needs two versions and a name; ${given === 1 ? 'one word was' : `${given} words were`} given.`,
    hint: 'For example: upgrade new 0.2.0 0.3.0 add_email --kind sql. For a ladder: upgrade new add_email --ladder NAME.',
  }),
  NEW_STEP_KIND: ({ kind, ladder, known }: { kind: string; ladder: string; known: readonly string[] }) => ({
    message: `Ladder ${ladder} cannot have a step of the kind "${kind}": its index names scripts.`,
    hint: `Choose one of: ${known.join(', ')}.`,
  }),
  TRANSITION_NOT_UPWARD: ({ from, to }: { from: string; to: string }) => ({
    message: `A transition leads upward, and ${to} is not above ${from}.`,
    hint: 'The way back is the backward of each step; no folder is needed for it.',
  }),
} satisfies FailureRegistry;
