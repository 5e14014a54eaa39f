import type { FailureRegistry } from '../failure.ts';

export const configFailures = {
} satisfies FailureRegistry;
