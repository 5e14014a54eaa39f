import type { FailureRegistry } from '../failure.ts';

export const migrationFailures = {
} satisfies FailureRegistry;
