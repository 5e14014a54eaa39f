// The document of `upgrade plan --json`.
import * as z from 'zod/mini';
import { finding, nullable, version } from './document-shapes.ts';
import { say } from './shapes.ts';

const step = z.object({
  id: z.string(),
  kind: z.enum(['ts', 'js', 'sql', 'sh', 'py']),
  sha256: say('Of the file, hex.', z.string()),
  description: z.string(),
  reversible: say('It can be undone without the backup.', z.boolean()),
  requiresRestart: z.array(z.string()),
  estimatedDurationSeconds: nullable(z.number()),
});

export const planDocument = z.object({
  from: nullable(version()),
  to: nullable(version()),
  hash: say('For --plan-hash: over everything that decides what is executed.', z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/))),
  transitions: z.array(
    z.object({
      id: z.string(),
      from: version(),
      to: version(),
      description: z.string(),
      breaking: z.boolean(),
      images: z.optional(
        say(
          'By service: the images that its container is made again with. Only where the transition brings any.',
          z.record(
            z.string(),
            z.object({ image: z.string(), file: say('Below the transition folder; null: from a registry.', nullable(z.string())) }),
          ),
        ),
      ),
      steps: z.array(step),
    }),
  ),
  restarts: z.array(z.string()),
  backup: z.object({ sources: z.array(z.string()), estimatedBytes: z.number() }),
  ladders: say(
    'The parts of ladders that are climbed, in running order.',
    z.array(
      z.object({
        name: z.string(),
        direction: z.enum(['up', 'down']),
        from: say('The height before.', z.number()),
        height: say('The height afterwards.', z.number()),
        steps: z.array(step),
      }),
    ),
  ),
  findings: z.array(finding),
});
