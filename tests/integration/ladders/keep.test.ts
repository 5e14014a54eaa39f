// `onFailure: keep`: the failing step's own changes are undone, the steps before it stay, the next run tries again from there.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeLadderHome } from './scratch.ts';

const config = `
product: scripts
version: { journal: true }
ladders: { system: { index: modules/index.json, dir: modules/src } }
backup: { include: [etc, modules] }
`;
const entry = (id: string, more: Readonly<Record<string, unknown>> = {}) => ({ id, description: `step ${id}`, has_run: false, ...more });
const index = (...entries: readonly object[]): string => JSON.stringify({ metadata: { version: 1 }, migrations: entries }, null, 2);

const files = {
  // The order of the array counts, not the ids.
  'modules/index.json': index(entry('00000002'), entry('00000001'), entry('00000003'), entry('00000004')),
  'modules/src/00000002.sh': 'set -euo pipefail\nlist=(two)\necho "${list[0]}" >> etc/order\n',
  'modules/src/00000001.py': "from helper import word\nopen('etc/order', 'a').write(word + '\\n')\n",
  'modules/src/helper.py': "word = 'one'\n",
  // Does half of its work, and fails until somebody mends the cause.
  'modules/src/00000003.sh':
    'echo half >> etc/order\necho changed > etc/kept\nmkdir -p etc/new\ntouch etc/new/file\ntest -e etc/ready || exit 1\necho three >> etc/order\n',
  'modules/src/00000004.sh': 'echo four >> etc/order\n',
  'etc/kept': 'as it was\n',
};

const firstTwo = 'two\none\n';

describe('a failing step', () => {
  test('stops the ladder, is taken back exactly, and is tried again by the next run', async () => {
    const home = makeLadderHome(config, files);
    const stopped = await home.upgrade('up', '--json');
    expect(stopped.code).toBe(11);
    expect(stopped.json()).toMatchObject({
      outcome: 'stopped',
      failure: { code: 'STEP_FAILED', step: 'system/00000003' },
      steps: [
        { id: 'system/00000002', status: 'applied' },
        { id: 'system/00000001', status: 'applied' },
        { id: 'system/00000003' },
        { id: 'system/00000004', status: 'not-run' },
      ],
    });
    expect(home.read('etc/order')).toBe(firstTwo);
    expect(home.read('etc/kept')).toBe('as it was\n');
    expect(existsSync(path.join(home.root, 'etc/new'))).toBe(false);
    expect((await home.upgrade('status', '--json')).json()).toMatchObject({ ladders: [{ height: 1, latest: 4, pending: 2 }], run: null });
    // Nothing has changed: it stops at the same step, and nothing is done twice.
    expect((await home.upgrade('up')).code).toBe(11);
    expect(home.read('etc/order')).toBe(firstTwo);
    home.write('etc/ready', '');
    expect((await home.upgrade('up')).code).toBe(0);
    expect(home.read('etc/order')).toBe(`${firstTwo}half\nthree\nfour\n`);
    expect(home.read('modules/index.json')).toBe(files['modules/index.json']);
  });

  test('that is the first leaves everything as it was', async () => {
    const home = makeLadderHome(config, { ...files, 'modules/index.json': index(entry('00000003'), entry('00000002')) });
    expect((await home.upgrade('up')).code).toBe(11);
    expect(existsSync(path.join(home.root, 'etc/order'))).toBe(false);
    expect(home.read('etc/kept')).toBe('as it was\n');
  });

  test('of SQL needs no backup of its own: its transaction takes it back', async () => {
    const home = makeLadderHome(
      `
product: kept
version: { journal: true }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db, onFailure: keep } }
`,
      {
        'db/001_a.sql': 'CREATE TABLE a (id INTEGER);',
        'db/002_b.sql': 'CREATE TABLE b (id INTEGER); INSERT INTO nowhere VALUES (1);',
        'db/003_c.sql': 'CREATE TABLE c (id INTEGER);',
      },
    );
    expect((await home.upgrade('up')).code).toBe(11);
    expect(home.tables()).toEqual(['a']);
    home.write('db/002_b.sql', 'CREATE TABLE b (id INTEGER);');
    expect((await home.upgrade('up')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b', 'c']);
  });
});

describe('an index', () => {
  test('that names a dependency which comes later, or is not there, is refused', async () => {
    const home = makeLadderHome(config, {
      ...files,
      'modules/index.json': index(entry('00000002', { depends_on: ['00000001'] }), entry('00000001', { depends_on: ['00000009'] })),
    });
    const ended = await home.upgrade('up', '--json');
    expect(ended.code).toBe(3);
    const { failures } = ended.json() as { failures: { message: string }[] };
    expect(failures.map(({ message }) => message).join('\n')).toMatch(/00000001[\s\S]*00000009/);
    expect(existsSync(path.join(home.root, 'etc/order'))).toBe(false);
  });

  test('that is damaged is no empty ladder', async () => {
    const home = makeLadderHome(config, { ...files, 'modules/index.json': '{ "migrations": [ { "id": "00000001"' });
    const ended = await home.upgrade('up', '--json');
    expect(ended.json()).toMatchObject({ failure: { code: 'LADDER_INDEX_UNREADABLE' } });
    expect(ended.code).not.toBe(0);
  });
});
