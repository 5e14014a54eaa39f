// The last step puts the new release in place. With a backward, the version can be left again after it was committed.
import { defineStep } from 'rungs';

export default defineStep({
  description: 'Switch to 0.3.0',
  requiresRestart: ['web'],
  estimatedDuration: '1s',
  idempotent: true,
  forward: async ({ files }) => files.updateJson('release.json', (release) => ({ ...release, version: '0.3.0', schema: 3 })),
  backward: async ({ files }) => files.updateJson('release.json', (release) => ({ ...release, version: '0.2.0', schema: 2 })),
});
