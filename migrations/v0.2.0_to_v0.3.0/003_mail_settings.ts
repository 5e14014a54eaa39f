// Mail is new in 0.3.0: settings for people in config/app.yaml, the secret in .env, which nobody else may read from now on.
import { defineStep } from 'rungs';

export default defineStep({
  description: 'Add mail settings, close .env to others',
  requiresRestart: ['web'],
  estimatedDuration: '1s',
  idempotent: true,

  forward: async ({ files }) => {
    await files.updateYaml('config/app.yaml', (doc) => {
      if (doc.has('mail')) return;
      const key = doc.createNode('mail');
      key.spaceBefore = true;
      key.commentBefore = ' New in 0.3.0. The token is in .env.';
      doc.add(doc.createPair(key, { enabled: false, from: 'server@home.example' }));
    });
    await files.updateEnv('.env', { MAIL_HOST: 'localhost', MAIL_TOKEN: 'not-set-yet' });
    await files.chmod('.env', 0o600);
  },

  backward: async ({ files }) => {
    await files.updateYaml('config/app.yaml', (doc) => doc.deleteIn(['mail']));
    await files.updateEnv('.env', { MAIL_HOST: null, MAIL_TOKEN: null });
    // As every release before 0.3.0 shipped it.
    await files.chmod('.env', 0o644);
  },
});
