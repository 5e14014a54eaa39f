// The config of a scratch installation: the whole root, one SQLite database.
import { join } from 'node:path';
import type { Config } from '../../../src/model/config.ts';

export function configFor(root: string): Config {
  return {
    file: join(root, 'upgrade.yaml'),
    product: 'sample',
    root,
    version: { kind: 'file', file: join(root, 'VERSION') },
    migrations: join(root, 'migrations'),
    ladders: {},
    state: join(root, '.upgrade'),
    journal: { kind: 'sqlite' },
    databases: { app: { kind: 'sqlite', file: join(root, 'data/app.db') } },
    backup: {
      dir: join(root, '.upgrade/backups'),
      include: null,
      exclude: [],
      onDrift: 'report',
      keep: 10,
      keepDays: null,
      restoreTest: false,
      commands: {},
      afterBackup: null,
      recipients: [],
    },
    services: {},
    parallelRestarts: 32,
    soakMs: 0,
    verify: [],
    timeouts: { stepMs: 1000, lockMs: 1000, totalMs: 1000 },
    boot: { onFailure: 'stop', lockMs: null, totalMs: null },
    notify: [],
    metrics: { textfile: null },
    secrets: [],
  };
}
