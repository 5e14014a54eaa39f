// What goes wrong between two versions: reading them, and finding the way.
import type { FailureRegistry } from '../failure.ts';

export const planFailures = {
  INVALID_VERSION: ({ text, place }: { text: string; place?: string }) => ({
    message: `"${text}" is not a semantic version${place === undefined ? '' : ` (${place})`}.`,
    hint: 'Write it as MAJOR.MINOR.PATCH, for example 0.3.0 or 1.0.0-rc.1.',
  }),
} satisfies FailureRegistry;
