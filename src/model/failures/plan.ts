// What goes wrong between two versions: reading them, and finding the way.
import type { FailureRegistry } from '../failure.ts';

export interface NoPath {
  readonly from: string;
  readonly to: string;
  /** `next` is `null` where not even the first step of the way is there. */
  readonly missing: { readonly at: string; readonly next: string | null };
  readonly blocked: readonly { readonly id: string; readonly why: string }[];
  readonly stopped: readonly { readonly id: string; readonly over: string }[];
}

export const planFailures = {
  INVALID_VERSION: ({ text, place }: { text: string; place?: string }) => ({
    message: `"${text}" is not a semantic version${place === undefined ? '' : ` (${place})`}.`,
    hint: 'Write it as MAJOR.MINOR.PATCH, for example 0.3.0 or 1.0.0-rc.1.',
  }),
  NO_PATH: ({ from, to, missing, blocked, stopped }: NoPath) => ({
    message: [
      `No chain of transitions leads from ${from} to ${to}: ${missing.next === null ? `no transition leads to ${missing.at} or starts at it` : `nothing leads from ${missing.at} to ${missing.next}`}.`,
      ...blocked.map(({ id, why }) => `${id} is blocked: ${why}.`.replace(/\.\.$/, '.')),
      ...stopped.map(({ id, over }) => `${id} is a shortcut over ${over}, where every upgrade has to stop.`),
    ].join(' '),
    hint: `${missing.next === null ? `Add a transition that starts at ${missing.at} or below` : `Add migrations/v${missing.at}_to_v${missing.next}`}, or choose a target that "upgrade plan" reaches.`,
  }),
  PATH_BLOCKED: ({
    from,
    to,
    blocked,
  }: {
    from: string;
    to: string;
    blocked: readonly { readonly id: string; readonly why: string }[];
  }) => ({
    message: `Every chain of transitions from ${from} to ${to} passes one that is blocked. ${blocked.map(({ id, why }) => `${id}: ${why}.`.replace(/\.\.$/, '.')).join(' ')}`,
    hint: 'Choose a target below it, or do what its reason says and remove "blocked" from its transition.yaml.',
  }),
  DOWNGRADE_REFUSED: ({ from, to }: { from: string; to: string }) => ({
    message: `${to} is older than the installed ${from}.`,
    hint: 'Give --allow-downgrade to run the backwards of the steps that led up.',
  }),
  DOWNGRADE_PASSES_TARGET: ({ from, to, transition }: { from: string; to: string; transition: string }) => ({
    message: `The way from ${from} down to ${to} is ${transition}, which passes ${to} by.`,
    hint: 'Choose the version that this transition starts at, or restore a backup.',
  }),
  FROM_MISMATCH: ({ from, installed }: { from: string; installed: string }) => ({
    message: `--from ${from} contradicts the installation, which is at ${installed}.`,
    hint: 'Leave --from away, or look at the version source of the installation.',
  }),
  FROM_UNKNOWN: () => ({
    message: 'Nothing tells which version is installed.',
    hint: 'Give it once with --from; the journal keeps it from then on.',
  }),
  STEP_IRREVERSIBLE: ({ from, to, steps }: { from: string; to: string; steps: readonly string[] }) => ({
    message: `${steps.length === 1 ? 'One step has' : `${steps.length} steps have`} no backward, so there is no way down from ${from} to ${to}: ${steps.join(', ')}.`,
    hint: 'Write the missing backwards, or restore a backup of the older version with "upgrade backup restore ID".',
  }),
  VERSION_UNREADABLE: ({ source, why }: { source: string; why: string }) => ({
    message: `The installed version cannot be read from ${source}: ${why}.`,
    hint: 'Correct the file or command, or "version" in upgrade.yaml.',
  }),
  VERSION_UNWRITABLE: ({ source, version, why }: { source: string; version: string; why: string }) => ({
    message: `The version ${version} cannot be written to ${source}: ${why}.`,
    hint: 'Correct what is named here, then run "upgrade resume".',
  }),
  TARGET_WITHOUT_TRANSITION: ({ to, last }: { to: string; last: string | null }) => ({
    message: `No transition leads to ${to} itself: ${last === null ? 'no step runs, only the version is written' : `the last one leads to ${last}, and ${to} is written as the version`}.`,
    hint: 'That is right for a release that needs no migration. If it is not one, correct --to.',
  }),
  DOWNGRADE_ASSUMED: ({ transition }: { transition: string }) => ({
    message: `The journal does not know that ${transition} was applied here; its backwards run all the same.`,
    hint: 'It was applied before Rungs kept the journal, or by something else. Look at its steps before you go on.',
  }),
} satisfies FailureRegistry;
