// How each contestant is started. Everything that Node runs is run by the Node that runs the benchmark.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (relative) => fileURLToPath(new URL(relative, import.meta.url));
/** Another build of Rungs may be measured: the path of its `bin/upgrade.mjs`. */
const executable = process.env.RUNGS_UPGRADE ?? here('../../bin/upgrade.mjs');
const dbmateBinary = here(`../node_modules/@dbmate/${process.platform}-${process.arch}/bin/dbmate`);

export const upgrade = (...args) => [process.execPath, executable, ...args];
export const umzug =
  (action, kind, ...way) =>
  (dir) => [process.execPath, here('../peers/umzug.mjs'), action, kind, dir, ...way];
export const knex =
  (action, ...way) =>
  (dir) => [process.execPath, here('../peers/knex.mjs'), action, dir, ...way];
export const kysely = (action) => (dir) => [process.execPath, here('../peers/kysely.mjs'), action, dir];
export const knexMigrator = (action) => (dir) => [process.execPath, here('../peers/knex-migrator.cjs'), action, dir];
// Its SQLite driver has synchronous=NORMAL for WAL by default, which is not durable; and a dump of the schema is no part of the work.
export const dbmate =
  (...action) =>
  (dir) => [
    dbmateBinary,
    '--url',
    `sqlite:${dir}/app.db?_sync=FULL&_journal=WAL`,
    '--migrations-dir',
    `${dir}/migrations`,
    '--no-dump-schema',
    ...action,
  ];

/** `url` by scratch folder. By default it puts all pending migrations into one transaction. */
export const nodePgMigrate =
  (url, ...flags) =>
  (dir) => [
    'env',
    `DATABASE_URL=${url(dir)}`,
    process.execPath,
    here('../node_modules/node-pg-migrate/bin/node-pg-migrate.js'),
    'up',
    '-m',
    join(dir, 'migrations'),
    '--no-verbose',
    ...flags,
  ];
export const dbmatePostgres =
  (url, ...action) =>
  (dir) => [
    dbmateBinary,
    '--url',
    `${url(dir)}?sslmode=disable`,
    '--migrations-dir',
    join(dir, 'migrations'),
    '--no-dump-schema',
    ...action,
  ];

export const hasDbmate = existsSync(dbmateBinary);
