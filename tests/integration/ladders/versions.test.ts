// Ladders and versions: `transition.yaml` names heights, so that an upgrade climbs them, and a rollback or a downgrade climbs them down.
import { readdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeLadderHome, table } from './scratch.ts';

const config = `
product: both
version: { file: VERSION }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db } }
`;
const files = {
  VERSION: '0.1.0\n',
  'db/001_a.sql': table('a'),
  'db/002_b.sql': table('b'),
  'db/003_c.sql': table('c'),
  'db/004_d.sql': table('d'),
  'migrations/v0.1.0_to_v0.2.0/transition.yaml': 'ladders: { main: 2 }\n',
  // Steps find the schema of their own version.
  'migrations/v0.1.0_to_v0.2.0/001_fill.sql': 'INSERT INTO b VALUES (1);\n-- backward\nDELETE FROM b;\n',
  'migrations/v0.2.0_to_v0.3.0/transition.yaml': 'ladders: { main: 3 }\n',
  'migrations/v0.2.0_to_v0.3.0/001_fill.sql': 'INSERT INTO c VALUES (1);\n-- backward\nDELETE FROM c;\n',
};

describe('an upgrade', () => {
  test('climbs to the heights of its versions, each before the steps of that version, and the plan says so', async () => {
    const home = makeLadderHome(config, files);
    const plan = (await home.upgrade('plan', '--json')).json();
    expect(plan).toMatchObject({
      ladders: [
        { name: 'main', from: 0, height: 2, steps: [{ id: 'main/001_a' }, { id: 'main/002_b' }] },
        { name: 'main', from: 2, height: 3, steps: [{ id: 'main/003_c' }] },
      ],
    });
    expect((await home.upgrade()).code).toBe(0);
    expect(home.read('VERSION')).toBe('0.3.0\n');
    expect(home.tables()).toEqual(['a', 'b', 'c']);
    expect(await home.heights()).toEqual({ main: 3 });
  });

  test('that fails in its last step climbs them down again', async () => {
    const home = makeLadderHome(config, { ...files, 'migrations/v0.2.0_to_v0.3.0/002_bad.sh': '#!/bin/sh\nexit 1\n' });
    await home.upgrade('up', '1');
    home.query('INSERT INTO a VALUES (41)');
    const ended = await home.upgrade('--json');
    expect(ended.code).toBe(10);
    expect(ended.json()).toMatchObject({ outcome: 'rolled-back', restored: [] });
    expect(home.tables()).toEqual(['a']);
    expect(home.query('SELECT id FROM a')).toEqual([{ id: 41 }]);
    expect(await home.heights()).toEqual({ main: 1 });
    expect(home.read('VERSION')).toBe('0.1.0\n');
  });

  test('keeps the copies of each climb apart, also of steps that came late and leave the height as it is', async () => {
    const home = makeLadderHome(config, { ...files, 'db/002_b.sql': '', 'db/003_c.sql': '' });
    for (const late of ['db/002_b.sql', 'db/003_c.sql']) rmSync(path.join(home.root, late));
    await home.upgrade('up');
    home.write('db/002_b.sql', table('b'));
    home.write('db/003_c.sql', table('c'));
    // What leads nowhere is nobody's helper.
    symlinkSync('nowhere', path.join(home.root, 'db/gone.json'));
    expect((await home.upgrade('--out-of-order', '--json')).json()).toMatchObject({ outcome: 'committed' });
    expect(home.tables()).toEqual(['a', 'b', 'c', 'd']);
    const runs = path.join(home.root, '.upgrade/runs');
    const folders = readdirSync(path.join(runs, readdirSync(runs).toSorted().at(-1) ?? '', 'steps')).filter((name) => name.includes('@'));
    expect(folders.toSorted()).toEqual(['main@2', 'main@3']);
  });

  test('leaves a ladder alone that stands higher already', async () => {
    const home = makeLadderHome(config, files);
    await home.upgrade('up');
    expect((await home.upgrade('--to', '0.2.0')).code).toBe(0);
    expect(await home.heights()).toEqual({ main: 4 });
  });

  test('is refused where a height is no step', async () => {
    const home = makeLadderHome(config, { ...files, 'migrations/v0.2.0_to_v0.3.0/transition.yaml': 'ladders: { main: 9 }\n' });
    const ended = await home.upgrade('--json');
    expect(ended.code).toBe(2);
    expect(ended.json()).toMatchObject({ failure: { code: 'LADDER_HEIGHT_UNKNOWN' } });
    expect(home.read('VERSION')).toBe('0.1.0\n');
  });
});

describe('a downgrade', () => {
  test('climbs down to the height of the version below, and to what was there before the first', async () => {
    const home = makeLadderHome(config, files);
    await home.upgrade('up', '1');
    await home.upgrade();
    expect((await home.upgrade('--to', '0.2.0', '--allow-downgrade')).code).toBe(0);
    expect(home.tables()).toEqual(['a', 'b']);
    expect(home.query('SELECT id FROM b')).toEqual([{ id: 1 }]);
    expect((await home.upgrade('--to', '0.1.0', '--allow-downgrade')).code).toBe(0);
    expect(home.tables()).toEqual(['a']);
    expect(await home.heights()).toEqual({ main: 1 });
    expect(home.read('VERSION')).toBe('0.1.0\n');
  });
});
