import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { acquireLock } from '../../../src/lock/lock.ts';
import { describeModules } from '../../../src/steps/describe.ts';
import { executeOne, hostPid, reverting, until, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.dispose());

const slowInsert = (table: string): string =>
  `INSERT INTO ${table} SELECT x FROM (WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000000) SELECT x FROM c WHERE x % 1000000 = 0);`;

describe('a step host that is killed', () => {
  test('in the middle of SQL steps: what was committed is done, the next one failed, and examine says so of each', async () => {
    bench = workbench();
    const orders = [1, 2, 3, 4].map((n) =>
      bench.step(
        `00${n}_s.sql`,
        `-- forward\nCREATE TABLE t${n} (a);\n${n === 3 ? slowInsert('t3') : ''}\n-- backward\nDROP TABLE t${n};\n`,
      ),
    );
    const running = bench.executor.execute(orders, bench.run);
    await until('two steps are committed', () => existsSync(join(bench.root, 'data/app.db')) && committed() === 2);
    process.kill(hostPid() ?? 0, 'SIGKILL');
    const outcomes = await running;
    expect(outcomes.map(({ status, failure }) => [status, failure?.code])).toEqual([
      ['done', undefined],
      ['done', undefined],
      ['failed', 'STEP_KILLED'],
    ]);
    const verdicts = await Promise.all(orders.map((order) => bench.executor.examine(order, bench.run)));
    expect(verdicts).toEqual(['done', 'done', 'not-done', 'not-done']);
    // The executor starts another host.
    expect((await bench.executor.execute(orders.slice(2), bench.run)).map(({ status }) => status)).toEqual(['done', 'done']);
    const backwards = orders.map(reverting).toReversed();
    expect(await bench.executor.examine(backwards[0] ?? reverting(bench.step('x.sql', '')), bench.run)).toBe('not-done');
    expect((await bench.executor.execute(backwards, bench.run)).map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
    for (const order of backwards) expect(await bench.executor.examine(order, bench.run)).toBe('done');
    await bench.executor.removeMarkers(bench.run);
    expect(bench.query('SELECT name FROM sqlite_schema')).toEqual([]);
  });

  function committed(): number {
    const db = new DatabaseSync(join(bench.root, 'data/app.db'), { readOnly: true, timeout: 1000 });
    try {
      return Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name LIKE 't_'").get()?.['n']);
    } finally {
      db.close();
    }
  }

  test.each([
    {
      why: 'before its transaction is committed',
      body: `await sqlite('app').exec('CREATE TABLE t (a)'); process.kill(process.pid, 'SIGKILL');`,
      verdict: 'not-done',
    },
    {
      why: 'after files were changed too',
      body: `await files.write('x', '1'); await sqlite('app').exec('CREATE TABLE t (a)'); process.kill(process.pid, 'SIGKILL');`,
      verdict: 'partial',
    },
    { why: 'with no database in use', body: `await files.write('x', '1'); process.kill(process.pid, 'SIGKILL');`, verdict: 'unknown' },
  ])('in a module step, $why: $verdict', async ({ body, verdict }) => {
    bench = workbench();
    const order = bench.step(
      '001_a.ts',
      `export const forward = async ({ sqlite, files }) => { ${body} await new Promise(() => setInterval(() => {}, 1000)); };`,
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'failed', failure: { code: 'STEP_KILLED' } });
    expect(await bench.executor.examine(order, bench.run)).toBe(verdict);
    await bench.executor.undoRecorded(order, bench.run);
    expect([existsSync(join(bench.root, 'x')), bench.query("SELECT 1 FROM sqlite_schema WHERE name = 't'")]).toEqual([false, []]);
  });

  test('after the marker was committed: the step is done', async () => {
    bench = workbench();
    // Killed by its own exit listener, when the half has long been committed.
    const order = bench.step(
      '001_a.ts',
      `export const forward = async ({ sqlite }) => { await sqlite('app').exec('CREATE TABLE t (a)'); const end = Date.now() + 50; const t = setInterval(() => { if (Date.now() > end) { const { DatabaseSync } = process.getBuiltinModule('node:sqlite'); try { const db = new DatabaseSync('data/app.db', { timeout: 0 }); db.exec('BEGIN IMMEDIATE'); db.close(); process.kill(process.pid, 'SIGKILL'); } catch {} } }, 1); };`,
    );
    const outcome = await executeOne(bench, order);
    expect(outcome.status).toBe('done');
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
  });
});

describe('check() decides where there is no marker', () => {
  test.each([
    { state: `'applied'`, apply: 'done', revert: 'not-done' },
    { state: `'not-applied'`, apply: 'not-done', revert: 'done' },
    { state: `'partial'`, apply: 'partial', revert: 'partial' },
    { state: `'nonsense'`, apply: 'unknown', revert: 'unknown' },
  ])('$state', async ({ state, apply, revert }) => {
    bench = workbench();
    const order = bench.step('001_a.ts', `export default { check: async () => ${state}, forward: () => {}, backward: () => {} };`, {
      hasCheck: true,
    });
    expect([await bench.executor.examine(order, bench.run), await bench.executor.examine(reverting(order), bench.run)]).toEqual([
      apply,
      revert,
    ]);
  });

  test('one that throws, and a step without one, are unknown', async () => {
    bench = workbench();
    const throwing = bench.step('001_a.ts', `export default { check: async () => { throw new Error('no'); }, forward: () => {} };`, {
      hasCheck: true,
    });
    expect(await bench.executor.examine(throwing, bench.run)).toBe('unknown');
    expect(bench.events).toContainEqual({ type: 'warning', message: expect.stringContaining('no') });
    for (const [file, text] of [
      ['002_b.ts', 'export const forward = () => {};'],
      ['003_c.sh', 'exit 0\n'],
      ['004_d.py', ''],
    ] as const) {
      expect(await bench.executor.examine(bench.step(file, text), bench.run)).toBe('unknown');
    }
    expect(await bench.executor.examine(bench.step('005_e.sql', '', { transaction: false }), bench.run)).toBe('unknown');
  });
});

describe('checkpoints', () => {
  const rows = 60;
  const split = `export const forward = async ({ sqlite, checkpoint }) => {
    const db = sqlite('app');
    let done = checkpoint.value ?? 0;
    while (done < ${rows}) {
      for (let i = 0; i < 5; i++) { done += 1; await db.run('INSERT INTO copy SELECT a FROM source WHERE a = ?', done); if (done === Number(process.env.KILL_AT)) process.kill(process.pid, 'SIGKILL'); }
      await checkpoint.save(done);
    }
  };`;

  test('batches that are killed and taken up again give every row exactly once', async () => {
    bench = workbench();
    const setup = bench.step(
      '001_setup.sql',
      `CREATE TABLE source (a); CREATE TABLE copy (a); INSERT INTO source WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${rows}) SELECT x FROM c;`,
    );
    await executeOne(bench, setup);
    await bench.executor.close();
    const order = bench.step('002_split.ts', split);
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(false);
    for (const killAt of [3, 7, 15, 16, 34, 60]) {
      process.env['KILL_AT'] = String(killAt);
      expect((await executeOne(bench, order)).failure).toMatchObject({ code: 'STEP_KILLED' });
      expect(bench.query('SELECT count(*) AS n FROM copy')).toEqual([{ n: Math.floor((killAt - 1) / 5) * 5 }]);
      expect(await bench.executor.examine(order, bench.run)).toBe('not-done');
      expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(killAt > 5);
    }
    delete process.env['KILL_AT'];
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.query('SELECT count(*) AS n, count(DISTINCT a) AS d, sum(a) AS s FROM copy')).toEqual([
      { n: rows, d: rows, s: (rows * (rows + 1)) / 2 },
    ]);
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(false);
  });

  test('a step with no database keeps its checkpoint in the run folder', async () => {
    bench = workbench();
    const order = bench.step(
      '001_a.ts',
      `import { appendFileSync } from 'node:fs'; export const forward = async ({ checkpoint }) => { appendFileSync('seen', JSON.stringify(checkpoint.value ?? null) + '\\n'); await checkpoint.save({ at: 7 }); if (checkpoint.value.at === 7 && process.env.FAIL_IT) throw new Error('now'); };`,
    );
    process.env['FAIL_IT'] = '1';
    expect(await executeOne(bench, order)).toMatchObject({ status: 'failed' });
    expect(await bench.executor.hasCheckpoint(order, bench.run)).toBe(true);
    delete process.env['FAIL_IT'];
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.read('seen')).toBe('null\n{"at":7}\n');
  });
});

describe('SQL on SQLite', () => {
  test('empty halves, comments and triggers are fine', async () => {
    bench = workbench();
    const trigger = `-- a ; comment\nCREATE TABLE a (x); /* ; */ CREATE TRIGGER tr AFTER INSERT ON a BEGIN UPDATE a SET x = CASE WHEN x > 1 THEN 2 ELSE ';' END; DELETE FROM a WHERE x = 9; END;\nINSERT INTO a VALUES (9), (1)`;
    const orders = [
      bench.step('001_a.sql', trigger),
      bench.step('002_b.sql', ''),
      bench.step('003_c.sql', '-- forward\n-- nothing\n-- backward\n'),
    ];
    expect((await bench.executor.execute(orders, bench.run)).map(({ status, failure }) => failure?.message ?? status)).toEqual([
      'done',
      'done',
      'done',
    ]);
    expect(bench.query('SELECT x FROM a')).toEqual([{ x: 2 }, { x: ';' }]);
  });

  test('a table is rebuilt without emptying those that refer to it', async () => {
    bench = workbench();
    const before = bench.step(
      '001_a.sql',
      `CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);`,
    );
    const rebuild = bench.step(
      '002_b.sql',
      `CREATE TABLE p2 (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO p2 SELECT id, 'x' FROM p; DROP TABLE p; ALTER TABLE p2 RENAME TO p;`,
    );
    expect((await bench.executor.execute([before, rebuild], bench.run)).map(({ status, failure }) => failure?.message ?? status)).toEqual([
      'done',
      'done',
    ]);
    expect(bench.query('SELECT p FROM c')).toEqual([{ p: 1 }]);
  });

  test('.up.sql and .down.sql', async () => {
    bench = workbench();
    bench.step('001_a.down.sql', 'DROP TABLE t;');
    const order = bench.step('001_a.up.sql', 'CREATE TABLE t (a);', { backwardFile: '001_a.down.sql' });
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(bench.query("SELECT 1 FROM sqlite_schema WHERE name = 't'")).toEqual([]);
  });

  test('a database that another process keeps locked is named', async () => {
    bench = workbench();
    const db = new DatabaseSync(join(bench.root, 'data/app.db'));
    db.exec('BEGIN IMMEDIATE; CREATE TABLE other (a)');
    const { failure } = await executeOne(bench, bench.step('001_a.sql', 'CREATE TABLE t (a);'));
    db.exec('COMMIT');
    db.close();
    expect(failure).toMatchObject({ code: 'STEP_DATABASE_BUSY', message: expect.stringContaining('app') });
  });

  test('a module step is one transaction over each database, and its marker is in both', async () => {
    const root = mkdtempSync(join(tmpdir(), 'rungs-two-'));
    bench = workbench({
      root,
      databases: { one: { kind: 'sqlite', file: join(root, 'data/one.db') }, two: { kind: 'sqlite', file: join(root, 'data/two.db') } },
    });
    const order = bench.step(
      '001_a.ts',
      `export const forward = async ({ sqlite }) => { await sqlite('one').exec('CREATE TABLE t (a)'); await sqlite('two').exec('CREATE TABLE t (a)'); }; export const backward = async ({ sqlite }) => { await sqlite('one').exec('DROP TABLE t'); await sqlite('two').exec('DROP TABLE t'); };`,
    );
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    // As if the process had been killed between the two commits.
    const db = new DatabaseSync(join(root, 'data/two.db'));
    db.exec('DELETE FROM _rungs_marker');
    db.close();
    expect(await bench.executor.examine(order, bench.run)).toBe('partial');
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(await bench.executor.examine(reverting(order), bench.run)).toBe('done');
  });
});

test('a step that still runs keeps the lock of its dead orchestrator, and is named by its id', async () => {
  bench = workbench();
  const script = join(import.meta.dirname, '../../fixtures/steps/orchestrator.ts');
  for (const kind of ['sh', 'ts', 'sql'] as const) {
    const orchestrator = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, bench.root, kind], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const dead = new Promise((done) => orchestrator.once('exit', done));
    await until(`the ${kind} step runs`, () => existsSync(join(bench.root, `started-${kind}`)));
    if (kind === 'sql') await until('its transaction is open', () => isLocked(bench));
    process.kill(orchestrator.pid ?? 0, 'SIGKILL');
    await dead;
    const who = { pid: process.pid, host: 'here', since: '2030-01-01T00:00:00.000Z' };
    const refused = await acquireLock(join(bench.root, '.upgrade'), who);
    if (!('holder' in refused)) throw new Error('the lock was free');
    expect(refused.holder.pid).not.toBe(orchestrator.pid);
    if (kind !== 'sql') expect(refused.holder.step).toBe(`v0.1.0_to_v0.2.0/001_${kind}`);
    // It goes to its end, and no other is begun.
    await until('the lock is free', () => !existsSync(`/proc/${refused.holder.pid}`), 60_000);
    const lock = await acquireLock(join(bench.root, '.upgrade'), who);
    if ('holder' in lock) throw new Error(`still held by ${JSON.stringify(lock.holder)}`);
    lock.release();
    expect([existsSync(join(bench.root, `ended-${kind}`)), existsSync(join(bench.root, `second-${kind}`))]).toEqual([
      kind !== 'sql',
      false,
    ]);
  }
  expect(bench.query("SELECT name FROM sqlite_schema WHERE name LIKE 's_'")).toEqual([{ name: 's1' }]);
});

/** Somebody is writing. */
function isLocked({ config }: Workbench): boolean {
  const database = config.databases['app'];
  if (database?.kind !== 'sqlite') throw new Error('no SQLite database');
  const db = new DatabaseSync(database.file, { timeout: 0 });
  try {
    db.exec('BEGIN IMMEDIATE');
    db.exec('ROLLBACK');
    return false;
  } catch {
    return true;
  } finally {
    db.close();
  }
}

describe('module steps describe themselves', () => {
  test('data, halves and failures, in order', async () => {
    bench = workbench();
    const file = (name: string, text: string): string => join(bench.step(name, text).dir, name);
    const files = [
      file(
        '001_a.ts',
        `import { defineStep } from 'rungs';\nexport default defineStep({ description: 'one', requiresRestart: ['api'], timeout: '10m', check: async () => 'applied' as const, forward: () => {}, backward: () => {} });`,
      ),
      file('002_b.js', `module.exports = { description: 'two', forward() {} };`),
      file('003_c.ts', `export const forward = (;`),
      file('004_d.mjs', `export const description = 'four'; export function forward() {}`),
    ];
    expect(await describeModules(files)).toEqual([
      { metadata: { description: 'one', requiresRestart: ['api'], timeout: '10m' }, hasForward: true, hasBackward: true, hasCheck: true },
      { metadata: { description: 'two' }, hasForward: true, hasBackward: false, hasCheck: false },
      expect.objectContaining({ code: 'STEP_SYNTAX' }),
      { metadata: { description: 'four' }, hasForward: true, hasBackward: false, hasCheck: false },
    ]);
  });

  test('a file that ends the process while it is loaded is found among others', async () => {
    bench = workbench();
    const file = (name: string, text: string): string => join(bench.step(name, text).dir, name);
    const files = [
      file('001_a.ts', `export const forward = () => {};`),
      file('002_b.ts', `process.exit(0);`),
      file('003_c.ts', `export const forward = () => {};`),
    ];
    expect((await describeModules(files)).map((answer) => ('code' in answer ? answer.code : 'ok'))).toEqual(['ok', 'STEP_LOAD', 'ok']);
  });
});

test('nothing of a closed executor is left behind', async () => {
  bench = workbench();
  await executeOne(bench, bench.step('001_a.ts', `export const forward = ({ sqlite }) => sqlite('app').exec('PRAGMA user_version = 3');`));
  const pid = hostPid();
  expect(pid).not.toBeNull();
  await bench.executor.close();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(bench.root);
    } catch {
      return false;
    }
  });
  expect(open).toEqual([]);
  rmSync(join(bench.root, 'data'), { recursive: true });
});
