// A database file that a step copies or replaces: what the steps before it wrote must be in the copy, what those after it write in the new file.
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { executeOne, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(() => {
  bench = workbench();
  const database = new DatabaseSync(join(bench.root, 'data/app.db'));
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)');
  database.close();
});
afterEach(() => bench.dispose());

const insert = (value: number): string => `-- forward\nINSERT INTO t VALUES (${value});\n-- backward\nDELETE FROM t WHERE a = ${value};\n`;
const module = (body: string): string => `export async function forward({ sqlite, files, exec, root }) { ${body} }`;

// As its authors would do it: with SQLite, so that what lies in a WAL is copied too.
const rebuild =
  "import os, sqlite3; c = sqlite3.connect('data/app.db'); c.execute(\"vacuum into 'data/next.db'\"); c.close(); n = sqlite3.connect('data/next.db'); n.execute('create table made (a)'); n.commit(); n.close(); os.replace('data/next.db', 'data/app.db')";

describe.each([
  { kind: 'a shell step', file: '002_copy.sh', text: `#!/bin/sh\npython3 -c "${rebuild.replaceAll('"', '\\"')}"\n` },
  { kind: 'a Python step', file: '002_copy.py', text: `def migrate_forward(root):\n    ${rebuild}\n    return True\n` },
  {
    kind: 'a quick module step',
    file: '002_copy.js',
    text: module(
      `const { DatabaseSync } = require('node:sqlite'); const c = new DatabaseSync('data/app.db'); c.exec("vacuum into 'data/next.db'"); c.close(); const n = new DatabaseSync('data/next.db'); n.exec('create table made (a)'); n.close(); require('node:fs').renameSync('data/next.db', 'data/app.db');`,
    ).replace('export async function', 'exports.forward = async function'),
  },
  {
    kind: 'a module step that runs a command',
    file: '002_copy.js',
    text: module(`await exec('python3', ['-c', ${JSON.stringify(rebuild)}]);`),
  },
])('$kind that rebuilds the database in another file and puts that in its place', ({ file, text }) => {
  test.each([
    { after: 'an SQL step', next: { file: '003_c.sql', text: insert(3) } },
    { after: 'a module step', next: { file: '003_c.js', text: module("await sqlite('app').run('INSERT INTO t VALUES (3)');") } },
  ])('loses nothing that was written before it, nor what $after writes after it', async ({ next }) => {
    const outcomes = await bench.executor.execute(
      [bench.step('001_a.sql', insert(1)), bench.step(file, text), bench.step(next.file, next.text)],
      bench.run,
    );
    expect(outcomes).toMatchObject([{ status: 'done' }, { status: 'done' }, { status: 'done' }]);
    await bench.executor.close();
    expect(bench.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 3 }]);
    expect(bench.query("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'made'")).toEqual([{ n: 1 }]);
  });
});

test('a step that replaces the database which it writes to itself fails: what it wrote would be lost', async () => {
  const text = module(
    "await sqlite('app').run('INSERT INTO t VALUES (1)'); await exec('cp', ['data/app.db', 'data/next.db']); await exec('mv', ['data/next.db', 'data/app.db']);",
  );
  expect(await executeOne(bench, bench.step('001_a.js', text))).toMatchObject({
    status: 'failed',
    failure: { code: 'STEP_DATABASE_REPLACED' },
  });
});
