// `upgrade new`: the next numbered step of a transition or a ladder, one that is read as a step, and that fails until somebody writes it.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeSmall } from './installation.ts';

test.each(['ts', 'sql', 'sh', 'py'])('a step of the kind %s is a step', async (kind) => {
  const { upgrade, dir } = makeSmall();
  const { code, stdout } = await upgrade(['new', 'v2.0.0', '2.1.0', 'add_email', '--kind', kind, '--json']);
  expect(code).toBe(0);
  const file = path.join(dir, 'migrations/v2.0.0_to_v2.1.0', `001_add_email.${kind}`);
  expect(JSON.parse(stdout)).toEqual({ file });
  expect((statSync(file).mode & 0o111) !== 0).toBe(kind === 'sh');
  expect(JSON.parse((await upgrade(['check', '--json'])).stdout)).toMatchObject({ problems: [], transitions: 3, steps: 3 });
  const { transitions } = JSON.parse((await upgrade(['plan', '--json'])).stdout);
  expect(transitions.at(-1).steps).toMatchObject([
    { id: 'v2.0.0_to_v2.1.0/001_add_email', kind, description: 'Add email', reversible: true },
  ]);
  const run = await upgrade(['--json']);
  expect(run.code).toBe(10);
  expect(JSON.parse(run.stdout)).toMatchObject({ outcome: 'rolled-back', version: '1.0.0' });
});

test('numbers go on where the folder ends, and ts is the default', async () => {
  const { upgrade, dir } = makeSmall({ files: { 'migrations/v2.0.0_to_v2.1.0/010_first.sh': '#!/bin/sh\n' } });
  expect((await upgrade(['new', '2.0.0', '2.1.0', 'second'])).stdout).toBe('../migrations/v2.0.0_to_v2.1.0/011_second.ts\n');
  expect((await upgrade(['new', '2.0.0', '2.1.0', 'third', '--kind', 'py'])).stdout).toContain('012_third.py');
  expect(readdirSync(path.join(dir, 'migrations/v2.0.0_to_v2.1.0')).toSorted()).toEqual(['010_first.sh', '011_second.ts', '012_third.py']);
});

const ladders =
  'ladders: { main: { dir: db, database: app }, fresh: { dir: fresh, database: app }, system: { index: m/index.json, dir: m/src } }\n';
const files = {
  'inst/db/0007_old.sql': '',
  'inst/m/index.json':
    '{\n    "metadata": { "kept": true },\n    "migrations": [\n        { "id": "00000004", "description": "x", "has_run": true }\n    ]\n}\n',
  'inst/m/src/00000004.sh': '',
};

test.each([
  { args: ['--ladder', 'main', 'add_email'], file: 'db/0008_add_email.sql', holds: 'database: app' },
  { args: ['add_email', '--ladder', 'main', '--kind', 'py'], file: 'db/0008_add_email.py', holds: 'def migrate_forward' },
  { args: ['add_email', '--ladder', 'fresh'], file: 'fresh/001_add_email.sql', holds: '-- backward' },
  { args: ['add_email', '--ladder', 'system'], file: 'm/src/00000005.sh', holds: '#!/bin/bash' },
  { args: ['add_email', '--ladder', 'system', '--kind', 'py'], file: 'm/src/00000005.py', holds: 'SystemExit' },
])('in a ladder: $args', async ({ args, file, holds }) => {
  const { upgrade, root } = makeSmall({ config: ladders, files });
  const { code, stdout } = await upgrade(['new', ...args, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).file).toBe(path.join(root, file));
  expect(readFileSync(path.join(root, file), 'utf8')).toContain(holds);
  const index = readFileSync(path.join(root, 'm/index.json'), 'utf8');
  if (!file.startsWith('m/')) expect(index).toBe(files['inst/m/index.json']);
  else
    expect(JSON.parse(index)).toEqual({
      metadata: { kept: true },
      migrations: [
        { id: '00000004', description: 'x', has_run: true },
        { id: '00000005', description: 'add email', has_run: false },
      ],
    });
});

test('an index ladder has scripts alone', async () => {
  const { upgrade } = makeSmall({ config: ladders, files });
  const { code, stdout } = await upgrade(['new', 'x', '--ladder', 'system', '--kind', 'sql', '--json']);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ failure: { code: 'NEW_STEP_KIND', hint: expect.stringContaining('sh, py') } });
});
