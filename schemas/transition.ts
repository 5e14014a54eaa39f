// `transition.yaml` as it is written.
import * as z from 'zod/mini';
import { count, exact, flag, listOf, mapOf, pattern, say, size, text } from './shapes.ts';

const optional = z.optional;

export const transitionFile = exact({
  description: optional(say('What changes between the two versions, for people.', z.string('a text'))),
  breaking: optional(say('Asks before it runs.', flag())),
  stop: optional(say('No shortcut may pass over the version that this transition leads to.', flag())),
  blocked: optional(say('Why this transition must not be used.', text('the reason as text'))),
  requires: optional(
    say(
      'Checked for all transitions of a plan before the first is run.',
      exact({
        disk: optional(say('Free disk space.', size())),
        memory: optional(say('Free memory.', size())),
        command: optional(
          say('Programs that have to be on the PATH.', z.union([text(), listOf(text(), '')], 'a list of programs such as [ffmpeg, jq]')),
        ),
        services: optional(say('Services that have to run.', listOf(text('the name of a service'), 'a list of service names'))),
        env: optional(
          say(
            'Environment variables that have to be set.',
            listOf(pattern(/^[A-Za-z_]\w*$/, 'the name of an environment variable'), 'a list of names'),
          ),
        ),
      }),
    ),
  ),
  images: optional(
    say(
      'Service of upgrade.yaml (of kind docker or compose) to the image that its container is made again with.',
      mapOf(
        z.union(
          [
            text(),
            exact({
              image: say('The name that the image has in the file.', text('an image reference')),
              file: say(
                'What "docker save" wrote, below images/ in the transition folder: for hosts that pull nothing.',
                pattern(/^images\/(?!.*(^|\/)\.\.(\/|$)).+$/, 'a path such as images/web.tar'),
              ),
            }),
          ],
          'an image reference, or { image, file }',
        ),
        'a map of service names to images',
      ),
    ),
  ),
  ladders: optional(say('Ladder to the height that belongs to the new version.', mapOf(count(0), 'a map of ladder names to heights'))),
});

export type TransitionText = z.infer<typeof transitionFile>;
