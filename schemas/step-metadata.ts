// What a step says of itself: in a comment (SQL, shell), in MIGRATION_INFO (Python) or in its export (TypeScript, JavaScript). Both spellings of each key.
import * as z from 'zod/mini';
import { duration, exact, flag, listOf, say, size, text } from './shapes.ts';

const optional = z.optional;
const services = () => listOf(text('the name of a service'), 'a list of service names, or ["*"] for all');
const seconds = () => z.number('a number of seconds').check(z.gte(0, 'a number of seconds, 0 or more'));
const durationOrSeconds = () => z.union([duration(), seconds()], 'a duration such as 30s, or a number of seconds');

export const stepMetadata = exact({
  description: optional(say('What the step does, for people.', z.string('a text'))),
  requiresRestart: optional(say('Services to restart after the last step; "*" is all.', services())),
  requires_restart: optional(services()),
  breaking: optional(say('Asks before it runs.', flag())),
  breaking_changes: optional(z.union([flag(), listOf(z.string(), '')], 'true, false, or a list of the changes')),
  estimatedDuration: optional(say('How long it takes, for the plan.', durationOrSeconds())),
  estimated_duration: optional(durationOrSeconds()),
  estimated_duration_seconds: optional(seconds()),
  timeout: optional(say('How long it may take.', durationOrSeconds())),
  idempotent: optional(say('Safe to run again when its outcome is unknown.', flag())),
  database: optional(say('The database of an SQL step.', text('the name of a database'))),
  transaction: optional(say('false: statements that cannot run in a transaction.', flag())),
  backup: optional(
    say('Paths that the step changes and that the backup must hold.', listOf(text('a path relative to the root'), 'a list of paths')),
  ),
  lockTimeout: optional(say('How long a statement may wait for a lock in PostgreSQL.', durationOrSeconds())),
  lock_timeout: optional(durationOrSeconds()),
  statementTimeout: optional(say('How long a statement may take in PostgreSQL.', durationOrSeconds())),
  statement_timeout: optional(durationOrSeconds()),
  memory: optional(say('Most memory that its processes may use together.', size())),
  // What Dopemux's MIGRATION_INFO has besides; the folder tells the versions, and the backup is always made.
  version_from: optional(z.string('a version')),
  version_to: optional(z.string('a version')),
  backup_required: optional(flag()),
});

export type StepMetadataText = z.infer<typeof stepMetadata>;
