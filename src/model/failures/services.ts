import type { FailureRegistry } from '../failure.ts';

export const serviceFailures = {
} satisfies FailureRegistry;
