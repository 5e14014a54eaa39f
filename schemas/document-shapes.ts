// Shapes that the documents of `--json` share.
import * as z from 'zod/mini';
import { say } from './shapes.ts';

export const version = () => z.string();
export const nullable = z.nullable;
export const milliseconds = () => z.number();

const place = z.object({ file: z.string(), line: z.optional(z.number()), column: z.optional(z.number()) });

export const failure = say(
  'What went wrong. docs/errors.md lists all codes.',
  z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string(),
    place: z.optional(place),
    phase: z.optional(z.string()),
    step: z.optional(z.string()),
    log: z.optional(say('The last lines of output.', z.array(z.string()))),
  }),
);

export const finding = z.object({
  level: z.enum(['block', 'warn', 'info']),
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  place: z.optional(place),
});

export const outcome = z.enum(['committed', 'nothing-to-do', 'refused', 'rolled-back', 'stopped', 'stranded']);

export const phaseName = z.enum(['preflight', 'backup', 'discovery', 'orchestration', 'restart', 'verify', 'commit', 'rollback']);

export const backup = z.object({ id: z.string(), path: z.string(), bytes: z.number(), files: z.number(), verified: z.boolean() });
