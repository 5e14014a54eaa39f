// The document of `--json` after a run: success and failure have the same shape.
import * as z from 'zod/mini';
import { backup, failure, milliseconds, nullable, outcome, phaseName, version } from './document-shapes.ts';
import { say } from './shapes.ts';

const stepStatus = z.enum(['pending', 'running', 'applied', 'failed', 'reverting', 'reverted', 'revert-failed', 'not-run', 'in-doubt']);

export const resultDocument = z.object({
  outcome,
  runId: nullable(z.string()),
  product: z.string(),
  from: nullable(version()),
  to: nullable(version()),
  version: say('What is installed now.', nullable(version())),
  durationMs: milliseconds(),
  planHash: nullable(z.string()),
  phases: z.array(z.object({ name: phaseName, status: z.enum(['done', 'failed', 'skipped', 'running']), durationMs: milliseconds() })),
  steps: z.array(z.object({ id: z.string(), status: stepStatus, durationMs: milliseconds(), attempts: z.number() })),
  services: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['healthy', 'unhealthy', 'running', 'stopped', 'not-restarted']),
      durationMs: milliseconds(),
      image: say('The image that its container was made again with.', z.optional(z.string())),
      why: z.optional(say('Where nothing was done, or not the usual.', z.string())),
      failure: z.optional(failure),
    }),
  ),
  probes: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['passed', 'failed']),
      attempts: z.number(),
      durationMs: milliseconds(),
      detail: z.optional(z.string()),
    }),
  ),
  backup: nullable(backup),
  restored: z.array(z.object({ path: z.string(), why: z.string(), step: z.optional(z.string()) })),
  drift: say(
    'Left as it is by a rollback, because services that ran on have written to it since the backup.',
    z.array(z.object({ path: z.string(), why: z.string(), services: z.array(z.string()) })),
  ),
  failure: nullable(failure),
  failures: say('Where there is more than one problem, all of them.', z.array(failure)),
  warnings: z.array(z.string()),
  next: say('The command to type next.', nullable(z.string())),
});
