// Who is named for a path that steps left different: the step whose change was left, and nobody where it could have been several.
import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeSmall } from '../cli/installation.ts';

const step = (forward: string, backward: string): { readonly text: string; readonly mode: number } => ({
  text: `#!/bin/sh\ncase $1 in\nforward) ${forward} ;;\nbackward) ${backward} ;;\nesac\n`,
  mode: 0o755,
});
const fails = step('exit 7', 'true');
const inFolder = (name: string): string => `v1.1.0_to_v2.0.0/${name}`;
// Steps that last longer than the clock of files ticks, as real ones do.
const later = 'python3 -c pass; python3 -c pass';

const table: readonly {
  readonly what: string;
  readonly steps: Readonly<Record<string, ReturnType<typeof step>>>;
  readonly blamed: Readonly<Record<string, string | undefined>>;
}[] = [
  {
    what: 'a backward that does nothing, between two that do their work',
    steps: {
      '002_first.sh': step(`echo 1 > data/first; ${later}`, 'rm data/first'),
      '003_lazy.sh': step(`${later}; echo 2 > config/app.yaml; ${later}`, 'true'),
      '004_third.sh': step(`${later}; echo 3 > data/third`, 'rm data/third'),
    },
    blamed: { 'config/app.yaml': inFolder('003_lazy') },
  },
  {
    what: 'a backward that does half of its work',
    steps: {
      '002_first.sh': step(`echo 1 > data/first; ${later}`, 'rm data/first'),
      '003_half.sh': step(`${later}; echo 2 > data/one; echo 2 > data/two; ${later}`, 'rm data/one'),
    },
    blamed: { 'data/two': inFolder('003_half') },
  },
  {
    what: 'two lazy backwards, each named for its own path',
    steps: {
      '002_one.sh': step(`${later}; echo 1 > data/one; ${later}`, 'true'),
      '003_two.sh': step(`${later}; echo 2 > data/two; ${later}`, 'true'),
    },
    blamed: { 'data/one': inFolder('002_one'), 'data/two': inFolder('003_two') },
  },
  {
    what: 'a path that a backward wrote to last: it may be the fault of the one before it, so nobody is named',
    steps: {
      '002_one.sh': step(`${later}; echo 1 > config/app.yaml; ${later}`, 'true'),
      '003_two.sh': step(`${later}; echo 2 > config/app.yaml; ${later}`, 'echo 1 > config/app.yaml'),
    },
    blamed: { 'config/app.yaml': undefined },
  },
];

test.each(table)('$what', async ({ steps, blamed }) => {
  const { upgrade } = makeSmall({
    files: Object.fromEntries(
      Object.entries({ ...steps, '009_fails.sh': fails }).map(([name, file]) => [`migrations/v1.1.0_to_v2.0.0/${name}`, file]),
    ),
  });
  const { code, stdout, stderr } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect([code, result.outcome]).toEqual([10, 'rolled-back']);
  expect(Object.fromEntries(result.restored.map((one: { readonly path: string; readonly step?: string }) => [one.path, one.step]))).toEqual(
    blamed,
  );
  for (const name of Object.values(blamed)) if (name !== undefined) expect(stderr).toContain(name.split('/')[1]);
});

test('a mode that the only step that can have changed it left wrong', async () => {
  const { upgrade, root } = makeSmall();
  writeFileSync(
    path.join(root, '../migrations/v1.1.0_to_v2.0.0/001_note.sh'),
    step('chmod 600 config/app.yaml; exit 7', 'chmod 644 config/app.yaml').text,
    { mode: 0o755 },
  );
  const { stdout } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  expect(JSON.parse(stdout).restored).toEqual([
    { path: 'config/app.yaml', why: 'differs from the backup (mode)', step: inFolder('001_note') },
  ]);
});
