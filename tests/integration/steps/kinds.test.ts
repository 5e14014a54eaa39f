import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { executeOne, reverting, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(() => {
  bench = workbench({ secrets: ['hunter2'] });
});
afterEach(() => bench.dispose());

const steps = {
  'ts through defineStep': {
    file: '001_a.ts',
    text: `import { defineStep } from 'rungs';
      export default defineStep({
        forward: async ({ sqlite }) => { const n: number = 1; await sqlite('app').exec('CREATE TABLE t (a)'); await sqlite('app').run('INSERT INTO t VALUES (?)', n); },
        backward: async ({ sqlite }) => { await sqlite('app').exec('DROP TABLE t'); },
      });`,
  },
  'js as an ES module': {
    file: '001_a.js',
    text: `export async function forward({ sqlite }) { await sqlite('app').exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)'); }
      export async function backward({ sqlite }) { await sqlite('app').exec('DROP TABLE t'); }`,
  },
  'js as CommonJS': {
    file: '001_a.js',
    text: `module.exports = { forward: ({ sqlite }) => sqlite('app').exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)'), backward: ({ sqlite }) => sqlite('app').exec('DROP TABLE t') };`,
  },
  sql: { file: '001_a.sql', text: '-- forward\nCREATE TABLE t (a);\nINSERT INTO t VALUES (1);\n-- backward\nDROP TABLE t;\n' },
  'sh without a #! line': {
    file: '001_a.sh',
    text: `if [ "$1" = forward ]; then python3 -c "import sqlite3,os; c=sqlite3.connect(os.environ['UPGRADE_DB_APP']); c.execute('create table t (a)'); c.execute('insert into t values (1)'); c.commit()"; else python3 -c "import sqlite3,os; c=sqlite3.connect(os.environ['UPGRADE_DB_APP']); c.execute('drop table t'); c.commit()"; fi\n`,
  },
  py: {
    file: '001_a.py',
    text: `import os, sqlite3, pathlib
def migrate_forward(project_root):
    assert isinstance(project_root, pathlib.Path) and project_root == pathlib.Path.cwd()
    c = sqlite3.connect(project_root / 'data/app.db'); c.execute('create table t (a)'); c.execute('insert into t values (1)'); c.commit()
    return True
def migrate_backward(project_root):
    c = sqlite3.connect(project_root / 'data/app.db'); c.execute('drop table t'); c.commit()
    return True
`,
  },
};

describe('a step of each kind is applied and reverted', () => {
  test.each(Object.entries(steps))('%s', async (_, { file, text }) => {
    const order = bench.step(file, text);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    expect(bench.query('SELECT a FROM t')).toEqual([{ a: 1 }]);
    expect(await executeOne(bench, reverting(order))).toMatchObject({ status: 'done' });
    expect(bench.query("SELECT name FROM sqlite_schema WHERE name = 't'")).toEqual([]);
    await bench.executor.removeMarkers(bench.run);
    expect(bench.query('SELECT name FROM sqlite_schema')).toEqual([]);
  });
});
