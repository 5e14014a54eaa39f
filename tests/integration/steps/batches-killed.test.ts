// Many rows changed in batches by the real program, which is killed at random: each row is changed exactly once, and a kill costs one batch at most.
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, expect, test } from 'vitest';
import { countFor } from '../../support/level.ts';
import { killAtRandom, makeBatched } from './killed-batches.ts';
import type { Batched } from './killed-batches.ts';

let batched: Batched;
afterEach(() => batched.remove());

const rows = countFor({ quick: 50_000, ci: 1_000_000 });
const kills = countFor({ quick: 3, ci: 20 });
const size = 250;

function make(): Batched {
  const made = makeBatched(size, {
    database: '{ sqlite: data/app.db }',

    add: 'UPDATE rows SET n = n + ? WHERE id BETWEEN ? AND ?',
  });
  using(made, (db) => {
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)');
    db.exec(`INSERT INTO rows WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${rows}) SELECT x * 2, 0 FROM c`);
  });
  return made;
}

function using<Result>({ root }: Batched, use: (db: DatabaseSync) => Result): Result {
  const db = new DatabaseSync(path.join(root, 'data/app.db'));
  try {
    return use(db);
  } finally {
    db.close();
  }
}

const counters = (): unknown =>
  using(batched, (db) =>
    db
      .prepare('SELECT n, count(*) AS c FROM rows GROUP BY n')
      .all()
      .map((row) => ({ ...row })),
  );

test(`${rows} rows in SQLite, killed ${kills} times`, async () => {
  batched = make();
  const at = await killAtRandom(batched, rows / size, kills);
  expect(await batched.upgrade('resume')).toBe(0);
  expect(counters(), `killed at ${at.join(', ')}`).toEqual([{ n: 1, c: rows }]);
  const begun = batched.begun();
  expect(new Set(begun).size).toBe(rows / size);
  expect(begun.length).toBeLessThanOrEqual(rows / size + kills);
}, 600_000);

test('a rollback of one that was killed half-way runs the backward, and gives back what was', async () => {
  batched = make();
  await batched.killed(20, '--yes');
  const done = using(batched, (db) => Number(db.prepare('SELECT sum(n) AS n FROM rows').get()?.['n']));
  expect([done % size, done >= 18 * size, done < rows]).toEqual([0, true, true]);
  expect(await batched.upgrade('rollback', '--yes')).toBe(10);
  expect(counters()).toEqual([{ n: 0, c: rows }]);
  expect(batched.begun().filter((line) => line.startsWith('backward'))).toHaveLength(done / size);
});
