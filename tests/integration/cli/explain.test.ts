import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { failures } from '../../../src/model/failure.ts';
import { executable, makeSmall } from './installation.ts';

const repository = path.dirname(path.dirname(executable));

test('explain tells what a code means, what has happened and what to do, also where there is no installation', async () => {
  const { upgrade } = makeSmall();
  const { code, stdout } = await upgrade(['explain', 'STEP_IN_DOUBT'], { cwd: '/' });
  expect(code).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "STEP_IN_DOUBT  Lock, journal and runs

    A step was interrupted, nothing tells whether it took effect, and it does not
    say that it may be run again.

    Installation  Put back and compared with the backup (exit 10).
    Do            Give the step a check(), or idempotent: true. See Writing steps
                  (docs/writing-steps.md#when-a-step-is-interrupted).
    "
  `);
});

test('small letters and dashes are understood, and a slip gets the nearest code', async () => {
  const { upgrade } = makeSmall();
  expect((await upgrade(['explain', 'lock-held'])).stdout).toMatch(/^LOCK_HELD {2}/);
  const { code, stderr } = await upgrade(['explain', 'LOCK_HEDL']);
  expect(code).toBe(2);
  expect(stderr).toContain('Did you mean "LOCK_HELD"?');
});

test('without a code all are listed', async () => {
  const { upgrade } = makeSmall();
  const { stdout } = await upgrade(['explain']);
  expect([...stdout.matchAll(/^ {2}([A-Z_]+)/gm)].map(([, code = '']) => code).toSorted()).toEqual(Object.keys(failures).toSorted());
  const document = JSON.parse((await upgrade(['explain', '--json'])).stdout) as readonly { readonly code: string }[];
  expect(document.map(({ code }) => code).toSorted()).toEqual(Object.keys(failures).toSorted());
});

test('a package without its docs has the page all the same', async () => {
  const { dir, upgrade } = makeSmall();
  const copy = path.join(dir, 'package');
  mkdirSync(copy);
  for (const part of ['bin', 'dist', 'package.json']) cpSync(path.join(repository, part), path.join(copy, part), { recursive: true });
  symlinkSync(path.join(repository, 'node_modules'), path.join(copy, 'node_modules'));
  const { code, stdout } = await upgrade(['explain', 'LOCK_HELD'], { program: path.join(copy, 'bin/upgrade.mjs') });
  expect({ code, first: stdout.slice(0, 9) }).toEqual({ code: 0, first: 'LOCK_HELD' });
});
