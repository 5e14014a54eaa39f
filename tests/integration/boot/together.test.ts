// Many hosts that boot at the same moment: one does the work, the others wait and then start.
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { countFor } from '../../support/level.ts';
import { programs, startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { expectEachStepOnce, journalInPostgres, loggedSteps, makeAppliedLog } from './applied-log.ts';
import { makeFleet, textIn } from './fleet.ts';
import { DatabaseSync } from 'node:sqlite';

const hosts = 8;
const steps = 6;
const rounds = countFor({ quick: 3, ci: 50 });
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

testWithPostgres(
  `${hosts} hosts boot at once on one PostgreSQL, ${rounds} times: each step runs once, under the lock, and all start after the last`,
  { timeout: 20_000 * rounds },
  async () => {
    for (let round = 0; round < rounds; round += 1) {
      const url = await postgres.database();
      await makeAppliedLog(postgres, url);
      const fleet = makeFleet({
        config: journalInPostgres,
        files: loggedSteps(steps),
        hosts,
        env: { DATABASE_URL: url, JOURNAL_URL: url },
      });
      // What starts looks for itself whether all is there.
      const psql = path.join(programs() ?? '', 'psql');
      const command = ['sh', '-c', `"${psql}" "$DATABASE_URL" -Atc 'SELECT count(ended), max(step) FROM applied_log' > started`];
      // Two of them are applications that call the library.
      const started = fleet.hosts.map((host, at) =>
        at < 2 ? host.startApplication({ config: 'upgrade.yaml' }, command) : host.start(['boot', '--', ...command]),
      );
      const ended = await Promise.all(started.map(async (one) => one.ended));
      for (const one of ended) expect(one.code, one.stderr + one.stdout).toBe(0);
      expect(fleet.hosts.map(({ root }) => textIn(path.join(root, 'started')))).toEqual(fleet.hosts.map(() => `${steps}|${steps}\n`));
      await expectEachStepOnce(postgres, url, steps);
      expect(await postgres.query(url, 'SELECT outcome FROM rungs.runs')).toEqual([{ outcome: 'committed' }]);
      const [lock] = await postgres.query(url, 'SELECT epoch::int AS epoch, host FROM rungs.lock');
      expect(lock).toMatchObject({ host: null });
      expect(Number(lock?.epoch)).toBeLessThanOrEqual(hosts);
    }
  },
);

test('8 processes boot at once in one folder with the journal in SQLite: each step runs once, and all start', async () => {
  const sql = (step: number): string =>
    `CREATE TABLE made_by_${step} (id INTEGER PRIMARY KEY);\nINSERT INTO applied_log VALUES (${step});\n-- backward\nDROP TABLE made_by_${step};\n`;
  const files = Object.fromEntries([1, 2, 3].map((step) => [`db/00${step}_step.sql`, sql(step)]));
  const config =
    'product: fleet\nversion: { journal: true }\ndatabases: { app: { sqlite: app.db } }\nladders: { main: { dir: DIR/db, database: app } }\nbackup: { include: [upgrade.yaml] }\n';
  const fleet = makeFleet({ config, files, hosts, isOneFolder: true });
  const file = path.join(fleet.hosts[0]?.root ?? '', 'app.db');
  const made = new DatabaseSync(file);
  made.exec('CREATE TABLE applied_log (step INTEGER)');
  made.close();
  const started = fleet.hosts.map((host, at) => host.start(['boot', '--', 'sh', '-c', `echo $$ > started-${at}`]));
  const ended = await Promise.all(started.map(async (one) => one.ended));
  for (const one of ended) expect(one.code, one.stderr + one.stdout).toBe(0);
  // The command is the process itself.
  expect(fleet.hosts.map(({ root }, at) => Number(textIn(path.join(root, `started-${at}`))))).toEqual(
    started.map(({ child }) => child.pid),
  );
  const database = new DatabaseSync(file);
  expect(database.prepare('SELECT step FROM applied_log ORDER BY rowid').all()).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }]);
  database.close();
});
