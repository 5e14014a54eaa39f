import { expect, test } from 'vitest';
import { renderPlan, type PlanView, type StepFacts } from '../../../src/report/plan-page.ts';

const first = 'v0.1.0_to_v0.2.0';
const view: PlanView = {
  product: 'home',
  from: '0.1.0',
  to: '0.3.0',
  direction: 'up',
  hash: 'sha256:abc',
  transitions: [
    {
      id: first,
      from: '0.1.0',
      to: '0.2.0',
      description: 'Mail',
      breaking: true,
      steps: [
        { id: `${first}/001_email`, kind: 'sql', description: 'Add an email column', reversible: true, requiresRestart: [] },
        { id: `${first}/002_uploads`, kind: 'ts', description: 'Move uploads', reversible: true, requiresRestart: ['api', 'web'] },
        { id: `${first}/003_drop`, kind: 'sh', description: 'Drop what \u001b[31mnobody needs', reversible: false, requiresRestart: ['*'] },
      ],
    },
    {
      id: 'v0.2.0_to_v0.3.0',
      from: '0.2.0',
      to: '0.3.0',
      description: '',
      breaking: false,
      images: { web: { image: 'example.org/web:0.3.0', file: null }, api: { image: 'api:3', file: 'images/api.tar' } },
      steps: [],
    },
  ],
  restarts: ['api', 'web'],
  backup: { sources: ['data', 'VERSION'], estimatedBytes: 2_048 },
  ladders: [
    {
      name: 'main',
      from: 22,
      height: 23,
      steps: [{ id: 'main@23/023_x', kind: 'sql', description: '', reversible: true, requiresRestart: [] }],
    },
  ],
};
const facts: Readonly<Record<string, StepFacts>> = {
  [`${first}/001_email`]: { breaking: false, backup: [], estimatedMs: 1_500 },
  [`${first}/002_uploads`]: { breaking: false, backup: ['uploads'], estimatedMs: null },
  [`${first}/003_drop`]: { breaking: true, backup: [], estimatedMs: 60_000 },
};
const page = (columns: number, given = view) => `\n${renderPlan(given, (step) => facts[step] ?? null, { columns }).join('\n')}\n`;

test('a plan is a page: the way, steps with badges, time, backup, restarts', () => {
  expect(page(100)).toMatchInlineSnapshot(`
    "
    home  0.1.0 → 0.2.0 → 0.3.0

      0.1.0 → 0.2.0  Mail  [breaking]
        sql 001_email  Add an email column  1.5 s
        ts  002_uploads  Move uploads  [restarts api, web] [needs backup]
        sh  003_drop  Drop what nobody needs
              [breaking] [irreversible] [restarts all] [needs backup] 1 min

      0.2.0 → 0.3.0
        image web → example.org/web:0.3.0  from its registry
        image api → api:3  from images/api.tar
        no steps

      ladder main  22 → 23
        sql 023_x

      Steps      4 steps
      Time       about 1 min 2 s, and 2 steps of which it is not known
      Backup     about 2.0 kB: data, VERSION
      Restarts   api, web
      Ladders    main to 23
      Plan       sha256:abc
    "
  `);
});

test('in a narrow terminal badges stand below their step', () => {
  const text = page(60);
  expect(text).toContain('    sh  003_drop  Drop what nobody needs\n          [breaking] [irreversible] [restarts all] [needs\n');
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
});

test('nothing to do is said in a line', () => {
  expect(page(80, { ...view, to: '0.1.0', transitions: [], ladders: [] })).toBe('\n✓ home is at 0.1.0: there is nothing to do.\n');
});
