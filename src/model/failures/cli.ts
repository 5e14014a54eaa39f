import type { FailureRegistry } from '../failure.ts';

export const cliFailures = {
} satisfies FailureRegistry;
