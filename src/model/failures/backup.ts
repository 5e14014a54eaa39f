import type { FailureRegistry } from '../failure.ts';

export const backupFailures = {
} satisfies FailureRegistry;
