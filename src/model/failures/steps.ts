import type { FailureRegistry } from '../failure.ts';

export const stepFailures = {
} satisfies FailureRegistry;
