// What "upgrade serve" answers: the documents of the status API. The OpenAPI document is made of these.
import * as z from 'zod/mini';
import { failure, milliseconds, nullable, version } from './document-shapes.ts';
import { resultDocument } from './result-document.ts';
import { say } from './shapes.ts';
import { runSummary } from './status-document.ts';

const { shape: ofResult } = resultDocument;

export const problemDocument = say(
  'What went wrong: of several problems all, the first one also by itself.',
  z.object({ failure, failures: z.array(failure) }),
);

export const runsDocument = z.object({ runs: say('The newest first.', z.array(runSummary)) });

export const runDocument = z.object({
  ...runSummary.shape,
  backupId: nullable(z.string()),
  host: z.string(),
  pid: z.number(),
  seq: say('The number of the last event that is in here: whoever follows goes on after it.', z.number()),
  phases: ofResult.phases,
  steps: z.array(
    z.object({
      id: z.string(),
      status: z.enum(['pending', 'running', 'applied', 'failed', 'reverting', 'reverted', 'revert-failed', 'not-run', 'in-doubt']),
      attempts: z.number(),
      startedAt: nullable(z.string()),
      durationMs: nullable(milliseconds()),
      failure: nullable(failure),
    }),
  ),
  services: ofResult.services,
  probes: ofResult.probes,
  backup: ofResult.backup,
  restored: ofResult.restored,
  warnings: ofResult.warnings,
  failures: say('The cause first.', z.array(failure)),
  next: ofResult.next,
});

export const logDocument = z.object({
  lines: z.array(
    z.looseObject({
      level: z.number(),
      time: say('ISO 8601.', z.string()),
      msg: say('What is read first.', z.string()),
      type: say('The type of the event.', z.string()),
    }),
  ),
  next: say('Where the next lines begin: give it as "after".', z.number()),
  isEnd: say('There are no more lines now.', z.boolean()),
});

export const graphDocument = z.object({
  installed: nullable(version()),
  latest: nullable(version()),
  versions: say('In their order, the lowest first.', z.array(version())),
  transitions: z.array(
    z.object({
      id: z.string(),
      from: version(),
      to: version(),
      description: z.string(),
      breaking: z.boolean(),
      stop: z.boolean(),
      blocked: nullable(z.string()),
      chosen: say('It is part of the way from what is installed to the latest version.', z.boolean()),
    }),
  ),
  problems: z.array(failure),
});

export const backupsDocument = z.object({
  backups: say(
    'The newest first.',
    z.array(
      z.looseObject({
        id: z.string(),
        createdAt: z.string(),
        version: nullable(version()),
        runId: nullable(z.string()),
        bytes: z.number(),
        files: z.number(),
        verified: say('It was read back whole and equals its manifest.', z.boolean()),
      }),
    ),
  ),
});

export const servicesDocument = z.object({
  services: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      isRunning: say('null: it cannot be told; the problem says why.', nullable(z.boolean())),
      problem: nullable(failure),
    }),
  ),
  probes: say(
    'As they ended in the last run that got that far.',
    z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        status: nullable(z.enum(['passed', 'failed'])),
        detail: nullable(z.string()),
        runId: nullable(z.string()),
      }),
    ),
  ),
});

export const healthDocument = z.object({ ok: z.literal(true) });

/** The shape of M.O.S.S.'s own `/api/admin/migrations/status`. */
export const migrationsStatusDocument = z.object({
  success: z.literal(true),
  data: z.object({
    currentVersion: z.number(),
    latestVersion: z.number(),
    appliedMigrations: z.number(),
    pendingMigrations: z.number(),
    status: z.enum(['up_to_date', 'pending', 'error']),
    lastMigration: nullable(z.object({ number: z.number(), filename: z.string(), appliedAt: z.string() })),
  }),
});
