// What goes wrong around a run: the lock, the journal, unfinished runs, cancelling, and bugs of ours.
import type { FailureRegistry } from '../failure.ts';

export const runFailures = {
  INTERNAL: ({ error }: { error: string }) => ({
    message: `Rungs met an error that it has no name for: ${error}`,
    hint: 'This is a bug of ours: run the command again with -v and report what it prints. The journal stays resumable: "upgrade status" tells where it stands.',
  }),
} satisfies FailureRegistry;
