// The document of `upgrade status --json`.
import * as z from 'zod/mini';
import { failure, nullable, outcome, phaseName, version } from './document-shapes.ts';
import { say } from './shapes.ts';

/** A run as it is listed. */
export const runSummary = z.looseObject({
  id: z.string(),
  from: nullable(version()),
  to: nullable(version()),
  direction: z.enum(['up', 'down']),
  phase: phaseName,
  course: z.enum(['forwards', 'backwards']),
  startedAt: z.string(),
  finishedAt: nullable(z.string()),
  outcome: nullable(outcome),
  failure: nullable(failure),
  attempts: z.number(),
});

export const statusDocument = z.object({
  product: z.string(),
  version: say('What is installed.', nullable(version())),
  latest: say('The highest version that the migrations reach.', nullable(version())),
  pending: say('The transitions that lead there.', z.array(z.string())),
  state: z.enum(['up-to-date', 'pending', 'unfinished', 'error']),
  run: say('The unfinished run.', nullable(runSummary)),
  lock: nullable(
    z.object({
      host: nullable(z.string()),
      pid: nullable(z.number()),
      since: nullable(z.string()),
      phase: nullable(z.string()),
      heartbeatAt: z.optional(say('Only where several hosts share a journal: when the holder was last heard of.', nullable(z.string()))),
    }),
  ),
  lastRun: nullable(runSummary),
  backups: z.array(z.looseObject({ id: z.string() })),
  ladders: z.array(
    z.object({
      name: z.string(),
      height: say('The number of the last step applied.', z.number()),
      latest: say('The number of the last step on disk.', z.number()),
      pending: say('How many steps are not applied.', z.number()),
    }),
  ),
  services: say(
    'How each service of upgrade.yaml is at this moment.',
    z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        status: say('unknown: its engine could not be asked.', z.enum(['healthy', 'running', 'unhealthy', 'stopped', 'unknown'])),
        account: say('What is wrong, to follow the name.', nullable(z.string())),
      }),
    ),
  ),
  problems: say('What keeps the state from being told; only where there is something.', z.optional(z.array(failure))),
});
