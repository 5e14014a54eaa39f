// Steps that were written for another tool, run as they are.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeModules } from '../../../src/steps/describe.ts';
import { executeOne, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(() => {
  bench = workbench();
});
afterEach(() => bench.dispose());

const body = `db.exec('CREATE TABLE t (a INTEGER, b TEXT)');
  const insert = db.prepare('INSERT INTO t VALUES (?, @b)');
  const both = db.transaction((n) => { db.prepare('INSERT INTO t VALUES (?, ?)').run(n, 'x'); if (n > 1) throw new Error('no'); });
  both(1); both.immediate(0); try { both(2); } catch {}
  if (db.prepare('SELECT count(*) FROM t').pluck().get() !== 2) throw new Error('a savepoint was not taken back');
  if (db.prepare('SELECT b FROM t WHERE a = ?').get(1).b !== 'x' || db.prepare('SELECT a FROM t').all().length !== 2) throw new Error('rows');
  for (const { a } of db.prepare('SELECT a FROM t').iterate()) if (a > 1) throw new Error('rows');
  if (db.pragma('user_version', { simple: true }) !== 0 || db.pragma('foreign_keys', { simple: true }) !== 1) throw new Error('pragma');`;

describe('up(db) and down(db)', () => {
  test.each([
    {
      why: 'named',
      text: `export const version = 1; export const name = 'a'; export function up(db) { ${body} } export function down(db) { db.exec('DROP TABLE t'); }`,
    },
    {
      why: 'by default',
      text: `export default { version: 1, description: 'a', up(db) { ${body} }, down(db) { db.exec('DROP TABLE t'); } };`,
    },
    {
      why: 'named, with the rest by default',
      text: `export const up = async (db) => { ${body} }; export const down = (db) => { db.exec('DROP TABLE t'); }; export default { version: 1 };`,
    },
    { why: 'as CommonJS', text: `module.exports = { version: 1, up(db) { ${body} }, down(db) { db.exec('DROP TABLE t'); } };` },
  ])('$why: applied, reverted, and told of', async ({ text }) => {
    // DROP TABLE in the text has foreign keys off, so the one that reads them says so of its own.
    const order = bench.step(
      '001_a.js',
      text.replace("db.pragma('foreign_keys', { simple: true }) !== 1", "db.pragma('foreign_keys', { simple: true }) !== 0"),
    );
    expect(await describeModules([join(order.dir, '001_a.js')])).toMatchObject([{ hasForward: true, hasBackward: true }]);
    expect((await executeOne(bench, order)).failure).toBeUndefined();
    expect(bench.query('SELECT a, b FROM t ORDER BY a')).toEqual([
      { a: 0, b: 'x' },
      { a: 1, b: 'x' },
    ]);
    expect(await bench.executor.examine(order, bench.run)).toBe('done');
    expect((await executeOne(bench, reverting(order))).failure).toBeUndefined();
    expect(bench.query("SELECT 1 FROM sqlite_schema WHERE name = 't'")).toEqual([]);
  });

  test.each([`db.exec('COMMIT')`, `db.prepare('ROLLBACK').run()`, `db.exec('INSERT INTO nothing VALUES (1)')`])(
    '%s fails, and nothing is left',
    async (end) => {
      const order = bench.step('001_a.js', `export const up = (db) => { db.exec('CREATE TABLE t (a)'); ${end}; };`);
      expect((await executeOne(bench, order)).status).toBe('failed');
      expect(bench.query("SELECT 1 FROM sqlite_schema WHERE name = 't'")).toEqual([]);
    },
  );

  test('a rebuild of a parent table does not empty its children, and dangling rows are refused', async () => {
    const order = bench.step(
      '001_a.js',
      `export const up = (db) => { db.exec('CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)'); };`,
    );
    expect((await executeOne(bench, order)).failure).toBeUndefined();
    const rebuild = bench.step(
      '002_b.js',
      `export const up = (db) => { db.prepare('CREATE TABLE n (id INTEGER PRIMARY KEY, x)').run(); db.exec('INSERT INTO n (id) SELECT id FROM p; DROP TABLE p; ALTER TABLE n RENAME TO p'); };`,
    );
    expect((await executeOne(bench, rebuild)).failure).toBeUndefined();
    expect(bench.query('SELECT p FROM c')).toEqual([{ p: 1 }]);
    const dangling = bench.step('003_c.js', `export const up = (db) => { db.pragma('foreign_keys = OFF'); db.exec('DELETE FROM p'); };`);
    expect((await executeOne(bench, dangling)).failure?.code).toBe('STEP_FOREIGN_KEYS');
    expect(bench.query('SELECT id FROM p')).toEqual([{ id: 1 }]);
  });
});

describe('plain scripts', () => {
  test('a shell script is run with bash, without an argument, whatever its first line and its mode bits say', async () => {
    const order = bench.step(
      '001_a.sh',
      `#!/bin/false\n[[ $# -eq 0 && -n $UPGRADE_ROOT ]] && echo "$UPGRADE_DIRECTION" > "$UPGRADE_ROOT/done"\n`,
      {
        isPlainScript: true,
        backwardFile: '001_a.down.sh',
      },
    );
    chmodSync(join(order.dir, '001_a.sh'), 0o600);
    bench.step('001_a.down.sh', '[ $# -eq 0 ] && echo back > done\n');
    expect((await executeOne(bench, order)).failure).toBeUndefined();
    expect(bench.read('done')).toBe('forward\n');
    expect((await executeOne(bench, reverting(order))).failure).toBeUndefined();
    expect(bench.read('done')).toBe('back\n');
  });

  test('a Python script imports what lies beside it, needs no function, and its exit code counts', async () => {
    const order = bench.step('001_a.py', `import sys\nimport sibling\nopen('done', 'w').write(sibling.word + str(len(sys.argv)))\n`, {
      isPlainScript: true,
    });
    bench.step('sibling.py', "word = 'yes'\n");
    expect((await executeOne(bench, order)).failure).toBeUndefined();
    expect(bench.read('done')).toBe('yes1');
    const failing = bench.step('002_b.py', 'import sys\nsys.exit(3)\n', { isPlainScript: true });
    expect((await executeOne(bench, failing)).failure).toMatchObject({
      code: 'STEP_FAILED',
      message: expect.stringContaining('exit code 3'),
    });
  });
});
