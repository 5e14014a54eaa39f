// `ctx.batches` on SQLite, through the real executor: what it goes through, by which key, and what it refuses.
import { existsSync, mkdtempSync, readFileSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { StepOrder, StepOutcome } from '../../../src/model/run.ts';
import { executeOne, reverting, until, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.dispose());

/** Numbers from 1, as the column `x` of `numbers`. */
const numbers = (count: number): string =>
  `(WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${count}) SELECT x FROM c) AS numbers`;

async function prepare(sql: string): Promise<void> {
  expect(await executeOne(bench, bench.step('001_setup.sql', sql))).toMatchObject({ status: 'done' });
  await bench.executor.close(); // The next host sees what a test puts into the environment.
}

/** A step with this body; `seen` and `result` tell what came of it. */
function batching(body: string, file = '002_batches.ts'): StepOrder {
  return bench.step(
    file,
    `import { appendFileSync, writeFileSync } from 'node:fs';
const seen = (of) => appendFileSync('seen', JSON.stringify(of) + '\\n');
const result = (of) => writeFileSync('result', JSON.stringify(of));
export const forward = async ({ batches, sqlite, checkpoint, signal }) => {
${body}
};`,
  );
}

const seen = (): readonly unknown[] =>
  bench
    .read('seen')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
const result = (): unknown => JSON.parse(bench.read('result'));

function failureOf({ status, failure }: StepOutcome): {
  readonly code: string;
  readonly message: string;
  readonly line: number | undefined;
} {
  if (status !== 'failed' || failure === undefined) throw new Error(`it is ${status}`);
  return { code: failure.code, message: failure.message, line: failure.place?.line };
}

describe('every row is handed over once', () => {
  const each = `async (rows, { db }) => { for (const row of rows) await db.run('UPDATE t SET n = n + 1 WHERE ' + same(row), ...key(row)); }`;
  test.each([
    { why: 'INTEGER PRIMARY KEY', schema: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n)', insert: 'x * 3, 0', by: ['id'] },
    { why: 'a rowid', schema: 'CREATE TABLE t (a, n)', insert: 'x % 2, 0', by: ['rowid'] },
    { why: 'a rowid whose name a column has', schema: 'CREATE TABLE t (rowid, n)', insert: 'x % 2, 0', by: ['_rowid_'] },
    {
      why: 'a composite key',
      schema: 'CREATE TABLE t (a TEXT, b INTEGER, n, PRIMARY KEY (b, a))',
      insert: "'k' || (x % 5), x / 5, 0",
      by: ['b', 'a'],
    },
    {
      why: 'WITHOUT ROWID, the key in descending order',
      schema: 'CREATE TABLE t (a TEXT, b REAL, n, PRIMARY KEY (a DESC, b)) WITHOUT ROWID',
      insert: "'k' || (x % 5), x / 10.0, 0",
      by: ['a', 'b'],
    },
    {
      why: 'texts that do not differ by case, with umlauts and without an end',
      schema: 'CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n)',
      insert: "CASE x % 3 WHEN 0 THEN 'ä' WHEN 1 THEN 'B' ELSE 'b''' END || printf('%03d', x), 0",
      by: ['k'],
    },
    {
      why: 'integers beyond 2^53',
      schema: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n)',
      insert: '9007199254740993 + x, 0',
      by: ['id'],
    },
    {
      why: 'bytes, texts and numbers in one column',
      schema: 'CREATE TABLE t (k PRIMARY KEY NOT NULL, n)',
      insert: "CASE x % 3 WHEN 0 THEN x WHEN 1 THEN CAST('b' || x AS BLOB) ELSE 't' || x END, 0",
      by: ['k'],
    },
    {
      why: 'a generated column, and a table with an odd name',
      table: 'o"d d',
      schema: 'CREATE TABLE "o""d d" (id INTEGER PRIMARY KEY, n, g AS (n + 1))',
      insert: 'x, 0',
      by: ['id'],
    },
  ])('by $why', async ({ table = 't', schema, insert, by }) => {
    bench = workbench();
    const quoted = `"${table.replaceAll('"', '""')}"`;
    const columns = /,\s*g AS/.test(schema) ? '(id, n)' : '';
    await prepare(`${schema}; INSERT INTO ${quoted} ${columns} SELECT ${insert} FROM ${numbers(103)};`);
    const order = batching(`const by = ${JSON.stringify(by)};
      const same = () => by.map((name) => name + ' = ?').join(' AND ');
      const key = (row) => by.map((name) => row[name]);
      result(await batches({ table: ${JSON.stringify(table)} }, 10, ${each.replace('UPDATE t', () => `UPDATE ${quoted.replaceAll('"', String.raw`\x22`)}`)}));`);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.query(`SELECT n, count(*) AS c FROM ${quoted} GROUP BY n`)).toEqual([{ n: 1, c: 103 }]);
    expect(result()).toEqual({ rows: 103, batches: 11, resumedAt: null });
  });

  test.each([
    { rows: 0, size: 10, sizes: [] },
    { rows: 1, size: 1, sizes: [1] },
    { rows: 30, size: 10, sizes: [10, 10, 10] },
    { rows: 31, size: 10, sizes: [10, 10, 10, 1] },
    { rows: 9, size: 100_000, sizes: [9] },
  ])('$rows rows, $size at a time', async ({ rows, size, sizes }) => {
    bench = workbench();
    await prepare(`CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t SELECT x FROM ${numbers(rows)} WHERE x <= ${rows};`);
    if (rows === 0) await executeOne(bench, bench.step('003_empty.sql', 'DELETE FROM t;'));
    bench.put('seen', '');
    const order = batching(
      `result(await batches('SELECT id FROM t', ${size}, (rows, { batch, done, total }) => seen([rows.length, batch, done, total])));`,
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.read('seen') === '' ? [] : seen()).toEqual(sizes.map((length, index) => [length, index + 1, index * size, rows]));
    expect(result()).toEqual({ rows, batches: sizes.length, resumedAt: null });
  });

  test('rows that stop matching, are deleted, or come in behind the key while it runs', async () => {
    bench = workbench();
    await prepare(`CREATE TABLE t (id INTEGER PRIMARY KEY, state); INSERT INTO t SELECT x, 'old' FROM ${numbers(50)};`);
    const order = batching(`
      const query = { table: 't', where: 'state = ? -- a comment at the end', parameters: ['old'], columns: ['state'] };
      result(await batches(query, 7, async (rows, { db, batch }) => {
        seen(rows.map(({ id }) => id));
        for (const { id } of rows) await db.run(id % 5 === 0 ? 'DELETE FROM t WHERE id = ?' : "UPDATE t SET state = 'new' WHERE id = ?", id);
        if (batch === 3) await db.exec("INSERT INTO t VALUES (99, 'old'), (-1, 'old')");
      }));`);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(seen().flat()).toEqual([...Array.from({ length: 50 }, (_, index) => index + 1), 99]);
    expect(bench.query('SELECT state, count(*) AS c, min(id) AS low FROM t GROUP BY state')).toEqual([
      { state: 'new', c: 41, low: 1 },
      { state: 'old', c: 1, low: -1 },
    ]);
    expect(result()).toEqual({ rows: 51, batches: 8, resumedAt: null });
  });

  test.each([
    {
      why: 'the primary key under another name',
      query: `'SELECT n, id AS "the id" FROM t WHERE n >= 0 ORDER BY n DESC;'`,
      column: 'the id',
    },
    { why: 'a join that gives each row once', query: `'SELECT t.id, u.label FROM t JOIN u ON u.n = t.n -- by n'`, column: 'id' },
    {
      why: 'WITH, parameters and a key that is named',
      query: `{ sql: 'WITH w AS (SELECT id * 2 AS twice FROM t WHERE n < ?2 AND n >= ?1) SELECT * FROM w', parameters: [0, 9], key: 'TWICE' }`,
      column: 'twice',
    },
    { why: 'a view with a key', query: `{ database: 'app', table: 'v', key: ['ID'] }`, column: 'id' },
    { why: 'a subquery with LIMIT of its own', query: `'SELECT id, (SELECT label FROM u LIMIT 1) AS l FROM t'`, column: 'id' },
  ])('of $why', async ({ query, column }) => {
    bench = workbench();
    await prepare(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, n); CREATE TABLE u (n UNIQUE, label); CREATE VIEW v AS SELECT id, n FROM t; INSERT INTO t SELECT x, x % 3 FROM ${numbers(25)}; INSERT INTO u VALUES (0, 'zero'), (1, 'one'), (2, 'two');`,
    );
    expect(
      await executeOne(bench, batching(`await batches(${query}, 4, (rows) => seen(rows.map((row) => row[${JSON.stringify(column)}])));`)),
    ).toMatchObject({ status: 'done' });
    const factor = column === 'twice' ? 2 : 1;
    expect(seen().flat()).toEqual(Array.from({ length: 25 }, (_, index) => (index + 1) * factor));
  });
});

describe('what could not be exact is refused', () => {
  const fine = '() => {}';
  const refused: readonly { readonly code: string; readonly call: string; readonly says?: string; readonly isPlaced?: boolean }[] = [
    { code: 'STEP_BATCHES_SIZE', call: `'SELECT id FROM t', 0, ${fine}` },
    { code: 'STEP_BATCHES_SIZE', call: `'SELECT id FROM t', 100_001, ${fine}` },
    { code: 'STEP_BATCHES_SIZE', call: `'SELECT id FROM t', 1.5, ${fine}` },
    { code: 'STEP_BATCHES_USE', call: `'SELECT id FROM t', 10` },
    { code: 'STEP_BATCHES_USE', call: `'SELECT id FROM t', 10, () => batches('SELECT id FROM t', 10, ${fine})` },
    { code: 'STEP_BATCHES_USE', call: `'SELECT id FROM t', 10, () => checkpoint.save(1)` },
    { code: 'STEP_BATCHES_QUERY', call: `'DELETE FROM t', 10, ${fine}`, says: 'DELETE' },
    { code: 'STEP_BATCHES_QUERY', call: `'SELECT id FROM t; DELETE FROM t', 10, ${fine}`, says: 'more than one' },
    { code: 'STEP_BATCHES_QUERY', call: `'WITH w AS (SELECT 1) DELETE FROM t', 10, ${fine}`, says: 'SQLite says' },
    { code: 'STEP_BATCHES_QUERY', call: `'SELECT id FROM t LIMIT 5', 10, ${fine}`, says: 'LIMIT' },
    { code: 'STEP_BATCHES_QUERY', call: `'SELECT id FROM missing', 10, ${fine}`, says: 'missing' },
    { code: 'STEP_BATCHES_QUERY', call: `{ table: 'missing' }, 10, ${fine}`, says: 'missing' },
    { code: 'STEP_BATCHES_QUERY', call: `{ table: 't', where: 'nothing = 1' }, 10, ${fine}`, says: 'nothing' },
    { code: 'STEP_BATCHES_QUERY', call: `{ table: 't', columns: ['nothing'] }, 10, ${fine}`, says: 'nothing' },
    { code: 'STEP_BATCHES_QUERY', call: `{ table: 't', sql: 'SELECT 1' }, 10, ${fine}` },
    { code: 'STEP_BATCHES_QUERY', call: `{ tabel: 't' }, 10, ${fine}`, says: 'tabel' },
    { code: 'STEP_BATCHES_QUERY', call: `{ sql: 'SELECT id FROM t', where: 'id > 1' }, 10, ${fine}` },
    { code: 'STEP_BATCHES_QUERY', call: `'', 10, ${fine}`, says: 'empty' },
    { code: 'STEP_BATCHES_QUERY', call: `7, 10, ${fine}` },
    { code: 'STEP_BATCHES_KEY', call: `'SELECT a FROM t', 10, ${fine}`, says: 'apart' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 'v' }, 10, ${fine}`, says: '"v"' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 't', key: 'missing' }, 10, ${fine}`, says: 'missing' },
    { code: 'STEP_BATCHES_KEY', call: `{ sql: 'SELECT a FROM t', key: 'id' }, 10, ${fine}`, says: '"id"' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 't', key: 'a' }, 10, ${fine}`, says: 'same key' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 't', key: ['nul', 'id'] }, 10, ${fine}`, says: 'NULL' },
    { code: 'STEP_BATCHES_KEY', call: `'SELECT t.id FROM t JOIN t AS more ON more.a = t.a', 10, ${fine}`, says: 'same key' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 'nocase', key: 'k' }, 10, ${fine}`, says: 'same key' },
    { code: 'STEP_BATCHES_KEY', call: `{ table: 't' }, 10, (rows, { db }) => db.exec('UPDATE t SET id = id + 1000')`, says: 'change' },
    { code: 'STEP_BATCHES_KEY', call: `'SELECT id FROM t', 10, (rows, { db }) => db.exec('UPDATE t SET ID = -id')`, says: 'change' },
    { code: 'STEP_DATABASE_UNKNOWN', call: `{ database: 'other', table: 't' }, 10, ${fine}`, says: 'other', isPlaced: false },
  ];

  test('with the line of the call', async () => {
    bench = workbench();
    await prepare(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, a, nul); CREATE VIEW v AS SELECT * FROM t; INSERT INTO t SELECT x, x % 5, NULL FROM ${numbers(30)}; CREATE TABLE nocase (k COLLATE NOCASE, UNIQUE (k COLLATE BINARY)); INSERT INTO nocase VALUES ('a'), ('A');`,
    );
    const before = bench.query('SELECT * FROM t');
    for (const [index, { code, call, says = '', isPlaced = true }] of refused.entries()) {
      const found = failureOf(await executeOne(bench, batching(`await batches(${call});`, `${index + 100}_refused.ts`)));
      expect([found.code, found.line], call).toEqual([code, isPlaced ? 5 : undefined]);
      expect(found.message).toContain(says);
    }
    expect(bench.query('SELECT * FROM t')).toEqual(before);
  });

  test('two calls of one name, and check()', async () => {
    bench = workbench();
    await prepare('CREATE TABLE t (id INTEGER PRIMARY KEY);');
    const twice = `const query = { table: 't', name: 'one' }; await batches(query, 1, () => {}); await batches(query, 1, () => {});`;
    expect(failureOf(await executeOne(bench, batching(twice))).code).toBe('STEP_BATCHES_USE');
    const looking = bench.step(
      '003_check.ts',
      `export default { check: async ({ batches }) => { await batches('SELECT id FROM t', 1, () => {}); return 'applied'; }, forward: () => {} };`,
      { hasCheck: true },
    );
    expect(await bench.executor.examine(looking, bench.run)).toBe('unknown');
    expect(bench.events).toContainEqual({ type: 'warning', message: expect.stringContaining('check() only looks') });
  });

  test('another database may be read in a batch, not changed', async () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'rungs-two-')));
    const databases = { app: { kind: 'sqlite', file: join(root, 'app.db') }, old: { kind: 'sqlite', file: join(root, 'old.db') } } as const;
    bench = workbench({ root, databases });
    for (const database of ['app', 'old'])
      await executeOne(
        bench,
        bench.step(
          `00${database.length}_setup.sql`,
          `CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t SELECT x, 0 FROM ${numbers(20)};`,
          { database },
        ),
      );
    const read = batching(`await batches({ database: 'app', table: 't' }, 8, async (rows, { db }) => {
      for (const { id } of rows) await db.run('UPDATE t SET n = ? WHERE id = ?', (await sqlite('old').get('SELECT max(id) AS m FROM t')).m, id);
    });`);
    expect(await executeOne(bench, read)).toMatchObject({ status: 'done' });
    expect(bench.query('SELECT DISTINCT n FROM t')).toEqual([{ n: 20 }]);
    for (const [index, change] of ['UPDATE t SET n = 5', 'CREATE TABLE more (a)'].entries()) {
      const write = batching(
        `await batches({ database: 'app', table: 't' }, 8, async (rows, { db, batch }) => { await db.exec('UPDATE t SET n = 1'); if (batch === 2) await sqlite('old').exec('${change}'); });`,
        `00${index + 6}_write.ts`,
      );
      const { code, message } = failureOf(await executeOne(bench, write));
      expect(code).toBe('STEP_BATCHES_DATABASE');
      expect(message).toContain('"old"');
    }
    expect(bench.query('SELECT DISTINCT n FROM t', 'old')).toEqual([{ n: 0 }]);
    expect(bench.query("SELECT 1 FROM sqlite_schema WHERE name = 'more'", 'old')).toEqual([]);
    expect(failureOf(await executeOne(bench, batching(`await batches('SELECT id FROM t', 8, () => {});`, '009_which.ts'))).code).toBe(
      'STEP_DATABASE_UNKNOWN',
    );
  });
});

describe('a step that is interrupted', () => {
  const counted = `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO t SELECT x, 0 FROM ${numbers(100)};`;

  test('a batch that throws is taken back alone; the next attempt goes on with it', async () => {
    bench = workbench();
    await prepare(counted);
    const order = batching(`
      result(await batches('SELECT id FROM t', 10, async (rows, { db, batch }) => {
        seen(batch);
        await db.run('UPDATE t SET n = n + 1 WHERE id BETWEEN ? AND ?', rows[0].id, rows.at(-1).id);
        if (batch === 4 && !process.env.GO_ON) throw new Error('in batch 4');
      }));`);
    const outcome = await executeOne(bench, order);
    expect([outcome.failure?.code, outcome.failure?.place?.line]).toEqual(['STEP_FAILED', 9]);
    expect(bench.query('SELECT n, count(*) AS c FROM t GROUP BY n')).toEqual([
      { n: 0, c: 70 },
      { n: 1, c: 30 },
    ]);
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(true);
    await bench.executor.close();
    process.env['GO_ON'] = '1';
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    delete process.env['GO_ON'];
    expect(bench.query('SELECT n, count(*) AS c FROM t GROUP BY n')).toEqual([{ n: 1, c: 100 }]);
    expect(seen()).toEqual([1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10]);
    expect(result()).toEqual({ rows: 100, batches: 10, resumedAt: 30 });
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(false);
    await bench.executor.removeMarkers(bench.run);
    expect(bench.query('SELECT name FROM sqlite_schema')).toEqual([{ name: 't' }]);
  });

  test('what the step does after it caught the error of a batch holds nothing of that batch', async () => {
    bench = workbench();
    await prepare(counted);
    const order = batching(`
      await sqlite('app').exec('CREATE TABLE before (a)');
      await batches('SELECT id FROM t', 10, async (rows, { db }) => { await db.exec('UPDATE t SET n = 7'); throw new Error('caught'); }).catch(() => {});
      await sqlite('app').exec('UPDATE t SET id = id + 1000 WHERE id = 1; CREATE TABLE behind (a)');`);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.query('SELECT max(n) AS n, max(id) AS id FROM t')).toEqual([{ n: 0, id: 1001 }]);
    expect(bench.query("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('before', 'behind')")).toEqual([{ n: 2 }]);
  });

  test('cancelling takes effect between two batches, and what was committed is gone on from', async () => {
    bench = workbench({ graceMs: 10_000 });
    await prepare(counted);
    const order = batching(`
      result(await batches('SELECT id FROM t', 5, async (rows, { db, batch }) => {
        seen(batch);
        await db.run('UPDATE t SET n = n + 1 WHERE id BETWEEN ? AND ?', rows[0].id, rows.at(-1).id);
        while (batch === 7 && !process.env.GO_ON && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
      }));`);
    const running = executeOne(bench, order);
    await until('the seventh batch runs', () => existsSync(join(bench.root, 'seen')) && seen().includes(7));
    bench.abort();
    expect(failureOf(await running).code).toBe('STEP_CANCELLED');
    expect(bench.query('SELECT n, count(*) AS c FROM t GROUP BY n')).toEqual([
      { n: 0, c: 65 },
      { n: 1, c: 35 },
    ]);
    await bench.executor.close();
    const again = workbench({ root: bench.root });
    process.env['GO_ON'] = '1';
    expect(await executeOne(again, order)).toMatchObject({ status: 'done' });
    delete process.env['GO_ON'];
    await again.executor.close();
    expect(bench.query('SELECT n, count(*) AS c FROM t GROUP BY n')).toEqual([{ n: 1, c: 100 }]);
    expect(result()).toEqual({ rows: 100, batches: 20, resumedAt: 35 });
  });

  test('several calls and a checkpoint of the step: each has its own place, and what is finished is skipped', async () => {
    bench = workbench();
    await prepare(
      `${counted} CREATE TABLE u (id TEXT PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO u SELECT 'u' || x, 0 FROM ${numbers(40)};`,
    );
    const order = batching(`
      const bump = (table) => async (rows, { db, batch }) => {
        for (const { id } of rows) await db.run('UPDATE ' + table + ' SET n = n + 1 WHERE id = ?', id);
        seen(table + batch);
        if (table + batch === process.env.KILL_AT) process.kill(process.pid, 'SIGKILL');
      };
      if (checkpoint.value === undefined) { await sqlite('app').exec('ALTER TABLE t ADD COLUMN added'); await checkpoint.save('column'); }
      const one = await batches({ table: 't' }, 30, bump('t'));
      if (checkpoint.value === 'column') { await sqlite('app').exec('CREATE TABLE made (a)'); await checkpoint.save('table'); }
      const two = await batches({ table: 'u', name: 'second' }, 15, bump('u'));
      const three = await batches({ table: 't', where: 'id <= 10' }, 5, bump('t'));
      result([one, two, three, checkpoint.value]);`);
    for (const killAt of ['t1', 't3', 'u1', 'u3']) {
      process.env['KILL_AT'] = killAt;
      expect((await executeOne(bench, order)).failure?.code).toBe('STEP_KILLED');
      expect(await bench.executor.examine(order, bench.run)).toBe('not-done');
      expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(true);
    }
    delete process.env['KILL_AT'];
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(seen()).toEqual(['t1', 't1', 't2', 't3', 't3', 't4', 'u1', 'u1', 'u2', 'u3', 'u3', 't1', 't2']);
    expect(bench.query('SELECT n, count(*) AS c FROM t GROUP BY n UNION ALL SELECT n, count(*) FROM u GROUP BY n')).toEqual([
      { n: 1, c: 90 },
      { n: 2, c: 10 },
      { n: 1, c: 40 },
    ]);
    expect(result()).toEqual([
      { rows: 100, batches: 4, resumedAt: 100 },
      { rows: 40, batches: 3, resumedAt: 30 },
      { rows: 10, batches: 2, resumedAt: null },
      'table',
    ]);
  });

  test('one that goes through something else than before is refused', async () => {
    bench = workbench();
    await prepare(counted);
    const order = batching(
      `await batches({ table: 't', where: process.env.OTHER ?? 'id > 0' }, 10, () => { if (!process.env.OTHER) throw new Error('stop'); });`,
    );
    expect(failureOf(await executeOne(bench, order)).code).toBe('STEP_FAILED');
    await bench.executor.close();
    process.env['OTHER'] = 'id > 1';
    const found = failureOf(await executeOne(bench, order));
    delete process.env['OTHER'];
    expect([found.code, found.line]).toEqual(['STEP_BATCHES_USE', 5]);
  });

  test('a backward in batches takes back what a forward had committed, and is itself gone on with', async () => {
    bench = workbench();
    await prepare(counted);
    const bump = (by: number): string =>
      `async ({ batches }) => { await batches('SELECT id FROM t WHERE n <> ${by < 0 ? 0 : 1}', 10, async (rows, { db, batch }) => { for (const { id } of rows) await db.run('UPDATE t SET n = n + (${by}) WHERE id = ?', id); if (batch === Number(process.env.KILL_AT)) process.kill(process.pid, 'SIGKILL'); }); }`;
    const order = bench.step('002_both.ts', `export const forward = ${bump(1)};\nexport const backward = ${bump(-1)};`);
    process.env['KILL_AT'] = '7';
    expect((await executeOne(bench, order)).failure?.code).toBe('STEP_KILLED');
    expect((await bench.executor.undoRecorded(order, bench.run)).isComplete).toBe(false);
    expect(bench.query('SELECT sum(n) AS n FROM t')).toEqual([{ n: 60 }]);
    process.env['KILL_AT'] = '3';
    expect((await executeOne(bench, reverting(order))).failure?.code).toBe('STEP_KILLED');
    expect(bench.query('SELECT sum(n) AS n FROM t')).toEqual([{ n: 40 }]);
    expect(await bench.executor.examine(reverting(order), bench.run)).toBe('not-done');
    delete process.env['KILL_AT'];
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(bench.query('SELECT sum(n) AS n FROM t')).toEqual([{ n: 0 }]);
    expect(await bench.executor.examine(reverting(order), bench.run)).toBe('done');
  });
});

test('progress tells rows, the total, the rate and the time left, also when it is taken up again', async () => {
  bench = workbench();
  await prepare(`CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t SELECT x, 0 FROM ${numbers(60)};`);
  const order = batching(`await batches('SELECT id FROM t', 10, async (rows, { db, batch }) => {
    await new Promise((resolve) => setTimeout(resolve, 110));
    if (batch === 5 && !process.env.GO_ON) throw new Error('stop');
  });`);
  await executeOne(bench, order);
  const told = (): readonly unknown[] =>
    bench.events.flatMap((event) => (event.type === 'step-progress' ? [[event.done, event.total, event.note]] : []));
  const note: unknown = expect.stringMatching(/^[\d,.]+ rows\/s, about \d+ s left$/);
  expect(told()).toEqual([10, 20, 30, 40].map((done) => [done, 60, note]));
  await bench.executor.close();
  process.env['GO_ON'] = '1';
  bench.events.length = 0;
  expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  delete process.env['GO_ON'];
  expect(told()).toEqual([
    [50, 60, note],
    [60, 60, expect.stringMatching(/^[\d,.]+ rows\/s$/)],
  ]);
});

test('the example of the documentation does what it says, forward and backward', async () => {
  bench = workbench();
  const page = readFileSync(join(import.meta.dirname, '../../../docs/writing-steps.md'), 'utf8');
  const [, example = ''] = /`008_count_words\.ts`:\n\n```ts\n([\s\S]*?)```/.exec(page) ?? [];
  const order = bench.step(
    '002_count_words.ts',
    example.replaceAll("'notes', table", "'app', table").replaceAll("sqlite('notes')", "sqlite('app')"),
  );
  await prepare(`CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes SELECT x, 'one two' FROM ${numbers(2500)};`);
  expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  expect(bench.query('SELECT words, count(*) AS c FROM notes GROUP BY words')).toEqual([{ words: 2, c: 2500 }]);
  expect(bench.logOf(order)).toContain('2500 notes counted');
  expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
  expect(bench.query("SELECT name FROM pragma_table_info('notes')")).toEqual([{ name: 'id' }, { name: 'text' }]);
});
