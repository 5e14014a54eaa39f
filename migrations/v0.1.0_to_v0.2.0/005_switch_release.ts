// The last step puts the new release in place. It needs no backward: it uses nothing but `files`, which records what
// was there, so a rollback puts that back. (A downgrade after the upgrade was committed does need one.)
import { defineStep } from 'rungs';

export default defineStep({
  description: 'Switch to 0.2.0, add address settings',
  requiresRestart: ['web'],
  estimatedDuration: '1s',
  idempotent: true,

  forward: async ({ files, to }) => {
    await files.updateYaml('config/app.yaml', (doc) => {
      if (doc.has('addresses')) return;
      // A key of its own, so that the blank line and the comment stand above it.
      const key = doc.createNode('addresses');
      key.spaceBefore = true;
      key.commentBefore = ' Since 0.2.0 addresses have a table of their own.';
      doc.add(doc.createPair(key, { per_user: 1, default_country: 'SE' }));
    });
    await files.updateJson('release.json', (release) => ({ ...release, version: to, schema: 2 }));
  },
});
