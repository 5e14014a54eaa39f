// Ladders by hand: up, down, redo, baseline, dry runs, and everything that is refused.
import { readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeLadderHome, table } from './scratch.ts';

const config = `
product: ladders
version: { journal: true }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db } }
`;
const three = { 'db/001_a.sql': table('a'), 'db/002_b.sql': table('b'), 'db/003_c.sql': table('c') };

describe('up and down', () => {
  test('climbs to a height, to the top, one down, to the ground, and says where it stands', async () => {
    const home = makeLadderHome(config, three);
    expect((await home.upgrade('up', '2')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b']);
    expect((await home.upgrade('up')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b', 'c']);
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'nothing-to-do' });
    expect((await home.upgrade('down')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b']);
    expect((await home.upgrade('status', '--json')).json()).toMatchObject({
      state: 'pending',
      ladders: [{ name: 'main', height: 2, latest: 3, pending: 1 }],
    });
    expect((await home.upgrade('down', '0')).code).toBe(0);
    expect(home.tables()).toEqual([]);
  });

  test('the copies that ran run back, whatever lies in the folder now', async () => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up');
    home.write('db/003_c.sql', 'THIS IS NOT SQL');
    rmSync(path.join(home.root, 'db/002_b.sql'));
    expect((await home.upgrade('down', '1')).code).toBe(0);
    expect(home.tables()).toEqual(['a']);
  });

  test('redo takes the last step down and up again, also after it was edited', async () => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up');
    home.write('db/003_c.sql', 'CREATE TABLE c2 (id INTEGER PRIMARY KEY);\n-- backward\nDROP TABLE c2;\n');
    expect((await home.upgrade('redo')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b', 'c2']);
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'nothing-to-do' });
  });

  test('a failing step takes the whole climb back', async () => {
    const home = makeLadderHome(config, { ...three, 'db/004_bad.sql': 'CREATE TABLE d (id INTEGER);\nINSERT INTO nowhere VALUES (1);\n' });
    await home.upgrade('up', '1');
    const ended = await home.upgrade('up', '--json');
    expect(ended.code).toBe(10);
    expect(ended.json()).toMatchObject({ outcome: 'rolled-back', failure: { code: 'STEP_FAILED', step: 'main/004_bad' } });
    expect(home.tables()).toEqual(['a']);
    expect(await home.heights()).toEqual({ main: 1 });
  });

  test('a step of each kind', async () => {
    const home = makeLadderHome(config, {
      'db/1_a.sql': table('a'),
      'db/2_b.ts':
        "import { word } from './words.ts';\nexport default {\n  forward: async ({ sqlite, files }) => { await sqlite('app').exec(`INSERT INTO a VALUES (7)`); await files.write('data/word', word); },\n  backward: async ({ sqlite, files }) => { await sqlite('app').exec('DELETE FROM a'); await files.remove('data/word'); },\n};\n",
      'db/words.ts': "export const word: string = 'ladder';\n",
      'db/3_c.sh': '#!/bin/sh\ncase "$1" in forward) echo "$UPGRADE_STEP" > data/shell;; backward) rm -f data/shell;; esac\n',
      'db/4_d.py':
        "def migrate_forward(root):\n    (root / 'data/python').write_text('yes')\n    return True\n\ndef migrate_backward(root):\n    (root / 'data/python').unlink()\n    return True\n",
    });
    expect((await home.upgrade('up')).code).toBe(0);
    expect(home.query('SELECT id FROM a')).toEqual([{ id: 7 }]);
    expect(home.read('data/word')).toBe('ladder');
    expect(home.read('data/shell')).toBe('main/3_c\n');
    expect(home.read('data/python')).toBe('yes');
    expect((await home.upgrade('down', '1')).code).toBe(0);
    expect(readdirSync(path.join(home.root, 'data'))).toEqual(['app.db']);
    expect(home.query('SELECT id FROM a')).toEqual([]);
  });
});

describe('a dry run', () => {
  test.each([['up'], ['down'], ['redo']] as const)('of %s shows the plan and writes nothing', async (command) => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up', '2');
    const before = readdirSync(path.join(home.root, '.upgrade/runs'));
    const ended = await home.upgrade(command, '--dry-run', '--json');
    expect(ended.code).toBe(0);
    expect(ended.json()).toMatchObject({ ladders: expect.arrayContaining([expect.objectContaining({ name: 'main' })]) });
    expect(readdirSync(path.join(home.root, '.upgrade/runs'))).toEqual(before);
    expect(home.tables()).toEqual(['a', 'b']);
  });

  test('on a new installation makes no state folder and no database', async () => {
    const home = makeLadderHome(config, three);
    expect((await home.upgrade('up', '--dry-run')).code).toBe(0);
    expect(readdirSync(home.root).toSorted()).toEqual(['data', 'db', 'migrations', 'upgrade.yaml']);
    expect(readdirSync(path.join(home.root, 'data'))).toEqual([]);
  });

  test('gives a hash that the run keeps to', async () => {
    const home = makeLadderHome(config, three);
    const { hash } = (await home.upgrade('up', '--dry-run', '--json')).json() as { hash: string };
    home.write('db/003_c.sql', `${table('c')}-- other\n`);
    expect((await home.upgrade('up', '--plan-hash', hash, '--json')).json()).toMatchObject({ failure: { code: 'PLAN_CHANGED' } });
    home.write('db/003_c.sql', table('c'));
    expect((await home.upgrade('up', '--plan-hash', hash)).code).toBe(0);
  });
});

describe('what is refused, with nothing changed', () => {
  test('a step below the height that came late, unless --out-of-order', async () => {
    const home = makeLadderHome(config, { 'db/001_a.sql': table('a'), 'db/005_e.sql': table('e') });
    await home.upgrade('up');
    home.write('db/003_c.sql', table('c'));
    const refused = await home.upgrade('up', '--json');
    expect(refused.code).toBe(3);
    expect(refused.json()).toMatchObject({ outcome: 'refused', failure: { code: 'LADDER_LATE' } });
    expect(home.tables()).toEqual(['a', 'e']);
    expect((await home.upgrade('up', '--out-of-order')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'c', 'e']);
    expect((await home.upgrade('down', '1')).code).toBe(0);
    expect(home.tables()).toEqual(['a']);
  });

  test('an applied step that was edited, unless its checksum is accepted, which is recorded', async () => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up', '2');
    home.write('db/001_a.sql', `-- a comment\n${table('a')}`);
    const refused = await home.upgrade('up', '--json');
    expect(refused.code).toBe(3);
    expect(refused.json()).toMatchObject({ failure: { code: 'LADDER_EDITED' } });
    expect((await home.upgrade('up', '--accept-checksum', 'main/001_x', '--json')).json()).toMatchObject({
      failure: { code: 'LADDER_STEP_UNKNOWN' },
    });
    expect((await home.upgrade('up', '--accept-checksum', 'main/001_a', '--dry-run')).code).toBe(0);
    expect((await home.upgrade('up')).code).toBe(3);
    expect((await home.upgrade('up', '--accept-checksum', 'main/001_a')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b', 'c']);
    const { findings } = (await home.upgrade('up', '--dry-run', '--json')).json() as { findings: { code: string }[] };
    expect(findings.map(({ code }) => code)).toEqual(['LADDER_CHECKSUM_ACCEPTED']);
  });

  test('other line endings are no edit', async () => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up');
    home.write('db/001_a.sql', table('a').replaceAll('\n', '\r\n'));
    expect((await home.upgrade('up', '--json')).json()).toMatchObject({ outcome: 'nothing-to-do' });
  });

  test('two steps with one number', async () => {
    const home = makeLadderHome(config, { ...three, 'db/002_other.sql': table('other') });
    const ended = await home.upgrade('up', '--json');
    expect(ended.code).toBe(3);
    expect(ended.json()).toMatchObject({ failure: { code: 'LADDER_DUPLICATE' } });
    expect(home.tables()).toEqual([]);
  });

  test('a gap between numbers is told, and is no obstacle', async () => {
    const home = makeLadderHome(config, { 'db/001_a.sql': table('a'), 'db/004_d.sql': table('d') });
    const { findings } = (await home.upgrade('up', '--dry-run', '--json')).json() as { findings: { code: string; message: string }[] };
    expect(findings.find(({ code }) => code === 'LADDER_NUMBERS_MISSING')?.message).toContain('2, 3');
    expect((await home.upgrade('up')).code).toBe(0);
  });

  test.each([
    { args: ['up', '9'], code: 'LADDER_HEIGHT_UNKNOWN' },
    { args: ['up', 'nine'], code: 'USAGE' },
    { args: ['up', '1'], code: 'LADDER_ABOVE' },
    { args: ['up', '--ladder', 'mian'], code: 'LADDER_UNKNOWN' },
    { args: ['baseline', '9'], code: 'LADDER_HEIGHT_UNKNOWN' },
  ])('$args', async ({ args, code }) => {
    const home = makeLadderHome(config, three);
    await home.upgrade('up', '2');
    const ended = await home.upgrade(...args, '--json');
    expect(ended.code).toBe(2);
    expect(ended.json()).toMatchObject({ failure: { code } });
  });

  test('a way down without a backward', async () => {
    const home = makeLadderHome(config, { ...three, 'db/003_c.sql': 'CREATE TABLE c (id INTEGER);\n' });
    await home.upgrade('up');
    expect((await home.upgrade('down', '0', '--json')).json()).toMatchObject({ failure: { code: 'LADDER_IRREVERSIBLE' } });
    expect(home.tables()).toEqual(['a', 'b', 'c']);
  });

  test('a height without a name where there are several ladders', async () => {
    const home = makeLadderHome(config.replace('{ main: { dir: db } }', '{ main: { dir: db }, other: { dir: other } }'), {
      ...three,
      'other/001_x.sql': table('x'),
    });
    expect((await home.upgrade('up', '1', '--json')).json()).toMatchObject({ failure: { code: 'LADDER_WHICH' } });
    expect((await home.upgrade('up')).code).toBe(0);
    expect(await home.heights()).toEqual({ main: 3, other: 1 });
  });
});

describe('baseline', () => {
  test('says where a ladder stands without running anything', async () => {
    const home = makeLadderHome(config, three);
    home.query('CREATE TABLE a (id INTEGER PRIMARY KEY)');
    expect((await home.upgrade('baseline', '1', '--dry-run')).code).toBe(0);
    expect(await home.heights()).toEqual({ main: 0 });
    expect((await home.upgrade('baseline', '1')).code).toBe(0);
    expect((await home.upgrade('up')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b', 'c']);
    expect((await home.upgrade('baseline', '2', '--json')).json()).toMatchObject({ from: 3, height: 2, added: [], removed: [3] });
    expect(await home.heights()).toEqual({ main: 2 });
  });
});

test('a folder of steps that is renamed is an error with a place, not an empty ladder', async () => {
  const home = makeLadderHome(config, three);
  await home.upgrade('up');
  renameSync(path.join(home.root, 'db'), path.join(home.root, 'gone'));
  expect((await home.upgrade('up', '--json')).json()).toMatchObject({ failure: { code: 'LADDER_DIR_MISSING' } });
});
