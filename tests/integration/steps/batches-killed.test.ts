// Many rows changed in batches by the real program, which is killed at random: each row is changed exactly once, and a kill costs one batch at most.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { processesIn } from '../pipeline/installation.ts';
import { executeOne, workbench } from './workbench.ts';
import { countFor } from '../../support/level.ts';
import { programs, startPostgres, testWithPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { killAtRandom, makeBatched } from './killed-batches.ts';
import type { Batched } from './killed-batches.ts';

let batched: Batched;
afterEach(() => batched.remove());

const rows = countFor({ quick: 50_000, ci: 1_000_000 });
const kills = countFor({ quick: 3, ci: 20 });
// A run that was taken up ten times turns back by itself.
const programKills = kills;
const size = 250;

interface Kind {
  readonly make: () => Promise<Batched>;
  readonly counters: () => Promise<readonly { readonly n: number; readonly c: number }[]>;
}

function onSqlite(): Kind {
  const using = <Result>(use: (db: DatabaseSync) => Result): Result => {
    const db = new DatabaseSync(path.join(batched.root, 'data/app.db'));
    try {
      return use(db);
    } finally {
      db.close();
    }
  };
  return {
    make: async () => {
      batched = makeBatched(size, {
        database: '{ sqlite: data/app.db }',
        change: "'UPDATE rows SET n = n + ? WHERE id BETWEEN ? AND ?', by, rows[0].id, rows.at(-1).id",
      });
      using((db) => {
        db.exec('PRAGMA journal_mode = WAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)');
        db.exec(
          `INSERT INTO rows WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${rows}) SELECT x * 2, 0 FROM c`,
        );
      });
      return batched;
    },
    counters: async () =>
      using((db) =>
        db
          .prepare('SELECT n, count(*) AS c FROM rows GROUP BY n ORDER BY n')
          .all()
          .map(({ n, c }) => ({ n: Number(n), c: Number(c) })),
      ),
  };
}

let postgres: TestPostgres;
let url = '';
beforeAll(async () => {
  if (programs() !== null) postgres = await startPostgres();
});

function onPostgres(): Kind {
  return {
    make: async () => {
      url = await postgres.database();
      await postgres.query(url, `CREATE TABLE rows AS SELECT x * 2 AS id, 0 AS n FROM generate_series(1, ${rows}) AS x`);
      await postgres.query(url, 'ALTER TABLE rows ADD PRIMARY KEY (id)');
      batched = makeBatched(size, {
        database: `{ postgres: '${url}' }`,
        change: "'UPDATE rows SET n = n + $1 WHERE id BETWEEN $2 AND $3', [by, rows[0].id, rows.at(-1).id]",
      });
      return batched;
    },
    counters: async () =>
      (await postgres.query(url, 'SELECT n, count(*)::int AS c FROM rows GROUP BY n ORDER BY n')).map(({ n, c }) => ({
        n: Number(n),
        c: Number(c),
      })),
  };
}

describe.each([
  { name: 'SQLite', run: test, kind: onSqlite() },
  { name: 'PostgreSQL', run: testWithPostgres, kind: onPostgres() },
])('$name', ({ run, kind: { make, counters } }) => {
  run(
    `${rows} rows, the program killed ${programKills} times: each is changed once`,
    async () => {
      await make();
      const at = await killAtRandom(batched, rows / size, programKills);
      await batched.upgrade(0, 'resume');
      expect(await counters(), `killed at ${at.join(', ')}`).toEqual([{ n: 1, c: rows }]);
      const begun = batched.begun();
      expect(new Set(begun).size).toBe(rows / size);
      expect(begun.length).toBeLessThanOrEqual(rows / size + programKills);
    },
    600_000,
  );

  run(
    `${rows} rows, the step killed ${kills} times: each is changed once`,
    async () => {
      await make();
      const config = await loadConfig({ cwd: batched.root, env: {} });
      const bench = workbench({ root: batched.root, databases: config.databases, stepMs: 600_000 });
      const order = bench.step('001_count.ts', readFileSync(path.join(batched.root, 'migrations/v1.0.0_to_v1.1.0/001_count.ts'), 'utf8'));
      for (let killed = 0; killed < kills; killed += 1) {
        const begun = batched.begun().length;
        const next = begun + 1 + Math.floor((Math.random() * (rows / size + killed - begun)) / (kills - killed + 1));
        const running = executeOne(bench, order);
        await batched.begunAtLeast(next);
        for (const pid of processesIn(batched.root)) process.kill(pid, 'SIGKILL');
        expect((await running).failure?.code).toBe('STEP_KILLED');
      }
      expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
      await bench.executor.close();
      expect(await counters()).toEqual([{ n: 1, c: rows }]);
      expect(batched.begun().length).toBeLessThanOrEqual(rows / size + kills);
    },
    600_000,
  );

  run(
    'a rollback of one that was killed half-way runs the backward, and gives back what was',
    async () => {
      await make();
      await batched.killed(20, '--yes');
      await batched.upgrade(10, 'rollback', '--yes');
      expect(await counters()).toEqual([{ n: 0, c: rows }]);
      const begun = batched.begun();
      const forward = begun.filter((line) => line.startsWith('forward')).length;
      // The last one may have been committed or not when it was killed.
      expect(forward - (begun.length - forward)).toBeOneOf([0, 1]);
    },
    600_000,
  );
});
